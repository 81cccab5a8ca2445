"""A stage in a process of its own, so that none finds a JVM warm or memory taken by another."""

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.frame import Row
from benchmarks.task import Task
from ingestion.producer import as_interrupt


class StageError(Exception):
    """A stage that failed; the message has its traceback and what it printed last."""


LAST_WORDS = 2_000
"""Characters of what it printed."""


def measure_apart(module: str, task: Task, log: Path) -> list[Row]:
    """Return the rows of a stage's module; what its process and the commands in it print goes to `log`.

    Raises:
        StageError: it failed.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_work, args=(module, task, log, sender))
    child.start()
    sender.close()
    try:
        outcome: list[Row] | str = receiver.recv()
    except EOFError:
        outcome = "its process ended without a word"
    except KeyboardInterrupt:
        child.terminate()  # it still stops what it has started
        raise
    finally:
        child.join()
    if isinstance(outcome, str):
        printed = log.read_text(errors="replace")[-LAST_WORDS:] if log.exists() else ""
        raise StageError(f"{printed}\n{outcome}")
    return outcome


def _work(module: str, task: Task, log: Path, sender: Connection) -> None:
    signal.signal(signal.SIGTERM, as_interrupt)
    with log.open("ab") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    try:
        rows: Callable[[Task], Iterator[Row]] = import_module(f"benchmarks.{module}").rows
        sender.send(list(rows(task)))
    except Exception:
        sender.send(traceback.format_exc())
