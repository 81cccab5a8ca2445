"""`telecom invoices`: the documents of a month, one file a bill, from what PostgreSQL serves."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from hashlib import sha256
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import quote
from zoneinfo import ZoneInfo

import psycopg
import typer

from ingestion.console import UserError, out, progress, run_command
from ingestion.runlog import log_event, logged
from ingestion.settings import Settings, settings
from serving.close import billing_timezone, month_bounds, parse_month
from serving.invoice_document import Bill, Usage, html, pdf
from serving.invoice_texts import Texts

LONGEST_NAME = 200
"""Characters of a file's name before its ending: file systems take 255 bytes."""
BATCH = 20
"""Bills that a worker renders at a time: enough to hide the hand-over, few enough for a bar that moves."""

# A draft's annex is the usage as it is rated now, a final bill's is what was kept when its month was closed.
USAGE = """
select bill_id, record_type, event_time, peer_msisdn, zone, quantity, cost
from bills
inner join usage_records using (customer_id, currency)
where bill_id = any(%(bills)s) and bills.state = 'draft' and rating_status = 'rated'
    and event_time >= %(start)s and event_time < %(end)s
union all
select bill_id, record_type, event_time, peer_msisdn, zone, quantity, cost
from bill_usage
where bill_id = any(%(bills)s)
order by event_time
"""


T = TypeVar("T")


class Format(StrEnum):
    """How a document is written."""

    JSON = "json"
    HTML = "html"
    PDF = "pdf"


class InvoiceLanguage(StrEnum):
    """The language of HTML and PDF documents."""

    EN = "en"
    FR = "fr"


@dataclass(frozen=True)
class Order:
    """What a worker has to do with the bills it gets."""

    folder: Path
    format: Format
    texts: Texts
    zone: ZoneInfo


@logged
def invoices(
    month: Annotated[str, typer.Option("--month", metavar="YYYY-MM", help="Month of the bills.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder for the documents, one file a bill.")],
    format_: Annotated[Format, typer.Option("--format", help="json (TMF678), html or pdf.")] = Format.PDF,
    customer: Annotated[list[str] | None, typer.Option("--customer", help="Only this customer; repeatable.")] = None,
    language: Annotated[InvoiceLanguage, typer.Option("--language", help="Of html and pdf.")] = InvoiceLanguage.EN,
) -> None:
    """Write the invoices of a month as JSON, HTML or PDF files."""
    first_day = parse_month(month)
    order = Order(folder, format_, Texts(language.value), billing_timezone())
    count = write_invoices(settings(), first_day, order, customer or [])
    log_event("invoices written", month=month, format=format_, invoices=count)
    out.print(f"{count:,} {format_.value.upper()} invoices of {month}: {folder}", soft_wrap=True)


def write_invoices(settings: Settings, month: date, order: Order, customers: list[str]) -> int:
    """Write a document for each bill of a month, given by its first day, and return how many; none named means all.

    Raises:
        UserError: the month has no bills, a customer has none in it, the folder cannot be written, or PostgreSQL does
            not answer.
    """
    try:
        order.folder.mkdir(parents=True, exist_ok=True)
        with psycopg.connect(**settings.postgres_connection("owner")) as connection:  # type: ignore[arg-type]
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            count = _check(connection, f"{month:%Y-%m}", customers)
            bills = _bills(connection, month, customers, with_usage=order.format is not Format.JSON)
            with progress() as bars:
                task = bars.add_task("Invoices", total=count)
                for written in _written(bills, order, count):
                    bars.advance(task, written)
    except psycopg.Error as error:
        raise UserError(f"PostgreSQL at {settings.pghost}:{settings.pgport}/{settings.pgdatabase}: {error}") from None
    except OSError as error:
        raise UserError(f"--out {order.folder}: cannot write {error.filename}: {error.strerror}") from None
    return count


def write_documents(bills: tuple[Bill, ...], order: Order) -> int:
    """Write the documents of some bills and return how many; a file is either whole or not there."""
    for bill in bills:
        if order.format is Format.JSON:
            content = bill.invoice.encode() + b"\n"
        else:
            page = html(bill, order.texts, order.zone)
            content = page.encode() if order.format is Format.HTML else pdf(page)
        path = order.folder / file_name(bill.bill_id, order.format)
        scratch = path.with_name(path.name + ".part")
        scratch.write_bytes(content)
        scratch.replace(path)
    return len(bills)


def file_name(bill_id: str, format_: Format) -> str:
    """Return a bill's file name: the id, with what a path could misread percent-encoded, and a long one cut."""
    name = quote(bill_id, safe="")
    if len(name) > LONGEST_NAME:
        name = f"{name[:100]}-{sha256(bill_id.encode()).hexdigest()}"
    return f"{name}.{format_.value}"


def _check(connection: psycopg.Connection, period: str, customers: list[str]) -> int:
    """Count the bills that will be written; explain why there are none."""
    rows = connection.execute(
        "select customer_id, count(*) from bills where period = %(period)s"
        " and (cardinality(%(customers)s::text[]) = 0 or customer_id = any(%(customers)s)) group by customer_id",
        {"period": period, "customers": customers},
    ).fetchall()
    counts: dict[str, int] = dict(rows)
    for customer in customers:
        if customer not in counts:
            raise UserError(f"--customer {customer}: no bill in {period}")
    if not counts:
        months = connection.execute("select string_agg(distinct period, ', ' order by period) from bills").fetchall()
        known = f"there are bills of {months[0][0]}" if months[0][0] else "`telecom run` makes them"
        raise UserError(f"--month {period}: no bills; {known}")
    return sum(counts.values())


def _bills(connection: psycopg.Connection, month: date, customers: list[str], with_usage: bool) -> Iterator[Bill]:
    """Yield the bills of a month with their usage, a batch in memory at a time."""
    start, end = month_bounds(month)
    with connection.cursor(name="bills") as cursor:
        cursor.itersize = BATCH * 10
        cursor.execute(
            "select bill_id, state, invoice::text from bills where period = %(period)s"
            " and (cardinality(%(customers)s::text[]) = 0 or customer_id = any(%(customers)s)) order by bill_id",
            {"period": f"{month:%Y-%m}", "customers": customers},
        )
        for batch in _batches(cursor, BATCH * 10):
            usage: dict[str, list[Usage]] = {row[0]: [] for row in batch}
            if with_usage:
                for bill_id, *record in connection.execute(USAGE, {"bills": list(usage), "start": start, "end": end}):
                    usage[bill_id].append(Usage(*record))
            for bill_id, state, invoice in batch:
                yield Bill(bill_id, state, invoice, usage[bill_id])


def _written(bills: Iterator[Bill], order: Order, count: int) -> Iterator[int]:
    """Have the bills written, by all cores where rendering is worth it, and yield how many at a time."""
    if order.format is Format.JSON or count <= BATCH:
        for batch in _batches(bills, BATCH):
            yield write_documents(batch, order)
        return
    # a fresh interpreter per worker: a fork would share the connection's socket
    workers = os.cpu_count() or 1
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting: set[Future[int]] = set()
        for batch in _batches(bills, BATCH):
            waiting.add(pool.submit(write_documents, batch, order))
            if len(waiting) > workers:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        yield from (future.result() for future in waiting)


def _batches(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Yield the items in tuples of at most `size`."""
    iterator = iter(items)
    while batch := tuple(islice(iterator, size)):
        yield batch


if __name__ == "__main__":
    run_command(invoices)
