"""How every command talks to a person: one-line errors, progress, tables."""

import io
import re
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

# What is printed holds names from files and servers: read as markup, a plan called [/x] would end the command.
out = Console(highlight=False, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, markup=False, emoji=False)

# Escape sequences steer a terminal, an override of the writing direction turns the digits beside it around, and half a
# pair of surrogates cannot be written at all.
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


LONGEST_LINE = 4_000
"""Characters of an error that are shown: a field of megabytes that is no number would push everything else away."""

# Typer brings its own copy of click and exports of its errors only the leaves; this is their common base.
_CommandLineError: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")


class UserError(Exception):
    """Something the person at the keyboard can put right: one line that says what, where and what to do."""

    exit_code = 1


def progress() -> Progress:
    """Return a progress display on standard error: bars on a terminal, silence in a pipe."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        disable=not err.is_terminal,
        transient=True,
    )


def plain(text: str) -> str:
    """Return a text with every control character and change of writing direction made visible."""
    return _STEERING.sub("\N{REPLACEMENT CHARACTER}", text)


def fail(error: BaseException) -> NoReturn:
    """Print one line about an error on standard error, and leave with its exit code."""
    code, message = verdict(error)
    sys.stderr.write(f"telecom: {one_line(message)}\n")
    raise SystemExit(code)


def one_line(message: str) -> str:
    """Return a message as one line of bearable length."""
    line = plain(" ".join(message.split()))
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE // 2]} ... {line[-LONGEST_LINE // 2 :]}"


def verdict(error: BaseException) -> tuple[int, str]:
    """Return the exit code with which an error ends a command, and what is said about it."""
    match error:
        case UserError():
            return error.exit_code, str(error)
        case KeyboardInterrupt() | typer.Abort():
            return 130, "interrupted"
        case BrokenPipeError():
            return 141, "nobody reads standard output any more"
        case _ if isinstance(error, _CommandLineError):
            context = getattr(error, "ctx", None)
            where = f" (see `{context.command_path} --help`)" if context else ""
            return 2, f"{error.format_message()}{where}"
        case _:
            return 1, f"{type(error).__name__}: {error}"


def run_app(app: typer.Typer) -> NoReturn:
    """Run a Typer application: a user's fault is one line and exit code 1 (2 for a wrong flag), never a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path need not be UTF-8, nor the terminal know Arabic
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except BrokenPipeError as error:
        sys.stderr.close()
        sys.exit(verdict(error)[0])
    except _CommandLineError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.exit(f"{error.format_message()}")
        fail(error)
    except (UserError, typer.Abort, KeyboardInterrupt) as error:
        fail(error)


def run_command(command: Callable[..., object]) -> NoReturn:
    """Run one command function as a program of its own, for `python -m ingestion.X`."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(command)
    run_app(app)
