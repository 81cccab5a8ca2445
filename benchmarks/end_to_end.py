"""The commands of a day, as a person types them, on a stack that has never seen a record; then dbt with nothing new.

Every JVM and every dbt begins cold, catalogue checks and control totals are part of it, and nothing is run beforehand.
With nothing new, dbt is run more than once: the server then has run nothing but the day, and later is a warm one.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.frame import Cost, Row, Stopwatch, Tally
from benchmarks.task import ANOMALIES, CUSTOMERS, MIX, Task
from ingestion.run import summarise
from ingestion.settings import PROJECT_ROOT, Settings, settings
from ingestion.traffic.manifest import manifest_path
from ingestion.transform import target_path
from stack import machine

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "python"))
from own_machine import point_at

NOTHING_NEW = "dbt run --select rating+, nothing new"
AGAIN = 3
"""How often dbt is run again over nothing new."""
TELECOM, DBT = (str(Path(sys.executable).with_name(name)) for name in ("telecom", "dbt"))


def rows(task: Task) -> Iterator[Row]:
    """Measure generate, produce and run on a new stack each round; the floor is the sum of the stages' floors."""
    point_at(task.settings.home / "end-to-end")
    stack = settings()
    idle: list[Cost] = []
    idle_again: list[Cost] = []

    def day(stopwatch: Stopwatch) -> Tally:
        with new_stack(stack):
            with stopwatch:
                for name, command in commands(task.records, stack.home):
                    with stopwatch.part(name):
                        subprocess.run([TELECOM, *command], check=True)
            require_all(stack)
            idle.append(nothing_new(stack))
            idle_again.extend(nothing_new(stack) for _ in range(AGAIN))
        return {}

    yield replace(task, settings=stack).row("end to end", day, warm_up=False)
    yield Row(NOTHING_NEW, task.records, idle, [], os.getloadavg()[0], is_throughput=False)
    yield Row(f"{NOTHING_NEW}, again", task.records, idle_again, [], os.getloadavg()[0], is_throughput=False)


@contextmanager
def new_stack(stack: Settings) -> Iterator[None]:
    """Start a stack that holds nothing, and forget it in the end."""
    try:
        machine.up(stack, print)
        yield
    finally:
        machine.down(stack, print)
        shutil.rmtree(stack.home, ignore_errors=True)


def commands(records: int, home: Path) -> Iterator[tuple[str, list[str]]]:
    """Return the commands of a day, without `telecom`."""
    file, customers = str(home / "cdr.json"), str(CUSTOMERS)
    shape = ["--mix", MIX, "--anomalies", ANOMALIES, "--customers", customers, "--load-customers"]
    yield "telecom generate", ["generate", "--count", str(records), *shape, "--out", file]
    yield "telecom produce", ["produce", file]
    yield "telecom run", ["run"]


def require_all(stack: Settings) -> None:
    """Make sure that everything that was generated is landed as it should be, rated and billed.

    Raises:
        RuntimeError: it is not.
    """
    wanted = json.loads(manifest_path(stack.home / "cdr.json").read_text())["totals"]["status"] | {"purged": 0}
    found = summarise(stack)
    if found.landed != wanted or sum(found.rated.values()) != wanted["normal"] or not found.bills:
        raise RuntimeError(f"generated {wanted}, found {found}")


def nothing_new(stack: Settings) -> Cost:
    """Measure dbt over what it has done already."""
    own = {"DBT_TARGET_PATH": str(target_path(stack)), "DBT_LOG_PATH": str(stack.logs)}
    stopwatch = Stopwatch(stack)
    with stopwatch:
        command = [DBT, "--quiet", "run", "--select", "rating+"]
        subprocess.run(command, cwd=PROJECT_ROOT, env=stack.child_environment() | own, check=True)
    return stopwatch.cost()
