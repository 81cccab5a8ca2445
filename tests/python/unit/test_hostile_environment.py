"""Every variable that the settings read, with values that nobody should set: taken, or named in one line."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hostile import ARGUMENTS, nowhere, typed

from ingestion.console import UserError
from ingestion.locks import alone
from ingestion.senders import librdkafka_options
from ingestion.settings import Settings, settings
from stack import machine
from stack.java import java
from stack.secrets import ensure_secrets

VARIABLES = [str(field.validation_alias) for field in Settings.model_fields.values()]
ADDRESSES = ("h:\u0663\u0664", "localhost:99999", "[::1]:9", "::1:9", "a..b:9", f"{'a' * 300}:9", "a b:9", "%:9", "*:9")


def lock(config: Settings) -> None:
    with alone(config, "run"):
        pass


USES: list[Callable[[Settings], object]] = [
    lambda config: (config.landing_table, config.checkpoint_root, config.logs),
    Settings.kafka_client,
    librdkafka_options,
    Settings.exports,
    machine.status,
    ensure_secrets,
    lock,
]


@pytest.mark.parametrize("variable", VARIABLES)
def test_any_value_is_taken_or_refused(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with nowhere(tmp_path):
        Path("here").touch()
        Path("loop").symlink_to("loop")
        for value in (*ARGUMENTS, *ADDRESSES):
            with monkeypatch.context() as environment:
                environment.setenv(variable, value)
                settings.cache_clear()
                for use in (*USES, java) if variable == "JAVA_HOME" else USES:
                    with suppress(UserError):
                        use(settings())


@pytest.mark.parametrize("variable", VARIABLES)
def test_the_status_says_it_in_one_line(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with nowhere(tmp_path):
        for value in ("", "\x1b[31m'; drop table x; --[/bold]", "\udcff"):
            monkeypatch.setitem(os.environ, variable, value)
            settings.cache_clear()
            typed(["status"]).assert_told()
