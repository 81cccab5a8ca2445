"""The figures of the last runs, kept in `figures.json` beside the page that is written from them: `results.md`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from benchmarks.frame import KINDS, Cost, Row, Spread
from benchmarks.limits import GROWTH, GROWTH_REASONS, LARGER_SIZE, LIMITS, SIZE, UNEXPLAINED

PAGE = Path(__file__).with_name("results.md")
FIGURES = Path(__file__).with_name("figures.json")
"""Not kept under version control: it is there so that a stage can be measured again by itself."""

END_TO_END, TOGETHER = "end to end", "the stages together"
CHAIN = ("generate", "produce, kafka-python", "mediate, one run", "rate, first", "bill", "export")
"""The rows that together are the whole; billing has no floor of its own."""
GROWING = (*CHAIN, "produce, librdkafka", "mediate, 50 batches", END_TO_END)
"""The rows whose time a record must not grow with their number."""
NONE = "-"
NOT_COVERED = """\
## What these figures do not cover

- One machine with all servers on the same processors, one broker, one replica, local disks, no TLS: nothing about a
  cluster, and the servers' share of the processors is in every figure.
- Rating and billing take a made-up catalogue of 2,000 rates and 50,000 prefixes, all customers known, all records
  ratable; a record's errors and a customer's changes of plan cost other figures. No month is closed.
- The floors of rating and of the export work on that world, those of the stages before on generated traffic of 10,000
  customers, so that the floor of the whole is a sum over two kinds of records. It has no part for billing.
- Warm sessions, but for `end to end` and the latency: a command's own start (Python, the JVM, dbt: 10 to 20 s) is only
  in those two and where dbt's runs are measured.
- Nothing waits for the disk to have the generator's file or the landing zone's; only what Kafka and
  PostgreSQL do by themselves is in the figures.
- Memory is looked at twice a second: a peak between two looks is missed. A JVM takes what its limit lets it have before
  it collects, so that its memory says little about what it needs.
