"""A stage in a process of its own, so that none finds a JVM warm or memory taken by another."""

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
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


def measure_apart(module: str, task: Task, log: Path, tell: Callable[[str], None]) -> Iterator[Row]:
    """Yield the rows of a stage's module as they come.

    Args:
        module: its name in this package.
        task: what to measure.
        log: where what the stage and its commands print goes.
        tell: gets a line after each round.

    Raises:
        StageError: it failed.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_work, args=(module, task, log, sender))
    child.start()
    sender.close()
    try:
        while isinstance(said := receiver.recv(), Row | str):
            if isinstance(said, Row):
                yield said
            else:
                tell(said)
    except EOFError:
        said = StageError("its process ended without a word")
    except BaseException:
        child.terminate()  # it still stops what it has started
        raise
    finally:
        child.join()
    if said is not None:
        printed = log.read_text(errors="replace")[-LAST_WORDS:] if log.exists() else ""
        raise StageError(f"{printed}\n{said}")


def _work(module: str, task: Task, log: Path, sender: Connection) -> None:
    signal.signal(signal.SIGTERM, as_interrupt)
    with log.open("ab") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    try:
        rows: Callable[[Task], Iterator[Row]] = import_module(f"benchmarks.{module}").rows
        for row in rows(replace(task, tell=sender.send)):
            sender.send(row)
        sender.send(None)
    except Exception:
        sender.send(StageError(traceback.format_exc()))
