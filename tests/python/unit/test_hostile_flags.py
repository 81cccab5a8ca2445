"""Every option of every command, with values that nobody should give it: the work, or one line, never a traceback."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import pytest
import typer
from hostile import ARGUMENTS, nowhere, typed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.cli import app
from ingestion.console import UserError
from ingestion.traffic import customers, stream

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
SOUND = {
    "generate": "--count 5 --customers 3 --no-load-customers --out cdr.json",
    "produce": "here",
    "replay": "--reason MALFORMED_JSON",
    "close": "2025-06",
    "invoices": "--month 2025-06 --out invoices",
    "quote": "--catalogue here --customers here --cdrs here",
    "report": "--out report",
    "purge": "--before 2025-06-01",
}
"""What a command needs at least, and what keeps it short."""
SERVERS = (
    *("stack.machine.up", "stack.machine.status", "stack.spark.spark_session", "serving.quote.make_quote"),
    *("ingestion.generate_cdr.open_sender", "ingestion.producer.open_sender"),
    "ingestion.mediation.source.Topic.connect",
)
BYTES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)


@pytest.fixture
def no_servers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An empty folder in which no command comes further than its own checks: where it would need a server, it ends."""

    def end(*_arguments: object, **_options: object) -> NoReturn:
        raise UserError("this far and no further")

    for place in SERVERS:
        monkeypatch.setattr(place, end)
    # the same few subscribers all the time
    monkeypatch.setattr(stream, "Traffic", cache(stream.Traffic))
    monkeypatch.setattr(customers, "_name_pools", cache(customers._name_pools))
    with nowhere(tmp_path):
        Path("loop").symlink_to("loop")
        yield


def values_of(name: str) -> list[tuple[str, ...]]:
    """Return the beginnings of a command that a value is to follow: its sound line with an option, or its argument."""
    sound = tuple(SOUND.get(name, "").split())
    beginnings: list[tuple[str, ...]] = [(name,)]
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "option" and not parameter.is_flag:
            beginnings.append((name, *sound, parameter.opts[0]))
    return beginnings


@pytest.mark.usefixtures("no_servers")
@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_takes_or_refuses_any_value(name: str) -> None:
    for beginning in values_of(name):
        for value in ARGUMENTS:
            typed([*beginning, value]).assert_told()


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A command with some of its options in any order, whose values are anything."""
    name = draw(st.sampled_from(list(COMMANDS)))
    line = [name, *draw(st.sampled_from([SOUND.get(name, ""), ""])).split()]
    for beginning in draw(st.lists(st.sampled_from(values_of(name)), max_size=3)):
        line += [*beginning[-1:], draw(st.one_of(st.sampled_from(ARGUMENTS), BYTES))]
    return line + draw(st.lists(BYTES, max_size=1))


@pytest.mark.usefixtures("no_servers")
def test_any_command_line_is_answered_in_one_line() -> None:
    @settings(max_examples=200, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(command_lines())
    def check(line: list[str]) -> None:
        typed(line).assert_told()

    check()
