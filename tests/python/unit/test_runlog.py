"""What commands write down of themselves, and how the id of their run goes from one process to the next."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
import typer

from ingestion.console import UserError
from ingestion.producer import IncompleteError
from ingestion.runlog import FILE, log_event, logged
from ingestion.settings import settings

RUN_ID = "6f1f4c66-0b5e-4c55-9d0b-1f3c8a7d2e10"
TELECOM = Path(sys.executable).with_name("telecom")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("TELECOM_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TELECOM_RUN_ID", raising=False)
    settings.cache_clear()
    yield tmp_path / "home"
    settings.cache_clear()


def lines(home: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (home / "logs" / FILE).read_text().splitlines()]


def test_a_command_writes_its_begin_its_end_and_what_it_did(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TELECOM_RUN_ID", RUN_ID)

    @logged
    def count(most: int, month: str | None = None, dry_run: bool = False) -> int:
        log_event("counted", month=month, total=Decimal("12.30"), at=datetime(2025, 6, 1, tzinfo=UTC))
        return most

    assert count(most=7, dry_run=False, month="2025-06") == 7
    began, counted, ended = lines(home)
    for line in (began, counted, ended):
        same = line["level"], line["run_id"], line["command"], line["pid"]
        assert same == ("info", RUN_ID, "count", os.getpid())
        written = datetime.fromisoformat(str(line["time"]))
        assert written.utcoffset() == timedelta(0)
        assert abs(datetime.now(UTC) - written) < timedelta(minutes=1)
    assert (began["event"], began["flags"]) == ("command began", {"most": 7, "month": "2025-06"})
    facts = counted["event"], counted["month"], counted["total"], counted["at"]
    assert facts == ("counted", "2025-06", "12.30", "2025-06-01 00:00:00+00:00")
    assert (ended["event"], ended["exit_status"]) == ("command ended", 0)
    assert 0 <= float(str(ended["seconds"])) < 60
    assert "message" not in ended


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (UserError("cdr.json:\n no such file"), 1, "cdr.json: no such file"),
        (IncompleteError("stopped after line 3", 3, 130), 130, "stopped after line 3"),
        (typer.BadParameter("one of --out FILE and --kafka is needed"), 2, "one of --out FILE and --kafka is needed"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("by zero"), 1, "ZeroDivisionError: by zero"),
    ],
)
def test_a_failure_is_written_with_its_line(home: Path, error: BaseException, status: int, message: str):
    @logged
    def fails() -> None:
        raise error

    with pytest.raises(type(error)):
        fails()
    ended = lines(home)[-1]
    assert (ended["level"], ended["event"], ended["exit_status"]) == ("error", "command ended", status)
    assert message in str(ended["message"])


def test_no_subscriber_number_comes_with_flags_or_errors(home: Path):
    @logged
    def replay(fix: list[str], out: Path, file: str) -> None:
        raise UserError("line 4: ('+212612345678', '00212612345678', '0612345678') of 1,204 records")

    with pytest.raises(UserError):
        replay(fix=["caller_id=212612345678"], out=Path("/tmp/212612345678"), file="cdr-20250601.json")
    assert "12345678" not in (home / "logs" / FILE).read_text()
    began, ended = lines(home)
    assert began["flags"] == {"fix": ["caller_id=[number]"], "out": "/tmp/[number]", "file": "cdr-20250601.json"}
    assert ended["message"] == "line 4: ('+[number]', '[number]', '[number]') of 1,204 records"


def test_outside_a_command_nothing_is_written(home: Path):
    log_event("nobody asked")
    assert not home.exists()


def test_a_log_that_cannot_be_written_stops_no_command(home: Path, capsys: pytest.CaptureFixture[str]):
    home.write_text("a file, where the folder should be")

    @logged
    def work() -> str:
        return "done"

    assert work() == "done"
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert str(home / "logs" / FILE) in said[0]


def write_many(process: int, /) -> None:
    """Write lines longer than a page, as one of several processes."""
    settings.cache_clear()

    @logged
    def work() -> None:
        for number in range(100):
            log_event("line", process=process, number=number, filler="x" * 10_000)

    work()


def test_processes_that_write_at_once_leave_whole_lines(home: Path):
    with ProcessPoolExecutor(4) as pool:
        list(pool.map(write_many, range(4)))
    written = {(line["process"], line["number"]) for line in lines(home) if line["event"] == "line"}
    assert written == {(process, number) for process in range(4) for number in range(100)}


def test_a_rotated_file_is_left_for_the_next(home: Path):
    @logged
    def work() -> None:
        (home / "logs" / FILE).rename(home / "logs" / f"{FILE}.1")
        log_event("after the rotation")

    work()
    assert [line["event"] for line in lines(home)] == ["after the rotation", "command ended"]


def test_a_run_has_an_id_that_its_children_share(monkeypatch: pytest.MonkeyPatch):
    run_id = settings().run_id
    assert settings().run_id == run_id
    monkeypatch.setattr("ingestion.settings.Settings.exports", lambda _: {})  # no stack here, and no passwords
    child = settings().child_environment()
    assert child["TELECOM_RUN_ID"] == child["DBT_ENV_CUSTOM_ENV_TELECOM_RUN_ID"] == str(run_id)
    asked = "from ingestion.settings import settings; print(settings().run_id)"
    run = partial(subprocess.run, [sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert run(env=child).stdout.strip() == str(run_id)
    assert UUID(run().stdout.strip()) != run_id


@pytest.mark.parametrize("wrong", ["", "tonight", "6f1f4c66-0b5e-4c55-9d0b", RUN_ID + "0"])
def test_an_id_that_is_none_is_named(wrong: str, home: Path):
    result = subprocess.run(
        [TELECOM, "generate", "--count", "1", "--out", "-"],
        env={**os.environ, "TELECOM_RUN_ID": wrong},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 1
    assert "TELECOM_RUN_ID" in result.stderr
    assert not home.exists()
