"""`telecom purge`: lets go of the usage of closed months, and keeps what bills and equations still need of it.

PostgreSQL goes first: one transaction deletes the usage there, keeps its control totals and what its last month left of
allowances, and notes what is gone. From that commit on billing and rating leave it out. The landing zone and Spark
follow; a purge that was killed is taken up there by the next one (docs/decisions/0061-what-a-purge-takes-and-keeps.md).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any

import psycopg
import typer

from ingestion.console import UserError, out, run_command
from ingestion.landing import LANDING_COLUMNS, PURGE_KEEPS, PURGED
from ingestion.locks import alone
from ingestion.runlog import log_event, logged
from ingestion.settings import Settings, settings
from ingestion.transform import run_dbt
from serving.close import month_bounds
from serving.purge_plan import choose, following, owner, show, spark_literal, take_stock
from stack import machine, thrift

REBUILT = ("build", "--select", "rated_usage+", "--exclude", "test_type:generic", "test_type:unit")
"""What dbt builds before and after: rating and all that follows from it, with the equations."""
DETAILED = ("rated_usage", "billed_usage", "assurance_usage_jumps")
"""Dbt's tables that hold single records, or a subscriber's use; their files before the purge are deleted."""

EMPTY = """
update landing.cdr
set {columns}
where (event_time < {before} or (status = 'error' and landed_at < {before}))
    and landed_at <= {until}
    and (not record_type <=> 'purged' or raw is not null)
