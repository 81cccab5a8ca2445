"""What commands write down of themselves: JSON lines in one file, joined by the id of the run.

What is printed is for the person at the keyboard; this is for whoever asks later. Facts are counts, ids and names that
the code chose. What a person typed or an error says may hold a subscriber's number, which is taken out.
"""

import functools
import json
import logging
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import ParamSpec, TypeVar

from ingestion.console import err, one_line, verdict
from ingestion.settings import Settings, settings

P = ParamSpec("P")
R = TypeVar("R")

FILE = "telecom.jsonl"

# Eight digits and more may be somebody's number, unless they are a day, as files are called.
_NUMBER = re.compile(r"(?<!\d)(?!(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d))\d{8,}")

_log = logging.getLogger("telecom")
_log.setLevel(logging.INFO)
_log.propagate = False
_log.addHandler(logging.NullHandler())  # outside a command there is no run to write about


def log_event(event: str, **facts: object) -> None:
    """Write a line about the run of this process's command, as an error if it has an `exit_status` other than 0.

    Where no command is at work, nothing is written.

    Args:
        event: what happened, in the words that docs/operations.md lists.
        facts: its numbers and names; neither a subscriber's number nor a secret. Money goes as text, since readers
            of JSON take a number for a float.
    """
    _log.log(logging.ERROR if facts.get("exit_status") else logging.INFO, event, extra={"facts": facts})


def logged(command: Callable[P, R]) -> Callable[P, R]:
    """Make a command write down its begin and its end, and, while it is at work, what it tells `log_event`.

    The log never fails a command: what could not be written is said once, after the command's own work.
    """

    @functools.wraps(command)
    def with_log(*args: P.args, **flags: P.kwargs) -> R:
        config = settings()
        handler = _LineHandler(config, command.__name__)
        _log.addHandler(handler)
        began, status, said = time.monotonic(), 0, ""
        given = {name.rstrip("_"): value for name, value in flags.items() if value is not None and value is not False}
        try:
            log_event("command began", flags=_without_numbers(given))
            return command(*args, **flags)
        except BaseException as failure:
            status, said = verdict(failure)
            raise
        finally:
            facts = {"message": _without_numbers(one_line(said))} if status else {}
            log_event("command ended", exit_status=status, seconds=seconds_since(began), **facts)
            if not status:
                handler.tell_failure()
            _log.removeHandler(handler)
            handler.close()

    return with_log


def seconds_since(began: float) -> float:
    """Return the seconds since a reading of `time.monotonic`, to the millisecond."""
    return round(time.monotonic() - began, 3)


class _LineHandler(WatchedFileHandler):
    """Appends each line with one write, so that several processes share the file, and follows it when it is rotated."""

    def __init__(self, config: Settings, command: str) -> None:
        self._path = config.logs / FILE
        super().__init__(self._path, encoding="ascii", delay=True)
        self.setFormatter(_LineFormatter(str(config.run_id), command))
        self._failure: OSError | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            super().emit(record)
        except OSError as error:
            self._failure = error

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        raise  # noqa: PLE0704 - called while the error is handled, which logging would print with a traceback

    def tell_failure(self) -> None:
        """Say on standard error that lines are missing, if they are."""
        if self._failure:
            err.print(f"telecom: {self._path}: {self._failure.strerror}: this run is not logged", soft_wrap=True)


class _LineFormatter(logging.Formatter):
    """A log record as one line of JSON."""

    def __init__(self, run_id: str, command: str) -> None:
        super().__init__()
        self._run_id, self._command = run_id, command

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "run_id": self._run_id,
            "command": self._command,
            "pid": record.process,
            "event": record.getMessage(),
            **record.__dict__["facts"],
        }
        return json.dumps(line, default=str)


def _without_numbers(value: object) -> object:
    """Return a value with every number that may be a subscriber's taken out of its texts."""
    match value:
        case str() | Path():
            return _NUMBER.sub("[number]", str(value))
        case dict():
            return {name: _without_numbers(part) for name, part in value.items()}
        case list() | tuple():
            return [_without_numbers(part) for part in value]
        case _:
            return value
