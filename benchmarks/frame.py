"""How something is measured: in turns with its floor, with the seconds, the processors and the memory that it took.

The floor is the least that could do the same for this machine. Both are run once unmeasured, then round after round the
floor before the stage, and each round both must say that they did the same.
"""

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import combinations
from types import TracebackType
from typing import Self

import psutil

from ingestion.settings import Service, Settings
from stack import processes

SAMPLE_SECONDS = 0.5
"""Between two looks at the processes: a look takes about 10 ms of a processor."""
SERVERS: dict[Service, str] = {"kafka": "Kafka", "postgres": "PostgreSQL", "thrift": "JVM"}
"""As what a server's processes are counted."""
KINDS = ("Python", "JVM", "Kafka", "PostgreSQL")

Tally = Mapping[str, object]
"""Counts and sums of what was done, taken after the clock has stopped."""


class UnequalWorkError(Exception):
    """A stage and its floor did not do the same, so that their seconds say nothing."""


@dataclass(frozen=True)
class Cost:
    """What one round took.

    Attributes:
        wall: seconds of the clock.
        processor: processor seconds, of each kind of process.
        memory: greatest resident memory seen, in MiB, of each kind of process.
        parts: seconds of the clock of what the round consists of, by name, where that is measured.
    """

    wall: float
    processor: dict[str, float] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    parts: dict[str, float] = field(default_factory=dict)

    @property
    def busy(self) -> float:
        """Processor seconds of all processes together."""
        return sum(self.processor.values())


@dataclass(frozen=True)
class Spread:
    """The middle of some figures, and the least and the greatest of them."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, figures: list[float]) -> Self:
        """Return the spread of one or more figures."""
        return cls(statistics.median(figures), min(figures), max(figures))


class Stopwatch:
    """Measures what is done inside `with`; what stands before and behind it is not counted."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._before: dict[psutil.Process, float] = {}
        self._seconds: dict[psutil.Process, tuple[str, float]] = {}
        self._memory: dict[str, int] = {}
        self._parts: dict[str, float] = {}
        self._wall = 0.0

    def __enter__(self) -> Self:
        self._look()
        self._before = {process: seconds for process, (_, seconds) in self._seconds.items()}
        self._looking = threading.Thread(target=self._look_again, daemon=True)
        self._looking.start()
        self._began = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wall = time.monotonic() - self._began
        self._ended.set()
        self._looking.join()
        self._look()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Measure a part of the whole by the clock."""
        began = time.monotonic()
        yield
        self._parts[name] = time.monotonic() - began

    def cost(self) -> Cost:
        """Return what was measured."""
        processor = dict.fromkeys(self._memory, 0.0)
        for process, (kind, seconds) in self._seconds.items():
            processor[kind] += seconds - self._before.get(process, 0.0)
        return Cost(self._wall, processor, dict(self._memory), dict(self._parts))

    def _look_again(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self._look()

    def _look(self) -> None:
        """Note each process's processor seconds so far; what one that ends does after the last look is not counted."""
        memory: dict[str, int] = {}
        for process, kind in working(self._settings).items():
            with suppress(psutil.Error):
                times = process.cpu_times()
                self._seconds[process] = kind, times.user + times.system
                memory[kind] = memory.get(kind, 0) + _resident(process, kind)
        for kind, size in memory.items():
            self._memory[kind] = max(self._memory.get(kind, 0), size >> 20)


def working(settings: Settings) -> dict[psutil.Process, str]:
    """Return the processes at work with the kind of each: the servers', this one and what it has started."""
    children: dict[int, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            children.setdefault(process.ppid(), []).append(process)
    found: dict[psutil.Process, str] = {}

    def walk(process: psutil.Process, kind: str | None) -> None:
        if process in found:
            return  # a server that this process started
        with suppress(psutil.Error):
            found[process] = kind or ("JVM" if process.name() == "java" else "Python")
            for child in children.get(process.pid, []):
                walk(child, kind)

    for name, kind in SERVERS.items():
        server = processes.running(settings, name)
        if server:
            walk(server, kind)
    walk(psutil.Process(), None)
    return found


def _resident(process: psutil.Process, kind: str) -> int:
    """Return the bytes of a process in memory; what PostgreSQL's processes share is divided among them."""
    if kind == "PostgreSQL":
        full = process.memory_full_info()
        return int(getattr(full, "pss", full.rss))
    return int(process.memory_info().rss)


Side = Callable[[Stopwatch], Tally]
"""Does a stage's or a floor's work, the part that counts inside `with stopwatch`, and returns what it did."""


@dataclass(frozen=True)
class Row:
    """One line of the table: a stage's rounds, and those of its floor, where it has one.

    Attributes:
        stage: what was measured.
        records: how many records a round takes.
        ours, floors: a cost a round.
        load: load average of the machine before the first round.
        is_throughput: whether its seconds are those in which the records are done, and not those that one waits.
    """

    stage: str
    records: int
    ours: list[Cost]
    floors: list[Cost]
    load: float
    is_throughput: bool = True

    @property
    def seconds(self) -> Spread:
        """Seconds of the clock."""
        return Spread.of([cost.wall for cost in self.ours])

    @property
    def floor(self) -> Spread | None:
        """Seconds of the floor."""
        return Spread.of([cost.wall for cost in self.floors]) if self.floors else None

    @property
    def times(self) -> float | None:
        """How many times the floor's seconds the stage takes."""
        return self.seconds.median / self.floor.median if self.floor else None


def measure(
    settings: Settings,
    sides: Mapping[str, Side],
    rounds: int,
    *,
    warm_up: bool,
    tell: Callable[[str], None] = lambda _line: None,
) -> dict[str, list[Cost]]:
    """Run the sides in turns, in their order, and return the costs of each.

    Args:
        settings: where the servers are.
        sides: what to run, by name; what two of them both count must be the same each round.
        rounds: how often.
        warm_up: whether each is run once unmeasured first.
        tell: gets a line after each side of each round.

    Raises:
        UnequalWorkError: two sides did not do the same.
    """
    costs: dict[str, list[Cost]] = {name: [] for name in sides}
    for number in range(-1 if warm_up else 0, rounds):
        tallies = {}
        for name, side in sides.items():
            stopwatch = Stopwatch(settings)
            tallies[name] = dict(side(stopwatch))
            cost = stopwatch.cost()
            tell(f"    {'warm-up' if number < 0 else f'round {number + 1}'}, {name}: {cost.wall:.2f} s")
            if number >= 0:
                costs[name].append(cost)
        for one, other in combinations(tallies.values(), 2):
            shared = one.keys() & other.keys()
            if not shared or any(one[name] != other[name] for name in shared):
                raise UnequalWorkError(f"different work: {tallies}")
    return costs
