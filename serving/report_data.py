"""What the report shows, asked of the landing zone and dbt's tables on Spark, and of PostgreSQL as its reader.

Subscribers are seen through the reader's views alone, in which every number is a keyed pseudonym.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

import psycopg
from psycopg.rows import class_row

from ingestion.console import UserError
from ingestion.settings import Settings
from ingestion.transform import project_variable
from stack import thrift

TOP_CUSTOMERS = 10
Row = TypeVar("Row")

# One pass over the usage: every figure of the page but the customers is a sum of these rows.
USAGE = """
select
    extract(hour from event_time at time zone %(timezone)s)::int as hour,
    record_type as service,
    zone,
    rate_plan_id as plan,
    rating_status as status,
    status_reason as reason,
    currency,
    count(*) as records,
    coalesce(sum(cost), 0) as cost,
    min(event_time) as first_event,
    max(event_time) as last_event,
    max(rated_at) as rated_at
from reporting.usage_records
group by 1, 2, 3, 4, 5, 6, 7
"""

# The pseudonyms are computed for the few customers that are shown.
CUSTOMERS = """
with spent as (
    select customer_id, currency, count(*) as records, sum(cost) as cost
    from reporting.usage_records
    where rating_status = 'rated'
    group by customer_id, currency
),
ranked as (
    select *, row_number() over (partition by currency order by cost desc, customer_id) as place
    from spent
)
select
    ranked.currency, customers.subscriber, customers.segment, customers.rate_plan_id as plan, ranked.records,
    ranked.cost
from ranked
join reporting.customers on ranked.customer_id = customers.customer_id
where ranked.place <= %(top)s
order by ranked.currency, ranked.place
"""

BILLS = """
select
    period, state, currency, count(*) as bills, sum(subtotal) as subtotal, sum(discount_total) as discount,
    sum(tax_total) as tax, sum(total) as total
from reporting.bills
group by period, state, currency
order by period, currency, state
"""

# The catalogue may have been loaded into either side, or both: where they differ, the served one counts.
SEEDED_PLANS = "select rate_plan_id, rate_plan_name from {schema}.rate_plans order by valid_from"
SERVED_PLANS = "select rate_plan_id, rate_plan_name from reporting.rate_plans order by valid_from"

# What a stream has landed since the last run began is on nothing else of the page.
TAKEN = "landed_at <= (select landed_until from {schema}.rating_cutoff)"
LANDED = """
select
    if(status = 'normal' and record_type = 'purged', 'purged', status) as status,
    count(*), min(ingested_at), max(ingested_at), max(landed_at)
from landing.cdr
where {taken}
group by 1
"""

ERROR_REASONS = """
select reason, count(*)
from landing.cdr
lateral view explode(error_reasons) as reason
where status = 'error' and {taken}
group by reason
"""

DAILY_TOTALS = "select landed_on, landing_difference, rating_difference from {schema}.assurance_daily_totals"
MONTHLY_TOTALS = """
select
    usage_month, currency, rated_cost, rounding, prepaid_cost, included_amount, billed_amount, open_amount, difference
from {schema}.assurance_monthly_totals
order by usage_month, currency
"""
OFFSET_GAPS = """
select topic, partition, first_missing_offset, last_missing_offset, missing
from {schema}.assurance_offset_gaps
order by topic, partition, first_missing_offset
"""
RECORDS_ON_BILLS = "select count(*) from {schema}.billed_usage"
PARTITIONS = "select count(distinct topic, partition) from landing.cdr"
SERVED_TOTALS = """
select
    published, period, state, spark_rows - postgres_rows, spark_lines - postgres_lines, spark_amount - postgres_amount
from {schema}.assurance_served_totals
order by published, period, state
"""


@dataclass(frozen=True)
class Landed:
    """What the landing zone holds of one mediation status, `purged` being normal records of old; times are UTC."""

    status: str
    records: int
    first_received: datetime
    last_received: datetime
    landed_at: datetime


@dataclass(frozen=True)
class Usage:
    """Rated usage that is alike in everything the report splits by; `hour` is local, `cost` before billing."""

    hour: int
    service: str
    zone: str | None
    plan: str | None
    status: str
    reason: str | None
    currency: str | None
    records: int
    cost: Decimal
    first_event: datetime
    last_event: datetime
    rated_at: datetime


@dataclass(frozen=True)
class Customer:
    """One of the customers who spent most in a currency; `subscriber` is the pseudonym of the number."""

    currency: str
    subscriber: str
    segment: str
    plan: str
    records: int
    cost: Decimal


@dataclass(frozen=True)
class Bills:
    """The bills of a month in one state and currency."""

    period: str
    state: str
    currency: str
    bills: int
    subtotal: Decimal
    discount: Decimal
    tax: Decimal
    total: Decimal


@dataclass(frozen=True)
class Equation:
    """A control total that has to hold: how many of what were checked, and each place where it does not hold."""

    name: str
    checked: int
    of: str
    broken: tuple[str, ...] = ()


@dataclass(frozen=True)
class Month:
    """Where the money of a month's usage is: rated + rounding = prepaid + included + billed + open + difference."""

    month: str
    currency: str
    rated: Decimal
    rounding: Decimal
    prepaid: Decimal
    included: Decimal
    billed: Decimal
    open: Decimal
    difference: Decimal