- Invoices, reports, `telecom quote`, replays and maintenance of the landing zone are not measured here.
""".splitlines()


@dataclass(frozen=True)
class Result:
    """A row, and where it comes from.

    Attributes:
        stage: the stage that measured it.
        size: how many records that stage was given.
        row: the figures.
        measured: day and commit.
    """

    stage: str
    size: int
    row: Row
    measured: str


RESULTS = TypeAdapter(list[Result])


def read_figures() -> list[Result]:
    """Return the figures of earlier runs."""
    return RESULTS.validate_json(FIGURES.read_bytes()) if FIGURES.exists() else []


def write_figures(results: Sequence[Result]) -> None:
    """Keep the figures for later runs."""
    FIGURES.write_bytes(RESULTS.dump_json(list(results), indent=1))


def merged(before: Sequence[Result], new: Result, stages: Sequence[str]) -> list[Result]:
    """Return results with a new one in place of that of the same row and size, in order of stage, row and size."""
    kept = [result for result in before if (result.row.stage, result.size) != (new.row.stage, new.size)]
    by_stage = sorted([*kept, new], key=lambda result: stages.index(result.stage))
    names = list(dict.fromkeys(result.row.stage for result in by_stage))
    return sorted(by_stage, key=lambda result: (names.index(result.row.stage), result.size))


def page(results: Sequence[Result], header: Sequence[str]) -> str:
    """Return the page of results as Markdown."""
    return "\n".join(
        [
            "# What the pipeline takes",
            "",
            *header,
            "",
            *_times(results),
            *_growth(results),
            *_costs(results),
            *_parts(results),
            *NOT_COVERED,
            *_gaps(results),
            "",
        ]
    )


def together(results: Sequence[Result]) -> list[Result]:
    """Return for each size at which all stages were measured what they and their floors take together."""
    sums = []
    for size in dict.fromkeys(result.size for result in results):
        chain = {
            result.row.stage: result.row for result in results if result.size == size and result.row.stage in CHAIN
        }
        if len(chain) == len(CHAIN):
            floors = [row.floor.median for stage, row in chain.items() if row.floor and stage != "bill"]
            ours = sum(row.seconds.median for row in chain.values())
            row = Row(TOGETHER, size, [Cost(ours)], [Cost(sum(floors))], 0.0)
            sums.append(Result(TOGETHER, size, row, ""))
    return sums


def _times(results: Sequence[Result]) -> list[str]:
    columns = ("stage", "records", "seconds", "floor", "times", "limit", "records/s", "why it is over its limit")
    sums = together(results)
    floors = {result.size: result.row.floor for result in sums}
    rows = []
    for result in (*results, *sums):
        row = result.row
        floor = floors.get(result.size) if row.stage == END_TO_END else row.floor
        times = row.seconds.median / floor.median if floor else None
        limit = next((one for one in LIMITS if one.stage == row.stage and one.at(result.size)), None)
        rate = f"{row.records / row.seconds.median:,.0f}" if row.is_throughput else NONE
        what = (row.stage, f"{row.records:,}", _spread(row.seconds), _spread(floor) if floor else NONE, _number(times))
        rows.append((*what, limit.text() if limit else NONE, rate, limit.verdict(row, times) if limit else ""))
    about = (
        "Seconds are medians, the least and the greatest in brackets; `times` is the median beside the floor's. The "
        f"floor of `bill` is rating, that of `{END_TO_END}` the sum of the stages' own."
    )
    return ["## Beside the floor", "", about, "", *_table(columns, rows)]


def _growth(results: Sequence[Result]) -> list[str]:
    sizes = {(result.row.stage, result.size): result.row.seconds.median for result in results}
    rows = []
    for stage in dict.fromkeys(result.row.stage for result in results):
        if stage in GROWING and {(stage, SIZE), (stage, LARGER_SIZE)} <= sizes.keys():
            small, large = (sizes[stage, size] / size * 1e6 for size in (SIZE, LARGER_SIZE))
            reason = (GROWTH_REASONS.get(stage) or UNEXPLAINED) if large > GROWTH * small else ""
            rows.append((stage, f"{small:.1f}", f"{large:.1f}", f"{large / small:.2f}", f"≤ {GROWTH}", reason))
    if not rows:
        return []
    columns = ("stage", f"{SIZE:,}", f"{LARGER_SIZE:,}", "times", "limit", "why it is over its limit")
    about = "Microseconds that a record takes at two sizes."
    return ["## How it grows", "", about, "", *_table(columns, rows)]


def _costs(results: Sequence[Result]) -> list[str]:
    rows = []
    for result in results:
        row = result.row
        busy = Spread.of([cost.busy for cost in row.ours])
        floor = Spread.of([cost.busy for cost in row.floors]) if row.floors else None
        if not busy.greatest:
            continue  # noted while another row was measured
        memory = (max((cost.memory.get(kind, 0) for cost in row.ours), default=0) for kind in KINDS)
        times = _number(busy.median / floor.median) if floor and floor.median else NONE
        what = (row.stage, f"{row.records:,}", _spread(busy), _spread(floor) if floor else NONE, times)
        rows.append(
            (
                *what,
                *(f"{size:,}" if size else NONE for size in memory),
                len(row.ours),
                f"{row.load:.1f}",
                result.measured,
            )
        )
    columns = ("stage", "records", "processor s", "floor", "times", *KINDS, "rounds", "load before", "measured")
    about = (
        "Processor seconds of all processes together, those of the servers included, and the greatest resident memory "
        "of each in MiB. They tell more than the clock where other work had its share of the machine."
    )
    return ["## Processors and memory", "", about, "", *_table(columns, rows)]


def _parts(results: Sequence[Result]) -> list[str]:
    rows = []
    for result in results:
        for whose, costs in (("", result.row.ours), ("floor: ", result.row.floors)):
            for name in costs[0].parts if costs else ():
                spread = Spread.of([cost.parts[name] for cost in costs])
                rows.append((result.row.stage, f"{result.row.records:,}", f"{whose}{name}", _spread(spread)))
    if not rows:
        return []
    return ["## What the seconds are made of", "", *_table(("stage", "records", "part", "seconds"), rows)]


def _gaps(results: Sequence[Result]) -> list[str]:
    """Return a line on what was not measured at the sizes that are compared, or measured once only."""
    rounds = {(result.row.stage, result.size): len(result.row.ours) for result in results}
    asked = [(stage, size) for size in (SIZE, LARGER_SIZE) for stage in GROWING]
    texts = []
    for what, times in (("not measured", 0), ("measured in one round only", 1)):
        found = [f"{stage} at {size:,}" for stage, size in asked if rounds.get((stage, size), 0) == times]
        texts += [f"{what}: {', '.join(found)}"] if found else []
    return [f"- Here {'; '.join(texts)}."] if texts else []


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [columns, ["---"] * len(columns), *rows]
    return [*(f"| {' | '.join(map(str, line))} |" for line in lines), ""]


def _number(figure: float | None) -> str:
    if figure is None:
        return NONE
    if figure >= 10:
        return f"{figure:,.1f}"
    return f"{figure:.2f}" if figure >= 0.1 else f"{figure:.3f}"


def _spread(spread: Spread) -> str:
    if spread.least == spread.greatest:
        return _number(spread.median)
    return f"{_number(spread.median)} ({_number(spread.least)} to {_number(spread.greatest)})"
