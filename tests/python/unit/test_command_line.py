import subprocess
import sys
from pathlib import Path

import pytest

TELECOM = Path(sys.executable).with_name("telecom")


def telecom(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([TELECOM, *arguments], capture_output=True, text=True, check=False, timeout=60)


def test_help_names_every_command():
    printed = telecom("--help").stdout
    commands = "demo up status down generate produce mediate replay run quote env close purge invoices report".split()
    assert [command for command in commands if f"  {command} " not in printed] == []


@pytest.mark.parametrize(
    "command",
    "demo up status down generate produce mediate replay run quote env close purge invoices report".split(),
)
def test_every_command_has_help(command: str):
    result = telecom(command, "--help")
    assert result.returncode == 0
    assert "Usage:" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--month", "2025-13"], ["--month", "2025-13", "YYYY-MM"]),
        (["up", "--wrong"], ["--wrong", "telecom up --help"]),
        (["nonsense"], ["nonsense"]),
    ],
)
def test_a_wrong_flag_is_one_line(
    arguments: list[str], words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("TELECOM_HOME", str(tmp_path))
    result = telecom(*arguments)
    assert result.returncode != 0
    assert len(result.stderr.strip().splitlines()) == 1
    assert all(word in result.stderr for word in words)


def test_a_wrong_environment_is_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PGPORT", "five")
    result = telecom("status")
    assert result.returncode == 1
    assert result.stderr.strip().splitlines() == [line for line in [result.stderr.strip()] if "PGPORT" in line]


def test_without_servers_a_command_says_which_to_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("TELECOM_HOME", str(tmp_path))
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")
    monkeypatch.setenv("PGPORT", "9")
    monkeypatch.setenv("SPARK_THRIFT_PORT", "9")
    result = telecom("run")
    assert result.returncode == 1
    assert len(result.stderr.strip().splitlines()) == 1
    assert all(word in result.stderr for word in ("Kafka", "PostgreSQL", "Spark Thrift", "telecom up"))