@dataclass(frozen=True)
class Report:
    """All that the page shows. `timezone` is that of tariffs, in which the hours of the traffic are."""

    generated_at: datetime
    timezone: str
    landed: list[Landed] = field(default_factory=list)
    error_reasons: dict[str, int] = field(default_factory=dict)
    usage: list[Usage] = field(default_factory=list)
    records_on_bills: int = 0
    bills: list[Bills] = field(default_factory=list)
    customers: list[Customer] = field(default_factory=list)
    plan_names: dict[str, str] = field(default_factory=dict)
    months: list[Month] = field(default_factory=list)
    equations: list[Equation] = field(default_factory=list)


def collect(settings: Settings) -> Report:
    """Ask both servers for everything that the report shows.

    Raises:
        UserError: a server does not answer or refuses a question.
    """
    timezone = rating_timezone()
    tables = _tables(settings)
    taken = TAKEN.format(schema=settings.dbt_schema) if "rating_cutoff" in tables else "true"
    landed = [
        Landed(row[0], row[1], *map(_utc, row[2:])) for row in thrift.execute(settings, LANDED.format(taken=taken))
    ]
    months = [Month(*row) for row in _ask(settings, tables, "assurance_monthly_totals", MONTHLY_TOTALS)]
    on_bills = _ask(settings, tables, "billed_usage", RECORDS_ON_BILLS)
    seeded_plans = _ask(settings, tables, "rate_plans", SEEDED_PLANS)
    with _served(settings) as served:
        return Report(
            generated_at=datetime.now(UTC),
            timezone=timezone,
            landed=landed,
            error_reasons=dict(thrift.execute(settings, ERROR_REASONS.format(taken=taken))),
            usage=_rows(served, Usage, USAGE, timezone=timezone),
            records_on_bills=on_bills[0][0] if on_bills else 0,
            bills=_rows(served, Bills, BILLS),
            customers=_rows(served, Customer, CUSTOMERS, top=TOP_CUSTOMERS),
            plan_names=dict(seeded_plans) | dict(served.execute(SERVED_PLANS).fetchall()),
            months=months,
            equations=_equations(settings, tables, months),
        )


def rating_timezone() -> str:
    """Return the zone in which tariffs are valid, from dbt's project file."""
    return project_variable("rating_timezone")


@contextmanager
def _served(settings: Settings) -> Iterator[psycopg.Connection]:
    """Open one snapshot of PostgreSQL as the reader, so that no run is published between two questions."""
    try:
        with psycopg.connect(**settings.postgres_connection("reader")) as connection:  # type: ignore[arg-type]
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            yield connection
    except psycopg.Error as error:
        raise UserError(f"PostgreSQL at {settings.pghost}:{settings.pgport}/{settings.pgdatabase}: {error}") from None


def _rows(connection: psycopg.Connection, kind: type[Row], query: str, **values: object) -> list[Row]:
    with connection.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(query, values).fetchall()


def _tables(settings: Settings) -> set[str]:
    """Return the names of dbt's tables on Spark: none before its first run."""
    schemas = {row[0] for row in thrift.execute(settings, "show databases")}
    if settings.dbt_schema not in schemas:
        return set()
    return {row[1] for row in thrift.execute(settings, f"show tables in {settings.dbt_schema}")}


def _ask(settings: Settings, tables: set[str], table: str, query: str) -> list[tuple[Any, ...]]:
    """Ask a question of one of dbt's tables: no rows where it was never built.

    The schema's name comes from the settings, which have checked it.
    """
    return thrift.execute(settings, query.format(schema=settings.dbt_schema)) if table in tables else []


def _equations(settings: Settings, tables: set[str], months: list[Month]) -> list[Equation]:
    """Return the control totals that dbt made, as the models in `models/assurance` have them."""
    days = _ask(settings, tables, "assurance_daily_totals", DAILY_TOTALS)
    gaps = _ask(settings, tables, "assurance_offset_gaps", OFFSET_GAPS)
    served = _ask(settings, tables, "assurance_served_totals", SERVED_TOTALS)
    partitions = thrift.execute(settings, PARTITIONS)[0][0] if "assurance_offset_gaps" in tables else 0
    equations = [
        Equation(
            "received = normal + error + duplicate",
            len(days),
            "days of landing",
            tuple(f"{day}: {landing:+} records" for day, landing, _ in days if landing),
        ),
        Equation(
            "normal = rated + rejected + unmatched + error",
            len(days),
            "days of landing",
            tuple(f"{day}: {rating:+} records" for day, _, rating in days if rating),
        ),
        Equation(
            "rated cost = prepaid + included + billed + open",
            len(months),
            "months and currencies",
            tuple(f"{row.month}: {row.difference:+f} {row.currency}" for row in months if row.difference),
        ),
        Equation(
            "every offset of every partition was landed",
            partitions,
            "partitions",
            tuple(f"{topic} {partition}, offsets {first} to {last}: {n}" for topic, partition, first, last, n in gaps),
        ),
        Equation(
            "PostgreSQL serves what Spark computed",
            len(served),
            "days or months, by status",
            tuple(
                f"{what} of {period}, {state}: {rows:+} rows, {lines:+} lines, {amount:+f}"
                for what, period, state, rows, lines, amount in served
                if rows or lines or amount
            ),
        ),
    ]
    return [equation for equation in equations if equation.checked]


def _utc(moment: datetime) -> datetime:
    """Return a time of the Thrift server, whose session is in UTC and whose answers name no zone, with its zone."""
    return moment.replace(tzinfo=UTC)
