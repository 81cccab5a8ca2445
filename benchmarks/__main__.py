"""`make bench` and `make bench-quick`: measure the stages one after the other, each in a process of its own."""

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

from benchmarks import machine, results
from benchmarks.apart import StageError, measure_apart
from benchmarks.frame import Row
from benchmarks.results import Result
from benchmarks.task import Task
from ingestion.console import UserError, out, run_command
from ingestion.producer import as_interrupt
from ingestion.settings import Service, Settings

ROUNDS = 5
SIZES = "100000,1000000,5000000"
QUICK_SIZE = 100_000


@dataclass(frozen=True)
class Stage:
    """A module that measures a stage.

    Attributes:
        module: its name in this package.
        needs: the servers that must be at work.
        is_sized: whether it is measured at each size.
        is_quick: whether a quick run has the time for it.
    """

    module: str
    needs: tuple[Service, ...] = ()
    is_sized: bool = True
    is_quick: bool = True


STAGES = {
    "generate": Stage("generate"),
    "produce": Stage("produce", ("kafka",)),
    "mediate": Stage("mediate", ("kafka",)),
    "latency": Stage("latency", ("kafka",), is_sized=False),
    "models": Stage("models", ("postgres",)),
    "end-to-end": Stage("end_to_end", is_quick=False),
}


def benchmark(
    sizes: Annotated[str, typer.Option(help="Records, comma-separated.")] = SIZES,
    stage: Annotated[str, typer.Option(help=f"Only these of {', '.join(STAGES)}, comma-separated.")] = ",".join(STAGES),
    rounds: Annotated[int, typer.Option(help="Measured rounds of each stage and its floor.", min=1)] = ROUNDS,
    quick: Annotated[
        bool, typer.Option("--quick", help="One round of the smallest size, without end-to-end; keeps nothing.")
    ] = False,
) -> None:
    """Measure stages, and update their rows in benchmarks/results.md as soon as each is there."""
    chosen = {name: STAGES[name] for name in stage.split(",") if name in STAGES}
    if len(chosen) != len(stage.split(",")):
        raise UserError(f"--stage {stage}: choose of {', '.join(STAGES)}")
    signal.signal(signal.SIGTERM, as_interrupt)  # else the servers would go on
    tasks = [(QUICK_SIZE, 1)] if quick else [(_size(size), rounds) for size in sizes.split(",")]
    figures = [] if quick else results.read_figures()
    failed = []
    with machine.own_machine() as config:
        header = machine.header(config)
        for name, size, task_rounds in _plan(chosen, tasks, quick):
            try:
                for row in _measure(config, name, Task(config, size, task_rounds, quick)):
                    figures = results.merged(figures, Result(name, size, row, machine.commit()), list(STAGES))
                    if not quick:
                        results.write_figures(figures)
                        results.PAGE.write_text(results.page(figures, header))
            except (StageError, UserError) as error:  # the others are measured all the same
                failed.append(f"{name} at {size:,}")
                _tell(f"{failed[-1]}: FAILED: {error}")
        if quick:
            print(results.page(figures, header))
    if failed:
        raise UserError(f"not measured: {'; '.join(failed)}")


def _size(text: str) -> int:
    if not text.isdecimal() or int(text) < 1000:
        raise UserError(f"--sizes {text}: numbers from 1000, comma-separated")
    return int(text)


def _plan(stages: dict[str, Stage], sizes: list[tuple[int, int]], quick: bool) -> Iterator[tuple[str, int, int]]:
    """Yield what to measure: stages whose figures do not depend on the size once, with the first one."""
    for number, (size, rounds) in enumerate(sizes):
        for name, stage in stages.items():
            if (stage.is_sized or number == 0) and (stage.is_quick or not quick):
                yield name, size if stage.is_sized else 0, rounds


def _measure(config: Settings, name: str, task: Task) -> Iterator[Row]:
    """Measure a stage with its servers at work, and say what was found."""
    began = time.monotonic()
    _tell(f"{name}, {task.records:,} records ..." if task.records else f"{name} ...")
    machine.serve(config, STAGES[name].needs)
    for row in measure_apart(STAGES[name].module, task, config.home / f"{name}.log", _tell):
        times = f", {row.times:.1f} times its floor" if row.times else ""
        _tell(f"  {row.stage}: {row.seconds.median:.2f} s{times}")
        yield row
    _tell(f"  done in {time.monotonic() - began:.0f} s")


def _tell(line: str) -> None:
    out.print(line, markup=False, soft_wrap=True)


if __name__ == "__main__":
    run_command(benchmark)
