"""What `telecom purge` would take: what is held of each month, and which months may go."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

import psycopg
from rich.table import Table

from ingestion.console import UserError, out
from ingestion.settings import Settings
from serving.close import billing_timezone
from stack import thrift

# A partner may call a record what he likes: only a row without its bytes is emptied. An error may have no time, or a
# wrong one: it goes with the month in which it was landed, or with that of its own time if that is earlier.
LANDED = """
with landed as (
    select
        if(status = 'error', least(event_time, landed_at), event_time) as moment,
        _metadata.file_path
    from landing.cdr
    where not record_type <=> 'purged' or raw is not null
)
select date_format(from_utc_timestamp(moment, '{zone}'), 'yyyy-MM'), count(*), count(distinct file_path)
from landed
where moment < {until}
group by 1
"""
USAGE = """
select
    to_char(event_time at time zone %(zone)s, 'YYYY-MM'), count(*), count(*) filter (where rating_status <> 'rated')
from usage_records
where event_time < %(until)s
group by 1
"""
CORRECTED = """
select distinct usage_month from bill_lines inner join bills using (bill_id) where state = 'draft'
"""


@dataclass(frozen=True)
class Holding:
    """What is held of a month: landed rows that are not emptied and the files they are in, usage records in PostgreSQL,
    and how many of those never got a price."""

    landed: int = 0
    files: int = 0
    usage: int = 0
    unpriced: int = 0


@dataclass(frozen=True)
class Stock:
    """What is held before a day, by the first day of its month, and what decides whether it may go."""

    held: Mapping[date, Holding]
    closed_through: date | None = None
    corrected: frozenset[date] = frozenset()
    """Months that open bills name: what they come to today is on no final bill yet."""
    purged_through: date | None = None


@dataclass(frozen=True)
class Choice:
    """The last month to purge, all before it included, or none; and each month that stays, with its reason."""

    through: date | None = None
    left: list[str] = field(default_factory=list)


def choose(stock: Stock, day: date) -> Choice:
    """Return which months go: whole ones that ended by `day`, closed, no more corrected, and all before them too."""
    through: date | None = None
    left: list[str] = []
    for month in sorted(month for month in stock.held if month < day):
        why = _why_left(stock, month, day) or ("after one that stays" if left else None)
        if why:
            left.append(f"{month:%Y-%m} ({why})")
        elif stock.held[month].usage or (stock.purged_through and month <= stock.purged_through):
            through = max(month, stock.purged_through or month)
    return Choice(through, left)


def _why_left(stock: Stock, month: date, day: date) -> str | None:
    if stock.purged_through and day < (again := following(stock.purged_through)):
        return f"purged with those up to {stock.purged_through:%Y-%m}; --before {again} repeats it"
    if following(month) > day:
        return f"{day} falls in it"
    if not stock.closed_through or month > stock.closed_through:
        return "open"
    return "open bills correct it" if month in stock.corrected else None


def following(month: date) -> date:
    """Return the first day of the month after."""
    return (month + timedelta(days=32)).replace(day=1)


def take_stock(settings: Settings, day: date) -> Stock:
    """Count what the landing zone and PostgreSQL hold of the months up to a day.

    Raises:
        UserError: a server does not answer.
    """
    zone = billing_timezone()
    until = datetime.combine(day, time(), zone)
    landed = thrift.execute(settings, LANDED.format(zone=zone.key, until=spark_literal(until)))
    with owner(settings) as connection:
        usage = connection.execute(USAGE, {"zone": zone.key, "until": until}).fetchall()
        corrected = connection.execute(CORRECTED).fetchall()
        closed = connection.execute("select max(month) from billing_months").fetchall()[0][0]
        purged = connection.execute("select max(purged_through) from purges").fetchall()[0][0]
    files = {period: counts for period, *counts in landed}
    records = {period: counts for period, *counts in usage}
    held = {
        _month(period): Holding(*files.get(period, (0, 0)), *records.get(period, (0, 0)))
        for period in files.keys() | records.keys()
    }
    return Stock(held, closed, frozenset(_month(row[0]) for row in corrected if row[0]), purged)


def show(stock: Stock, choice: Choice, day: date) -> None:
    """Print what goes as a table, and in one line what stays although it lies before the day."""
    going = [month for month in sorted(stock.held) if choice.through and month <= choice.through]
    if going:
        table = Table("month", "landed rows", "in files", "usage records", "never priced")
        for column in table.columns[1:]:
            column.justify = "right"
        for month in going:
            row = stock.held[month]
            table.add_row(f"{month:%Y-%m}", *(f"{n:,}" for n in (row.landed, row.files, row.usage, row.unpriced)))
        out.print(table)
    else:
        out.print(f"Nothing to purge before {day}.")
    if choice.left:
        out.print(f"Left: {', '.join(choice.left)}", soft_wrap=True)


@contextmanager
def owner(settings: Settings) -> Iterator[psycopg.Connection]:
    """Open a transaction of PostgreSQL's owner."""
    try:
        with psycopg.connect(**settings.postgres_connection("owner")) as connection:  # type: ignore[arg-type]
            yield connection
    except psycopg.Error as error:
        raise UserError(f"PostgreSQL at {settings.pghost}:{settings.pgport}/{settings.pgdatabase}: {error}") from None


def _month(period: str) -> date:
    return date.fromisoformat(f"{period}-01")


def spark_literal(moment: datetime) -> str:
    """Return an instant as Spark SQL."""
    return f"timestamp '{moment.astimezone(UTC).isoformat()}'"
