"""`make soak`: the live pipeline for an hour, sampled all the while; what it took is written to docs/soak.md.

The generator sends at a fixed rate, mediation streams, and `telecom run` follows every few minutes, each as the
command that an operator types, on servers in a home of their own.
"""

import csv
import json
import os
import shutil
import signal
import statistics
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import psutil
import typer
from chaos.world import ChaosError, Command, World
from own_machine import point_at
from rich.console import Console

from benchmarks import machine
from ingestion.console import UserError, run_command
from ingestion.producer import as_interrupt
from ingestion.settings import PROJECT_ROOT, settings
from stack import processes

PAGE, PICTURE = PROJECT_ROOT / "docs" / "soak.md", PROJECT_ROOT / "docs" / "pictures" / "soak.svg"
SEED, CUSTOMERS = 11, 1_000
ANOMALIES = "missing=1,corrupt=1,duplicate=2,disorder=5"
SAMPLE_SECONDS = 15
WARM_UP = 1 / 6
"""The part of the time that is not judged: caches fill, and the JVMs compile."""
FLAT = 1.25
"""How much higher the median of the last third may be than that of the first, after the warm-up."""
PATIENCE = 600
"""Seconds until what was sent must be landed."""

CEILINGS = {"mediation": 1024 + 1024, "thrift": 2048 + 1024, "kafka": 384 + 640, "postgres": 256 + 256}
"""MiB. The heap of a JVM or PostgreSQL's cache, which fill by and by, and what may come on top: classes, compiled code,
threads, buffers, sessions."""
HANDLES = tuple(f"{name} handles" for name in CEILINGS)
FLAT_ONES = (*HANDLES, "landing files read")
KEPT = ("landing files on disk", "landing log", "seen files", "warehouse files")
out = Console(highlight=False, width=150, soft_wrap=True)


@dataclass
class DeltaLog:
    """A Delta table's log, read commit by commit: its files, and how many rows ever came."""

    folder: Path
    files: set[str] = field(default_factory=set)
    rows: int = 0
    _next: int = 0

    def follow(self) -> None:
        """Read the commits since the last time."""
        while (commit := self.folder / f"{self._next:020}.json").exists():
            for line in commit.read_text().splitlines():
                action = json.loads(line)
                if "add" in action:
                    self.files.add(action["add"]["path"])
                    # compaction writes rows again, which changes no data
                    self.rows += json.loads(action["add"]["stats"])["numRecords"] if action["add"]["dataChange"] else 0
                if "remove" in action:
                    self.files.discard(action["remove"]["path"])
            self._next += 1


@dataclass
class Soak:
    """The pipeline at work, and what was seen of it."""

    world: World
    samples: list[dict[str, float]] = field(default_factory=list)
    runs: list[tuple[float, float]] = field(default_factory=list)
    """When each `telecom run` began, and how long it took, in seconds."""

    def live(self, minutes: int, rate: int, every: int) -> None:
        """Let it all work for some minutes, and a little longer until everything is landed."""
        mediation = self.world.start("mediate")
        traffic = ["--seed", str(SEED), "--customers", str(CUSTOMERS), "--anomalies", ANOMALIES]
        count = rate * minutes * 60
        generator = self.world.start("generate", "--kafka", "--count", str(count), "--rate", str(rate), *traffic)
        self.began, run, log = time.monotonic(), None, DeltaLog(Path(self.world.settings.landing_table, "_delta_log"))
        while generator.process.poll() is None or log.rows < count:
            mediation.must_be_at_work()
            if self.seconds() > minutes * 60 + PATIENCE:
                raise ChaosError(f"{log.rows:,} of {count:,} records are landed: {mediation.said()[-600:]}")
            run = self._run_when_due(run, every)
            self._sample(mediation, log)
            time.sleep(SAMPLE_SECONDS - self.seconds() % SAMPLE_SECONDS)
        if run is not None:
            self._ended(run)
        mediation.process.send_signal(signal.SIGTERM)
        if mediation.end() or generator.end():
            raise ChaosError(f"mediation or the generator failed: {mediation.said()[-600:]}")

    def save(self, path: Path) -> None:
        """Write the samples as CSV, whatever became of the rest."""
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.samples[0].keys() if self.samples else ())
            writer.writeheader()
            writer.writerows(self.samples)

    def seconds(self) -> float:
        """Return the seconds since the first record."""
        return time.monotonic() - self.began

    def _run_when_due(self, run: Command | None, every: int) -> Command | None:
        if run is not None and run.process.poll() is not None:
            self._ended(run)
            run = None
        if run is None and self.seconds() >= every * 60 * (len(self.runs) + 1):
            self.runs.append((self.seconds(), 0.0))
            run = self.world.start("run")
        return run

    def _ended(self, run: Command) -> None:
        if run.end() != 0:
            raise ChaosError(f"`telecom run` failed: {run.said()[-1500:]}")
        began, _ = self.runs[-1]
        self.runs[-1] = (began, self.seconds() - began)
        out.print(f"{began / 60:.0f} min: a run, {self.runs[-1][1]:.0f} s")

    def _sample(self, mediation: Command, log: DeltaLog) -> None:
        log.follow()
        config, sample = self.world.settings, {"seconds": self.seconds()}
        for name in CEILINGS:
            own = name == "mediation"
            memory, handles = weigh(psutil.Process(mediation.process.pid) if own else processes.running(config, name))
            sample |= {name: memory, f"{name} handles": handles}
        landing = Path(config.landing_table)
        sample |= {
            "lag": self.world.in_topic() - log.rows,
            "landed": log.rows,
            "landing files read": len(log.files),
            "landing files on disk": count_files(landing, "*.parquet")
            - count_files(landing / "_delta_log", "*.parquet"),
            "landing log": count_files(landing / "_delta_log", "*"),
            "seen files": count_files(config.home / "seen", "*"),
            "warehouse files": count_files(Path(config.warehouse_root), "*"),
        }
        self.samples.append(sample)
        if len(self.samples) % 20 == 1:
            said = ", ".join(f"{name} {value:,.0f}" for name, value in sample.items() if name != "seconds")
            out.print(f"{sample['seconds'] / 60:.0f} min: {said}")


