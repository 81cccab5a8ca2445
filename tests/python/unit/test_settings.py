import json
from pathlib import Path

import pytest

from ingestion.console import UserError
from ingestion.settings import Settings, settings
from stack.secrets import NAMES, ensure_secrets


@pytest.fixture(autouse=True)
def fresh_settings(monkeypatch: pytest.MonkeyPatch):
    for name in ("PGHOST", "PGPORT", "PGPASSWORD", "TELECOM_SERVICES", "KAFKA_BOOTSTRAP_SERVERS"):
        monkeypatch.delenv(name, raising=False)
    settings.cache_clear()
    yield
    settings.cache_clear()


def home_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    monkeypatch.setenv("TELECOM_HOME", str(tmp_path))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return settings()


def test_every_wrong_variable_is_named_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PGPORT", "abc")
    monkeypatch.setenv("TELECOM_SERVICES", "kafka,oracle")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "nowhere")
    monkeypatch.setenv("SPARK_MASTER", "nonsense")
    monkeypatch.setenv("PGHOST", "a..b")
    monkeypatch.setenv("TELECOM_CACHE", "~nobdy/x")
    with pytest.raises(UserError) as caught:
        settings()
    message = str(caught.value)
    wrong = ("PGPORT", "TELECOM_SERVICES", "KAFKA_BOOTSTRAP_SERVERS", "SPARK_MASTER", "PGHOST", "TELECOM_CACHE")
    assert [name for name in wrong if name not in message] == []
    assert "\n" not in message


def test_secrets_are_private_and_stay_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    here = home_settings(tmp_path, monkeypatch)
    ensure_secrets(here)
    first = json.loads(here.secrets_file.read_text())
    ensure_secrets(here)
    assert json.loads(here.secrets_file.read_text()) == first
    assert set(first) == set(NAMES)
    assert len(set(first.values())) == len(NAMES)
    assert here.secrets_file.stat().st_mode & 0o077 == 0


def test_a_missing_secret_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UserError, match="telecom up"):
        home_settings(tmp_path, monkeypatch).secret("loader")


def test_a_postgres_elsewhere_uses_its_own_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    here = home_settings(tmp_path, monkeypatch, TELECOM_SERVICES="kafka,thrift", PGPASSWORD="theirs")
    assert here.postgres_password() == "theirs"


def test_our_own_postgres_does_not_take_a_password_left_in_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    here = home_settings(tmp_path, monkeypatch, PGPASSWORD="stale")
    ensure_secrets(here)
    assert here.postgres_password() == here.secret("owner") != "stale"


def test_no_password_shows_in_the_settings_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    here = home_settings(tmp_path, monkeypatch, PGPASSWORD="hush", KAFKA_SASL_PASSWORD="hush")
    assert "hush" not in repr(here)
