"""What the soak holds against the pipeline, on made samples; the hour itself is `make soak`."""

import json
from pathlib import Path

import pytest
from soak import CEILINGS, FLAT_ONES, DeltaLog, verdicts


def samples(name: str = "", growth: float = 0.0) -> list[dict[str, float]]:
    """Return an hour in which everything stays at 100, but for one thing that grows by so much a sample."""
    calm = dict.fromkeys((*CEILINGS, *FLAT_ONES), 100.0)
    return [calm | ({name: 100 + growth * number} if name else {}) for number in range(240)]


@pytest.mark.parametrize(
    ("name", "growth", "verdict"),
    [
        ("", 0, []),
        ("thrift", 5, []),
        ("thrift", 20, ["thrift took 4,880 MiB, more than 3,072"]),
        ("kafka handles", 0.1, []),
        ("kafka handles", 1, ["kafka handles grew from 172 to 306"]),
    ],
)
def test_only_what_grows_without_a_limit_fails(name: str, growth: float, verdict: list[str]) -> None:
    assert list(verdicts(samples(name, growth))) == verdict


def test_a_delta_log_is_read_as_it_grows_and_compaction_lands_nothing(tmp_path: Path) -> None:
    def commit(version: int, *actions: dict[str, object]) -> None:
        lines = "\n".join(json.dumps(action) for action in actions)
        (tmp_path / f"{version:020}.json").write_text(lines)

    def add(path: str, rows: int, *, new: bool = True) -> dict[str, object]:
        return {"add": {"path": path, "dataChange": new, "stats": json.dumps({"numRecords": rows})}}

    log = DeltaLog(tmp_path)
    commit(0, {"protocol": {}})
    commit(1, add("a", 3))
    log.follow()
    commit(2, add("b", 4))
    commit(3, {"remove": {"path": "a"}}, {"remove": {"path": "b"}}, add("ab", 7, new=False))
    log.follow()
    assert (log.files, log.rows) == ({"ab"}, 7)