def weigh(parent: psutil.Process | None) -> tuple[float, int]:
    """Return what memory a process and its children have for themselves, in MiB, and how many open handles."""
    if parent is None:
        raise ChaosError("a server is gone")
    memory, handles = 0, 0
    for process in (parent, *parent.children(recursive=True)):
        try:
            memory += process.memory_full_info().uss
            handles += process.num_fds()
        except psutil.NoSuchProcess:
            continue  # a session of PostgreSQL that ended just now
    return memory / 2**20, handles


def count_files(folder: Path, pattern: str) -> int:
    """Return how many files of a folder match, at any depth."""
    return sum(1 for file in folder.rglob(pattern) if not file.is_dir())


def thirds(samples: list[dict[str, float]], name: str) -> tuple[float, float, float]:
    """Return the medians of the first and the last third after the warm-up, and the highest value."""
    judged = samples[int(len(samples) * WARM_UP) :]
    values = [sample[name] for sample in judged]
    third = len(values) // 3
    return statistics.median(values[:third]), statistics.median(values[-third:]), max(values)


def verdicts(samples: list[dict[str, float]]) -> Iterable[str]:
    """Return what is not as it should be."""
    for name, ceiling in CEILINGS.items():
        highest = max(sample[name] for sample in samples)
        if highest > ceiling:
            yield f"{name} took {highest:,.0f} MiB, more than {ceiling:,}"
    for name in FLAT_ONES:
        first, last, _ = thirds(samples, name)
        if last > first * FLAT:
            yield f"{name} grew from {first:,.0f} to {last:,.0f}"


def draw(soak: Soak) -> None:
    """Draw what was seen as a picture."""
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "soak"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(5, 1, figsize=(9, 13), sharex=True, layout="constrained")
    minutes = [sample["seconds"] / 60 for sample in soak.samples]

    def lines(number: int, title: str, names: Iterable[str]) -> None:
        for name in names:
            axes[number].plot(minutes, [sample[name] for sample in soak.samples], label=name, linewidth=1.2)
        axes[number].set_title(title, loc="left", fontsize=10)
        axes[number].set_ylim(bottom=0)
        axes[number].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8)

    lines(0, "Memory, MiB", CEILINGS)
    lines(1, "Open handles", HANDLES)
    lines(2, "Lag: messages in the topic that are not landed", ("lag",))
    lines(3, "Files", ("landing files read", *KEPT))
    axes[4].bar([began / 60 for began, _ in soak.runs], [took for _, took in soak.runs], width=1.5, align="edge")
    axes[4].set_title("`telecom run`, seconds", loc="left", fontsize=10)
    axes[4].set_xlabel("minutes")
    figure.savefig(PICTURE, metadata={"Date": None})


