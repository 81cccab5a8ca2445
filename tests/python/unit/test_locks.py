from pathlib import Path

import pytest

from ingestion.console import UserError
from ingestion.locks import alone, at_work
from ingestion.settings import Settings


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TELECOM_HOME", str(tmp_path))
    return Settings()


def test_a_second_one_is_refused_by_name(here: Settings):
    with alone(here, "run"), pytest.raises(UserError, match="another `telecom run` or `telecom close` is at work"):
        alone(here, "run").__enter__()


def test_different_work_goes_on_side_by_side(here: Settings):
    with alone(here, "mediation"):
        assert at_work(here, "mediation")
        assert not at_work(here, "run")
    assert not at_work(here, "mediation")