"""
DELETE_RATED = "delete from {schema}.rated_usage where event_time < {before} and landed_at <= {until}"
RATED_RECORDS = """
select cast(landed_at as date), rating_status, count(*)
from {schema}.rated_usage
where event_time < {before} and landed_at <= {until}
group by 1, 2
"""
COSTS = """
select usage_month, currency, rated_cost, prepaid_cost, included_amount, rounding
from {schema}.assurance_monthly_totals
where usage_month > '{after}' and usage_month <= '{through}'
"""
BALANCES = """
select customer_id, allowance_id, unused_parts from {schema}.allowance_balances where period = '{through}'
"""

UNFINISHED = """
select purge_id, purged_through, purged_before, landed_until from purges where finished_at is null order by purge_id
"""
KEEP_RECORDS = """
insert into purged_records as kept values (%s, %s, %s)
on conflict (landed_on, rating_status) do update set records = kept.records + excluded.records
"""
KEEP_COSTS = "insert into purged_costs values (%s, %s, %s, %s, %s, %s)"
NOTE = "insert into purges (purged_through, purged_before, landed_until) values (%s, %s, %s)"


@dataclass(frozen=True)
class Purge:
    """A purge as PostgreSQL has it noted; the times are UTC."""

    purge_id: int
    through: date
    before: datetime
    landed_until: datetime


@logged
def purge(
    before: Annotated[
        str, typer.Option("--before", metavar="YYYY-MM-DD", help="Months that ended before this day go.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and change nothing.")] = False,
) -> None:
    """Let go of the usage of closed months; bills, control totals and the memory of what was landed stay."""
    day = parse_day(before)
    machine.require(settings(), ["postgres", "thrift"])
    if dry_run:
        stock = take_stock(settings(), day)
        show(stock, choose(stock, day), day)
        return
    with alone(settings(), "mediation"), alone(settings(), "run"):
        purge_usage(settings(), day)


def parse_day(text: str) -> date:
    """Return a day written YYYY-MM-DD.

    Raises:
        UserError: the text is no day.
    """
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise UserError(f"--before {text}: a day is written YYYY-MM-DD, such as 2025-06-01") from None


def purge_usage(settings: Settings, day: date) -> None:
    """Purge the closed months that ended before a day; first take up what a killed purge left.

    Raises:
        UserError: a server does not answer, or an equation does not hold: then nothing more is purged.
    """
    finish(settings)
    choice = choose(take_stock(settings, day), day)
    if choice.through:
        # what was landed since the last run may correct a closed month, and what is noted has to be all there is
        out.print("Rating and billing what is landed ...")
        run_dbt(settings, REBUILT, "Before the purge")
    stock = take_stock(settings, day)
    choice = choose(stock, day)
    show(stock, choice, day)
    if choice.through:
        note(settings, choice.through, stock.purged_through)
        finish(settings)


def note(settings: Settings, through: date, purged_through: date | None) -> None:
    """Delete the usage in PostgreSQL and write down what is gone and what was kept of it: one transaction.

    `through` is the first day of the last month to purge, `purged_through` that of the purge before, if any.

    Raises:
        UserError: a server does not answer or refuses; nothing is purged.
    """
    before = month_bounds(through)[1]
    landed_until = thrift.execute(settings, "select max(landed_at) from landing.cdr")[0][0].replace(tzinfo=UTC)
    values = {
        "schema": settings.dbt_schema,
        "before": spark_literal(before),
        "until": spark_literal(landed_until),
        "after": f"{purged_through:%Y-%m}" if purged_through else "",
        "through": f"{through:%Y-%m}",
    }
    records, costs = (thrift.execute(settings, query.format(**values)) for query in (RATED_RECORDS, COSTS))
    balances = thrift.execute(settings, BALANCES.format(**values)) if through != purged_through else None
    with owner(settings) as connection:
        # a hand-typed run that is publishing ends first
        connection.execute("select pg_advisory_xact_lock(hashtext('telecom publish'))")
        connection.execute(NOTE, [through, before, landed_until])
        with connection.cursor() as cursor:
            cursor.executemany(KEEP_RECORDS, records)
            cursor.executemany(KEEP_COSTS, costs)
        if balances is not None:
            _keep_balances(connection, through, balances)
        connection.execute(
            "delete from bill_usage using bills where bills.bill_id = bill_usage.bill_id and period <= %s",
            [values["through"]],
        )
        gone = connection.execute("delete from usage_records where event_time < %s", [before]).rowcount
        # what a killed export left there
        connection.execute("select staged.clear('')")
    log_event("usage purged", through=f"{through:%Y-%m}", usage_records=gone)
    out.print(f"PostgreSQL: {gone:,} usage records deleted; through {through:%Y-%m} is noted as purged")


def _keep_balances(connection: psycopg.Connection, through: date, balances: Iterable[tuple[Any, ...]]) -> None:
    connection.execute("delete from purged_balances")
    target = "copy purged_balances (customer_id, allowance_id, month, unused_parts) from stdin"
    with connection.cursor().copy(target) as copy:
        for customer_id, allowance_id, unused_parts in balances:
            copy.write_row((customer_id, allowance_id, through, unused_parts))


def finish(settings: Settings) -> None:
    """Empty the landed rows of every noted purge and delete its rows on Spark, with the files that held them.

    Raises:
        UserError: a server does not answer, or an equation does not hold; typed again, the purge goes on here.
    """
    for noted in unfinished(settings):
        values = {
            "schema": settings.dbt_schema,
            "columns": ", ".join(_emptied_columns()),
            "before": spark_literal(noted.before),
            "until": spark_literal(noted.landed_until),
        }
        out.print(f"Landing zone: emptying rows through {noted.through:%Y-%m} ...")
        thrift.execute(settings, EMPTY.format(**values))
        thrift.execute(settings, DELETE_RATED.format(**values))
        nodes = run_dbt(settings, REBUILT, "After the purge")
        out.print(f"Rating and billing: {nodes} dbt nodes built and tested")
        _delete_old_files(settings)
        with owner(settings) as connection:
            connection.execute("update purges set finished_at = now() where purge_id = %s", [noted.purge_id])
        log_event("purge finished", through=f"{noted.through:%Y-%m}", dbt_nodes=nodes)
        out.print(
            f"Purged through {noted.through:%Y-%m}. Kafka keeps its copies as long as its own retention says.",
            soft_wrap=True,
        )


def unfinished(settings: Settings) -> list[Purge]:
    """Return the purges that PostgreSQL has noted and the landing zone or Spark still has to follow."""
    with owner(settings) as connection:
        return [Purge(*row) for row in connection.execute(UNFINISHED).fetchall()]


def refuse_unfinished(settings: Settings) -> None:
    """Refuse to go on beside a purge that was killed: PostgreSQL and Spark would not be equal.

    Raises:
        UserError: there is one; the line says how to finish it.
    """
    for noted in unfinished(settings):
        raise UserError(
            f"a purge through {noted.through:%Y-%m} was begun and not finished: "
            f"type `telecom purge --before {following(noted.through)}` again"
        )


def _emptied_columns() -> Iterator[str]:
    """Yield what an emptied row's columns are set to, but for those that it keeps."""
    for column in LANDING_COLUMNS:
        if column not in PURGE_KEEPS:
            yield f"{column} = '{PURGED}'" if column == "record_type" else f"{column} = null"


def _delete_old_files(settings: Settings) -> None:
    """Delete the files that no table names any more; nobody writes beside this, so none is too young."""
    out.print("Deleting the files that held it ...")
    unguarded = "set spark.databricks.delta.retentionDurationCheck.enabled = false"
    tables = ["landing.cdr", *(f"{settings.dbt_schema}.{name}" for name in DETAILED)]
    thrift.execute(settings, unguarded, *(f"vacuum {table} retain 0 hours" for table in tables))
    with owner(settings) as connection:
        connection.commit()
        connection.autocommit = True
        connection.execute("vacuum usage_records")
        connection.execute("vacuum bill_usage")


if __name__ == "__main__":
    run_command(purge)