def page(soak: Soak, minutes: int, rate: int, every: int, summary: str) -> str:
    """Return the page of a soak."""

    def table(names: Iterable[str]) -> Iterable[str]:
        yield "| | first third | last third | highest | last / first |\n| --- | ---: | ---: | ---: | ---: |"
        for name in names:
            first, last, highest = thirds(soak.samples, name)
            ratio = f"{last / first:.2f}" if first else "-"
            yield f"| {name} | {first:,.0f} | {last:,.0f} | {highest:,.0f} | {ratio} |"

    took = [seconds for _, seconds in soak.runs]
    lag = [sample["lag"] for sample in soak.samples[int(len(soak.samples) * WARM_UP) :]]
    return "\n".join(
        [
            "# A soak",
            "",
            *machine.header(soak.world.settings),
            f"Measured {machine.commit()}.",
            "",
            f"Written by `make soak`: {minutes} minutes in which `telecom generate --kafka` sent {rate} records a",
            f"second, `telecom mediate` landed them, and `telecom run` rated and billed them every {every} minutes,",
            f"all on this one machine. A sample every {SAMPLE_SECONDS} seconds; medians of the thirds after the first",
            f"{minutes * WARM_UP:.0f} minutes, in which the JVMs start and compile. Memory is what a process and its",
            "children have for themselves.",
            "",
            "![memory, handles, lag, files and runs over time](pictures/soak.svg)",
            "",
            "## Memory",
            "",
            "A JVM takes what its heap may have before it collects, and PostgreSQL fills its cache with the tables, so",
            "both grow until they have it. The command fails where one took more than that and what comes on top.",
            "",
            "| MiB | first third | last third | highest | at most |",
            "| --- | ---: | ---: | ---: | ---: |",
            *(
                f"| {name} | {first:,.0f} | {last:,.0f} | {highest:,.0f} | {ceiling:,} |"
                for name, ceiling in CEILINGS.items()
                for first, last, highest in [thirds(soak.samples, name)]
            ),
            "",
            "## Handles and files that are read",
            "",
            f"The command fails where the last third is over {FLAT} times the first.",
            "",
            *table(FLAT_ONES),
            "",
            f"Lag, in messages: median {statistics.median(lag):,.0f}, highest {max(lag):,.0f}, "
            f"in the end {lag[-1]:,.0f}.",
            "",
            "## What is kept for a time",
            "",
            "Files that a reader may still need: Delta's log for a week, data files that were written into larger ones",
            "for a day in the landing zone and until `vacuum` in dbt's tables ([operations](operations.md#retention)).",
            "",
            *table(KEPT),
            "",
            "## The runs",
            "",
            f"{len(took)} of them beside the stream, {min(took):.0f} to {max(took):.0f} s; each bills the whole open",
            "month anew. One more after the stream had stopped ended so:",
            "",
            "```",
            summary.strip(),
            "```",
            "",
        ]
    )


def soak(
    minutes: Annotated[int, typer.Option("--minutes", min=5, help="How long records come.")] = 60,
    rate: Annotated[int, typer.Option("--rate", min=1, help="Records a second.")] = 100,
    every: Annotated[int, typer.Option("--every", min=1, help="Minutes from a run's begin to the next.")] = 5,
    keep: Annotated[bool, typer.Option("--keep/--no-keep", help="Write docs/soak.md and its picture.")] = True,
) -> None:
    """Let the pipeline work for an hour; exit code 1 where memory, handles or files grow, or anything is lost."""
    folder = Path(tempfile.mkdtemp(prefix="telecom-soak-"))
    point_at(folder / "home")
    signal.signal(signal.SIGTERM, as_interrupt)
    world = World(settings())
    live = Soak(world)
    try:
        world.telecom("up")
        people = ["--seed", str(SEED), "--customers", str(CUSTOMERS), "--load-customers"]
        world.telecom("generate", "--count", "1", *people, "--out", str(folder / "one.json"))
        live.live(minutes, rate, every)
        summary = world.telecom("run")
        sent, served = rate * minutes * 60, world.served()
        if world.in_topic() != sent or live.samples[-1]["landed"] != sent or not served:
            raise ChaosError(f"sent {sent:,}, in the topic {world.in_topic():,}, landed and served otherwise")
        if keep:
            PAGE.write_text(page(live, minutes, rate, every, summary))
            draw(live)
    finally:
        world.kill_all()
        live.save(folder / "samples.csv")
    if grown := list(verdicts(live.samples)):
        raise UserError(f"{'; '.join(grown)} (all of it is in {folder})")
    shutil.rmtree(folder, ignore_errors=True)
    out.print(f"nothing grew in {minutes} minutes" + (f": {os.path.relpath(PAGE)}" if keep else ""))


if __name__ == "__main__":
    run_command(soak)
