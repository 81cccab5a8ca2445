"""`telecom generate` as it is typed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def generate(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run the command where no server was ever started."""
    return subprocess.run(
        [sys.executable, "-m", "ingestion.generate_cdr", *flags],
        env={**os.environ, "TELECOM_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_file_alone_needs_no_server(tmp_path: Path) -> None:
    out, people = tmp_path / "cdr.json", tmp_path / "customers.csv"
    done = generate(tmp_path, "--count", "500", "--customers", "20", "--out", str(out), "--customers-out", str(people))
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("customers not loaded: ")
    assert len(done.stderr.splitlines()) == 1
    assert len(out.read_text().splitlines()) == 500
    assert len(people.read_text().splitlines()) == 21
    assert json.loads((tmp_path / "cdr.json.manifest.json").read_text())["totals"]["status"]["normal"] == 500


def test_standard_output_has_nothing_but_records(tmp_path: Path) -> None:
    done = generate(tmp_path, "--count", "30", "--out", "-", "--no-load-customers")
    assert (done.returncode, done.stderr) == (0, "")
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 30


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--mix", "voice=60,data=30", "--out", "x"], "--mix voice=60,data=30: the percentages add up to 90"),
        (["--count", "-1", "--out", "x"], "--count -1: a whole number from 0"),
        ([], "one of --out FILE and --kafka is needed"),
        (["--out", "x", "--kafka"], "one of --out FILE and --kafka is needed"),
        (["--load-customers", "--out", "x"], "run `telecom up` first"),
        (["--out", "nowhere/x"], "--out nowhere/x: No such file or directory"),
    ],
)
def test_a_fault_is_one_line(tmp_path: Path, flags: list[str], words: str) -> None:
    done = generate(tmp_path, *flags)
    assert done.returncode in {1, 2}
    assert words in done.stderr
    told = [line for line in done.stderr.splitlines() if not line.startswith("customers not loaded: ")]
    assert len(told) == 1
    assert not Path("x").exists()
