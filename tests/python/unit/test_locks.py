import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ingestion.console import UserError
from ingestion.locks import alone, at_work
from ingestion.settings import Settings
from stack.secrets import ensure_secrets

DBT_UNDER_A_LOCK = """
from ingestion.locks import alone
from ingestion.settings import Settings
from ingestion.transform import _events

with alone(Settings(), "run"):
    list(_events(Settings(), ["sleep", "60"]))
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TELECOM_HOME", str(tmp_path))
    return Settings()


def test_a_second_one_is_refused_by_name(here: Settings):
    with (
        alone(here, "run"),
        pytest.raises(UserError, match="another `telecom run`, `telecom close` or `telecom purge` is at"),
    ):
        alone(here, "run").__enter__()


def test_different_work_goes_on_side_by_side(here: Settings):
    with alone(here, "mediation"):
        assert at_work(here, "mediation")
        assert not at_work(here, "run")
    assert not at_work(here, "mediation")


def test_a_child_that_outlives_its_command_keeps_the_lock(here: Settings):
    ensure_secrets(here)
    command = subprocess.Popen([sys.executable, "-c", DBT_UNDER_A_LOCK])
    deadline = time.monotonic() + 60
    while not (children := psutil.Process(command.pid).children()) and time.monotonic() < deadline:
        time.sleep(0.05)
    command.kill()
    command.wait()
    assert at_work(here, "run")
    children[0].kill()
    while at_work(here, "run") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not at_work(here, "run")
