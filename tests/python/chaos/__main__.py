"""`make chaos`: strike the pipeline at every stage, and hold what it comes to against a calm run, row for row."""

import shutil
import signal
import tempfile
import time
from dataclasses import astuple
from pathlib import Path
from typing import Annotated

import typer
from own_machine import point_at
from rich.console import Console
from rich.table import Table

from chaos.faults import Stage, held, mediation_at_rest, stages
from chaos.outcome import Difference, Outcome, compare_landed, compare_refilled, compare_served, read_outcome
from chaos.world import ChaosError, World
from ingestion.console import UserError, run_command
from ingestion.producer import as_interrupt
from ingestion.settings import settings

COUNT = 20_000
SEED, CUSTOMERS = 7, 300
ANOMALIES = "missing=1,corrupt=1,duplicate=2,disorder=5"
REFILLED_TOPIC = "chaos_cdr_topic"

out = Console(highlight=False, width=150, soft_wrap=True)


class Harness:
    """The calm run, the stages, and the table that comes of them."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count
        self.file, self.copy = folder / "cdr.json", folder / "produced"
        self.settings = settings()
        self.world = World(self.settings)
        self.table = Table(
            "stage", "fault", "command", "in topic", "landed", "served", "lost", "doubled", "changed", "seconds"
        )
        for column in self.table.columns[3:]:
            column.justify = "right"
        self.failures: list[str] = []

    def calm(self) -> Outcome:
        """Fill the topic once, keep a copy of the home, and run the pipeline in peace."""
        began = time.monotonic()
        world = self.world
        world.telecom("up")
        traffic = ["--count", str(self.count), "--seed", str(SEED), "--customers", str(CUSTOMERS)]
        world.telecom("generate", *traffic, "--anomalies", ANOMALIES, "--out", str(self.file))
        world.telecom("produce", str(self.file))
        world.save(self.copy)
        world.telecom("up")
        world.telecom("run")
        outcome = read_outcome(world)
        self._row("calm", "none", began, Difference())
        if not all((outcome.landed, *outcome.served.values())):
            raise ChaosError("the calm run left a table empty, so that there is nothing to compare")
        return outcome

    def strike(self, stage: Stage, calm: Outcome) -> None:
        """Go through the faults of a stage, run the pipeline, and compare."""
        world = self.world
        topic = REFILLED_TOPIC if stage.refills else self.settings.cdr_topic
        world.settings = self.settings.model_copy(update={"cdr_topic": topic})
        world.restore(self.copy)
        if stage.lands_first:
            world.telecom("mediate", "--once")
        with mediation_at_rest(world, stage):
            for fault in stage.faults:
                began = time.monotonic()
                with held(world, fault.held):
                    command = world.start(*(part.format(file=self.file) for part in fault.work))
                    command.reach(lambda moment=fault.moment: moment(world))  # type: ignore[misc]
                    became = fault.blow(world, command)
                self._row(stage.name, fault.name, began, became=became)
        began = time.monotonic()
        if stage.refills:
            world.telecom("produce", str(self.file))
        self._run_with_a_rival(world)
        found = read_outcome(world)
        landed = (
            compare_refilled(calm, found, world.ends(), REFILLED_TOPIC)
            if stage.refills
            else compare_landed(calm, found)
        )
        difference = landed + compare_served(calm, found)
        self._row(stage.name, "then one `telecom run`", began, difference)
        if difference:
            self.failures.append(f"{stage.name}: not what the calm run gave: {difference}")

    def _run_with_a_rival(self, world: World) -> None:
        """Run the pipeline, and once more while it is at work: the second is refused."""
        run = world.start("run")
        run.reach(lambda: world.dbt_began("rated_usage"))
        world.try_a_second_run()
        if run.end() != 0:
            raise ChaosError(f"`telecom run` failed after the faults: {run.said()[-1500:]}")

    def _row(
        self, stage: str, fault: str, began: float, difference: Difference | None = None, became: str = ""
    ) -> None:
        world = self.world
        found = ["", "", ""] if difference is None else [str(number) for number in astuple(difference)]
        counts = [
            f"{world.in_topic():,}",
            f"{world.landed():,}",
            "-" if world.served() is None else f"{world.served():,}",
        ]
        seconds = f"{time.monotonic() - began:.0f}"
        self.table.add_row(stage, fault, became, *counts, *found, seconds)
        state = f"topic {counts[0]}, landed {counts[1]}, served {counts[2]}"
        out.print(f"{stage}: {fault}: {became or 'done'}: {state}; {seconds} s")


def chaos(
    count: Annotated[int, typer.Option("--count", min=1_000, help="How many records go through each stage.")] = COUNT,
    only: Annotated[str | None, typer.Option("--stage", help="Strike at this stage alone.")] = None,
) -> None:
    """Strike the pipeline at every stage; exit code 1 where anything is lost, doubled or changed."""
    matrix = [stage for stage in stages(count) if only in (None, stage.name)]
    if not matrix:
        raise UserError(f"--stage {only}: choose one of {', '.join(stage.name for stage in stages(count))}")
    folder = Path(tempfile.mkdtemp(prefix="telecom-chaos-"))
    point_at(folder / "home")
    signal.signal(signal.SIGTERM, as_interrupt)  # else a job that takes too long would leave its servers behind
    harness = Harness(folder, count)
    try:
        calm = harness.calm()
        for stage in matrix:
            try:
                harness.strike(stage, calm)
            except UserError as error:
                harness.failures.append(f"{stage.name}: {error}")
                out.print(f"{stage.name}: FAILED: {error}")
    finally:
        harness.world.kill_all()
        out.print(harness.table)
    if harness.failures:
        raise UserError(f"{'; '.join(harness.failures)} (all of it is in {folder})")
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    run_command(chaos)
