"""What was aimed at, and for each figure that misses its limit why it does: the one place for both."""

from dataclasses import dataclass

from benchmarks.frame import Row

SIZE, LARGER_SIZE = 1_000_000, 5_000_000
"""Records at which the limits hold, and those whose time a record is compared with that."""
UNEXPLAINED = "over, and not explained yet"


@dataclass(frozen=True)
class Limit:
    """A limit of one row.

    Attributes:
        stage: the row's name.
        times: the greatest ratio to the floor.
        seconds: the greatest number of seconds.
        rate: the least number of records a second.
        reason: why the figure is over the limit, where it is.
        at_any_size: whether it holds for every size, and not for SIZE alone.
    """

    stage: str
    times: float | None = None
    seconds: float | None = None
    rate: float | None = None
    reason: str = ""
    at_any_size: bool = False

    def at(self, size: int) -> bool:
        """Return whether the limit holds for a size."""
        return self.at_any_size or size == SIZE

    def text(self) -> str:
        """Return what is wanted."""
        if self.rate is not None:
            return f"≥ {self.rate:,.0f}/s"
        return f"≤ {self.times} times" if self.times is not None else f"≤ {self.seconds:g} s"

    def verdict(self, row: Row, times: float | None) -> str:
        """Return why a row is over its limit, or nothing where it is not."""
        over = (
            (self.times is not None and times is not None and times > self.times)
            or (self.seconds is not None and row.seconds.median > self.seconds)
            or (self.rate is not None and row.records / row.seconds.median < self.rate)
        )
        return (self.reason or UNEXPLAINED) if over else ""


WITHOUT_ROWS = "most of it is analysis and compilation, not rows: docs/decisions/0036"

LIMITS = (
    Limit("generate", rate=200_000),
    Limit(
        "mediate, one run",
        times=3.5,
        reason="the floor reads no field, judges and writes nothing: docs/decisions/0023",
    ),
    Limit("micro-batch 50, beside micro-batch 5", times=1.2),
    Limit("rate, first", times=5),
    Limit("bill", times=1, reason="it writes nearly four times as many rows as rating: docs/decisions/0053"),
    Limit("export", times=2),
    Limit("dbt run --select rating+, nothing new", seconds=60, reason=WITHOUT_ROWS, at_any_size=True),
    Limit("dbt run --select rating+, nothing new, again", seconds=60, reason=WITHOUT_ROWS, at_any_size=True),
    Limit("latency to commit, longest", seconds=10, at_any_size=True),
)

GROWTH = 1.1
"""The time a record at LARGER_SIZE takes at most this many times that at SIZE."""
GROWTH_REASONS: dict[str, str] = {}
"""Why a stage's time a record grows more, by the row's name."""
