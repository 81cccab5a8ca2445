"""`telecom close`: makes the bills of a month final, in PostgreSQL and in one transaction.

From that commit on nothing changes them: the tables' triggers refuse it, the billing models leave the month out, and
what they find late or rated anew becomes adjustment lines of the next open month.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated
from zoneinfo import ZoneInfo

import psycopg
import typer

from ingestion.console import UserError, out, run_command
from ingestion.locks import alone
from ingestion.runlog import log_event, logged
from ingestion.settings import Settings, settings
from ingestion.transform import project_variable, run_dbt

FREEZE_USAGE = """
insert into bill_usage
select bill_id, record_id, record_type, event_time, peer_msisdn, zone, quantity, cost
from bills
inner join usage_records using (customer_id, currency)
where bills.period = %(period)s and bills.state = 'final' and rating_status = 'rated'
    and event_time >= %(start)s and event_time < %(end)s
"""
MAKE_FINAL = """
with closed as (
    update bills
    set state = 'final', issued_at = now(), invoice = jsonb_set(invoice, '{state}', '"final"')
    where period = %(period)s and state = 'draft'
    returning currency, total
)
select currency, count(*), sum(total) from closed group by currency
"""
BILLED_AGAIN = ("run", "--select", "billing_calendar+")
"""What dbt builds after a month was closed: the bills of the months that are open now, and what follows from them."""


@dataclass(frozen=True)
class ClosedMonth:
    """A month that is closed; `bills` counts those that this call made final, `totals` is their money by currency."""

    period: str
    closed_at: datetime
    bills: int
    totals: dict[str, Decimal]


@logged
def close(
    month: Annotated[str, typer.Argument(metavar="YYYY-MM", help="The month whose bills become final.")],
) -> None:
    """Close a month: its bills become final; what comes late is an adjustment on the next month's bills."""
    from stack import machine

    machine.require(settings(), ["postgres", "thrift"])
    with alone(settings(), "run"):
        closed = close_month(settings(), parse_month(month))
        if not closed.bills:
            out.print(f"{closed.period} is closed since {closed.closed_at:%Y-%m-%d %H:%M} UTC; nothing changed.")
            return
        log_event("month closed", month=closed.period, bills=closed.bills, billed=closed.totals)
        totals = ", ".join(f"{total:,.3f} {currency}" for currency, total in sorted(closed.totals.items()))
        out.print(f"{closed.period} is closed: {closed.bills:,} bills are final ({totals}).")
        try:
            run_dbt(settings(), BILLED_AGAIN, "Open months")
        except UserError as error:
            raise UserError(
                f"{closed.period} is closed, but the bill run after it failed (`telecom run`): {error}"
            ) from None


def parse_month(text: str) -> date:
    """Return the first day of a month written YYYY-MM.

    Raises:
        UserError: the text is no month.
    """
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text) or text.startswith("0000"):
        raise UserError(f"{text}: a month is written YYYY-MM, such as 2025-06")
    return date.fromisoformat(f"{text}-01")


def billing_timezone() -> ZoneInfo:
    """Return the zone whose calendar months are billed, as dbt has it."""
    return ZoneInfo(project_variable("billing_timezone"))


def month_bounds(month: date) -> tuple[datetime, datetime]:
    """Return the instants at which a month, given by its first day, begins and is over in the billing zone."""
    next_month = (month + timedelta(days=32)).replace(day=1)
    zone = billing_timezone()
    return datetime.combine(month, time(), zone), datetime.combine(next_month, time(), zone)


def close_month(settings: Settings, month: date, today: date | None = None) -> ClosedMonth:
    """Make every draft bill of `month`, given by its first day, final; a closed month stays as it is.

    `today` is the local date in the billing zone, by default that of the clock.

    Raises:
        UserError: the month is not over, lies before a closed one, has no bills, or an earlier month has open ones; or
            PostgreSQL refuses.
    """
    period = f"{month:%Y-%m}"
    today = today or datetime.now(billing_timezone()).date()
    if f"{today:%Y-%m}" <= period:
        raise UserError(f"{period} is not over yet: close it from the first day of the next month on")
    try:
        with psycopg.connect(**settings.postgres_connection("owner")) as connection:  # type: ignore[arg-type]
            # a bill run that is publishing ends first, and the next one finds the month closed
            connection.execute("select pg_advisory_xact_lock(hashtext('telecom publish'))")
            if _is_closed(connection, month):
                return ClosedMonth(period, _closed_at(connection, month), 0, {})
            _check_order(connection, month)
            return _make_final(connection, month)
    except psycopg.Error as error:
        raise UserError(f"PostgreSQL at {settings.pghost}:{settings.pgport}/{settings.pgdatabase}: {error}") from None


def _is_closed(connection: psycopg.Connection, month: date) -> bool:
    return connection.execute("select from billing_months where month = %s", [month]).rowcount > 0


def _closed_at(connection: psycopg.Connection, month: date) -> datetime:
    query = "select closed_at at time zone 'UTC' from billing_months where month = %s"
    return connection.execute(query, [month]).fetchall()[0][0]  # type: ignore[no-any-return]


def _check_order(connection: psycopg.Connection, month: date) -> None:
    """Refuse a month before a closed one, and one after a month whose bills are still open."""
    later = connection.execute("select max(month) from billing_months").fetchone()
    if later and later[0] and later[0] > month:
        raise UserError(
            f"{month:%Y-%m} lies before {later[0]:%Y-%m}, which is closed, and had no bills then: "
            "what comes late for it goes onto the next open bills"
        )
    earlier = connection.execute(
        "select period, count(*) from bills where state = 'draft' and period < %s group by 1 order by 1 limit 1",
        [f"{month:%Y-%m}"],
    ).fetchone()
    if earlier:
        raise UserError(f"{earlier[0]} is open and has {earlier[1]:,} draft bills: close it first")


def _make_final(connection: psycopg.Connection, month: date) -> ClosedMonth:
    """Turn the month's drafts into final bills and write the month down; bills first, or the guards refuse."""
    period = f"{month:%Y-%m}"
    start, end = month_bounds(month)
    rows = connection.execute(MAKE_FINAL, {"period": period}).fetchall()
    if not rows:
        raise UserError(f"{period} has no bills: `telecom run` makes them")
    connection.execute(FREEZE_USAGE, {"period": period, "start": start, "end": end})
    connection.execute("insert into billing_months (month, closed_at) values (%s, now())", [month])
    closed_at = _closed_at(connection, month)
    return ClosedMonth(period, closed_at, sum(row[1] for row in rows), {currency: total for currency, _, total in rows})


if __name__ == "__main__":
    run_command(close)
