"""The benchmark's frame and page, with work that takes no time; no test asserts a time."""

import sys
from pathlib import Path

import pytest

from ingestion.settings import PROJECT_ROOT, Settings

sys.path.insert(0, str(PROJECT_ROOT))
from benchmarks.frame import Cost, Row, Stopwatch, Tally, UnequalWorkError, measure
from benchmarks.limits import LARGER_SIZE, SIZE
from benchmarks.plans import normalised
from benchmarks.results import CHAIN, RESULTS, Result, merged, page

STAGES = ["generate", "mediate"]


@pytest.fixture
def config(tmp_path: Path) -> Settings:
    return Settings(TELECOM_HOME=tmp_path)  # type: ignore[call-arg]


def result(stage: str, row: str, size: int, ours: float, floor: float | None = None, commit: str = "c1") -> Result:
    costs = [Cost(ours, {"Python": ours}, {"Python": 7})]
    return Result(stage, size, Row(row, size, costs, [Cost(floor)] if floor else [], 0.5), commit)


def test_sides_take_turns_after_a_round_that_is_not_measured(config: Settings) -> None:
    done: list[str] = []

    def side(name: str) -> object:
        def work(stopwatch: Stopwatch) -> Tally:
            with stopwatch, stopwatch.part("all"):
                done.append(name)
            return {"records": 1}

        return work

    costs = measure(config, {"floor": side("floor"), "ours": side("ours")}, 2, warm_up=True)  # type: ignore[dict-item]
    assert done == ["floor", "ours"] * 3
    assert [len(costs[name]) for name in ("floor", "ours")] == [2, 2]
    assert costs["ours"][0].memory["Python"] > 0
    assert list(costs["ours"][0].parts) == ["all"]


def test_different_work_is_refused(config: Settings) -> None:
    def side(records: int) -> object:
        def work(stopwatch: Stopwatch) -> Tally:
            with stopwatch:
                return {"records": records}

        return work

    with pytest.raises(UnequalWorkError, match="different work"):
        measure(config, {"floor": side(1), "ours": side(2)}, 1, warm_up=False)  # type: ignore[dict-item]


def test_a_stage_measured_again_takes_its_rows_place() -> None:
    before = [result("mediate", "mediate, one run", size, 9) for size in (SIZE, 1000)] + [
        result("generate", "generate", 1000, 1)
    ]
    found = merged(before, result("mediate", "mediate, one run", SIZE, 5, commit="c2"), STAGES)
    assert [(one.row.stage, one.size, one.measured) for one in found] == [
        ("generate", 1000, "c1"),
        ("mediate, one run", 1000, "c1"),
        ("mediate, one run", SIZE, "c2"),
    ]
    assert RESULTS.validate_json(RESULTS.dump_json(found)) == found


def test_a_figure_over_its_limit_stays_with_its_reason() -> None:
    rows = [
        result("generate", "generate", SIZE, 4, 0.5),
        result("mediate", "mediate, one run", SIZE, 40, 10),
        result("mediate", "mediate, one run", LARGER_SIZE, 210, 50),
    ]
    lines = page(rows, ["a machine"]).splitlines()
    assert "| generate | 1,000,000 | 4.00 | 0.50 | 8.00 | ≥ 200,000/s | 250,000 |  |" in lines
    over = next(line for line in lines if line.startswith("| mediate, one run | 1,000,000 | 40.0 | 10.0 | 4.00 |"))
    assert "≤ 3.5 times | 25,000 | the floor" in over
    assert "| mediate, one run | 40.0 | 42.0 | 1.05 | ≤ 1.1 |  |" in lines
    assert lines[-1].startswith("- Here not measured: produce, kafka-python at 1,000,000, rate, first at 1,000,000")
    assert "; measured in one round only: generate at 1,000,000, mediate, one run at 1,000,000" in lines[-1]


def test_the_whole_is_held_against_the_floors_of_its_stages() -> None:
    rows = [result("models", stage, SIZE, 10, 4) for stage in CHAIN]
    lines = page([*rows, result("end-to-end", "end to end", SIZE, 90)], []).splitlines()
    assert "| the stages together | 1,000,000 | 60.0 | 20.0 | 3.00 | - | 16,667 |  |" in lines
    assert "| end to end | 1,000,000 | 90.0 | 20.0 | 4.50 | - | 11,111 |  |" in lines


def test_a_plan_is_the_same_in_every_run() -> None:
    first = "Scan [a#12, b#7L]\nLocation: [file:/tmp/x1/tables/cdr.csv]\nHash a#12, plan_id=31"
    second = "Scan [a#80, b#9L]\nLocation: [file:/tmp/y/z/tables/cdr.csv]\nHash a#80, plan_id=5"
    assert normalised(first) == normalised(second)
    assert "a#1, b#2L" in normalised(first)
