"""What a pipeline has come to, and how it differs from what another one came to."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from chaos.world import World
from ingestion.landing import LANDING_COLUMNS
from stack import thrift

Row = tuple[Any, ...]
Rows = dict[Hashable, list[Row]]
"""Rows by their key; a key with two rows is a record that is there twice."""

WHEN = {"landed_at", "batch_id", "rated_at", "issued_at"}
"""Columns that say when something was done, and are another run's business."""
PLACE = ("topic", "partition", "offset")
LANDED = tuple(name for name in LANDING_COLUMNS if name not in WHEN)
KEYS = {"usage_records": ("record_id",), "bills": ("bill_id",), "bill_lines": ("bill_id", "line_no")}


@dataclass(frozen=True)
class Outcome:
    """The landing zone by topic, partition and offset, and the served tables by their primary keys."""

    landed: Rows
    served: dict[str, Rows]

    def lines(self) -> Rows:
        """Return what was landed by content, for topics that were filled twice.

        A good record is known by its record_id; a line that is in error, by its bytes, and counts once.
        """
        found: Rows = {}
        status, record_id, raw = (LANDED.index(name) for name in ("status", "record_id", "raw"))
        content = [place for place, name in enumerate(LANDED) if name not in (*PLACE, "ingested_at")]
        for rows in self.landed.values():
            for row in rows:
                line = tuple(row[place] for place in content)
                if row[status] == "normal":
                    found.setdefault(("normal", row[record_id]), []).append(line)
                elif row[status] == "error":
                    found["error", row[raw]] = [line]
        return found


@dataclass(frozen=True)
class Difference:
    """Records that are missing, that are there once too often, and that have other values."""

    lost: int = 0
    doubled: int = 0
    changed: int = 0

    def __add__(self, other: "Difference") -> "Difference":
        return Difference(self.lost + other.lost, self.doubled + other.doubled, self.changed + other.changed)

    def __bool__(self) -> bool:
        return self != Difference()


def read_outcome(world: World) -> Outcome:
    """Read everything that the pipeline of a world has come to."""
    columns = ", ".join(f"hex({name})" if name == "raw" else name for name in LANDED)
    landed = thrift.execute(world.settings, f"select {columns} from landing.cdr")
    with psycopg.connect(**world.settings.postgres_connection()) as connection:  # type: ignore[arg-type]
        served = {table: _served(connection, table, key) for table, key in KEYS.items()}
    return Outcome(_by_key(landed, [LANDED.index(name) for name in PLACE]), served)


def compare(calm: Rows, found: Rows) -> Difference:
    """Return how far what was found is from what a calm run gave."""
    return Difference(
        lost=sum(
            len(rows) - len(found.get(key, ())) for key, rows in calm.items() if len(rows) > len(found.get(key, ()))
        ),
        doubled=sum(
            len(rows) - len(calm.get(key, ())) for key, rows in found.items() if len(rows) > len(calm.get(key, ()))
        ),
        changed=sum(
            Counter(map(str, rows)) != Counter(map(str, found[key]))
            for key, rows in calm.items()
            if len(rows) == len(found.get(key, ()))
        ),
    )


def compare_served(calm: Outcome, found: Outcome) -> Difference:
    """Return how far the served tables are from those of a calm run."""
    return sum((compare(calm.served[table], found.served[table]) for table in KEYS), Difference())


def compare_landed(calm: Outcome, found: Outcome) -> Difference:
    """Return how far the landing zone is from a calm run's of the same topic."""
    return compare(calm.landed, found.landed)


def compare_refilled(calm: Outcome, found: Outcome, ends: Mapping[int, int], topic: str) -> Difference:
    """Return how far a landing zone is from the calm one, and from its own topic, into which lines were sent twice.

    Args:
        calm: what a topic gave that got each line once.
        found: what was landed of the other topic.
        ends: the offset at which each partition of that topic ends.
        topic: its name.
    """
    sent: Rows = {(topic, partition, offset): [()] for partition, end in ends.items() for offset in range(end)}
    got: Rows = {key: [() for _ in rows] for key, rows in found.landed.items()}
    return compare(sent, got) + compare(calm.lines(), found.lines())


def _served(connection: psycopg.Connection, table: str, key: Iterable[str]) -> Rows:
    cursor = connection.execute(sql.SQL("select * from {}").format(sql.Identifier(table)))
    names = [column.name for column in cursor.description or ()]
    kept = [place for place, name in enumerate(names) if name not in WHEN]
    rows = [tuple(row[place] for place in kept) for row in cursor]
    names = [names[place] for place in kept]
    return _by_key(rows, [names.index(name) for name in key])


def _by_key(rows: Iterable[Row], key: list[int]) -> Rows:
    found: Rows = {}
    for row in rows:
        found.setdefault(tuple(row[place] for place in key), []).append(row)
    return found
