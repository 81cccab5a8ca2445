"""The subscribers as customers of contract.md §2: as CSV, and into PostgreSQL."""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ingestion.console import UserError, err
from ingestion.settings import Settings
from ingestion.traffic.population import SEGMENTS, STATUSES, Draw, Population, stream

if TYPE_CHECKING:
    import psycopg

CUSTOMER_COLUMNS = (
    "customer_id", "msisdn", "customer_name", "subscription_type", "segment", "rate_plan_id",
    "customer_status", "region", "activation_date", "termination_date", "updated_at",
)  # fmt: skip
OPTIONAL_COLUMNS = {"customer_name", "region", "termination_date", "updated_at"}
NAMES_IN_POOL = 400
"""First and last names drawn from the locale; 160,000 combinations of them."""
ROWS_A_BLOCK = 10_000
BLOCK_BYTES = 1 << 20

UPSERT = """
insert into customers as customer ({columns})
select {values} from staged
on conflict (customer_id) do update set {assignments}, updated_at = clock_timestamp()
where ({current}) is distinct from ({proposed})
"""
"""Rows that are as they were keep their `updated_at`, so that the next snapshot finds nothing new."""


def customer_csv(population: Population, locale: str) -> Iterator[bytes]:
    """Yield the customers as CSV, header first, some thousand rows at a time.

    Args:
        population: the subscribers.
        locale: a Faker locale that names are taken from, such as fr_FR.

    Raises:
        UserError: Faker has no such locale.
    """
    people, companies = _name_pools(locale, population.seed)
    first_last = stream(population.seed, Draw.NAME).random((population.customers, 2))
    yield (",".join(CUSTOMER_COLUMNS) + "\n").encode()
    for start in range(0, population.customers, ROWS_A_BLOCK):
        block = io.StringIO()
        writer = csv.writer(block, lineterminator="\n")
        for row in range(start, min(start + ROWS_A_BLOCK, population.customers)):
            first, last = (first_last[row] * NAMES_IN_POOL).astype(int).tolist()
            segment = SEGMENTS[population.segment[row]]
            activation, termination = _day(population.activation[row]), _day(population.termination[row])
            writer.writerow(
                (
                    customer_id(int(population.numbers[row])),
                    int(population.numbers[row]),
                    companies[first] if segment == "business" else f"{people[0][first]} {people[1][last]}",
                    "prepaid" if population.prepaid[row] else "postpaid",
                    segment,
                    population.plans[population.plan[row]],
                    STATUSES[population.status[row]],
                    population.cells.cities[population.city[row]],
                    activation,
                    termination,
                    f"{termination or activation}T00:00:00Z",
                )
            )
        yield block.getvalue().encode()


def customer_id(number: int) -> str:
    """Return a customer's id: one for each number, which it doesn't give away at a glance."""
    return f"C{(number % 10**9 * 3**18 + 271828182) % 10**9:09d}"


def _day(days: np.int64) -> str:
    return (date(1970, 1, 1) + timedelta(days=int(days))).isoformat() if days else ""


def _name_pools(locale: str, seed: int) -> tuple[tuple[list[str], list[str]], list[str]]:
    from faker import Faker

    try:
        fake = Faker(locale)
    except (AttributeError, ValueError, ModuleNotFoundError):
        raise UserError(f"--locale {locale}: unknown; a Faker locale such as fr_FR, en_US or ar_AA is needed") from None
    fake.seed_instance(seed)
    names = [fake.first_name() for _ in range(NAMES_IN_POOL)], [fake.last_name() for _ in range(NAMES_IN_POOL)]
    return names, [fake.company() for _ in range(NAMES_IN_POOL)]


class NoDatabaseError(UserError):
    """There is no PostgreSQL that could take customers."""


def load_customers(settings: Settings, blocks: Iterable[bytes], name: str) -> tuple[int, int]:
    """Load customers into PostgreSQL, in one transaction: new ones are added, changed ones are changed.

    Args:
        settings: where PostgreSQL is.
        blocks: a CSV file with a header that names columns of contract.md §2, in pieces of any size.
        name: what messages call the file.

    Returns:
        How many rows the file has, and how many of them were new or changed.

    Raises:
        NoDatabaseError: PostgreSQL doesn't answer, or has no table for them.
        UserError: the file isn't as it should be, or two customers share a number.
    """
    import psycopg

    where = f"PostgreSQL at {settings.pghost}:{settings.pgport}"
    try:
        connection = psycopg.connect(**settings.postgres_connection("owner"))  # type: ignore[arg-type]
    except psycopg.OperationalError as error:
        raise NoDatabaseError(
            f"{where} doesn't answer: run `telecom up` or set PGHOST ({str(error).splitlines()[0]})"
        ) from None
    except UserError as error:
        raise NoDatabaseError(str(error)) from None
    try:
        with connection:
            return _copy_and_upsert(connection, blocks, name)
    except psycopg.errors.UndefinedTable:
        raise NoDatabaseError(f"{where} has no table customers: run `telecom up` first") from None
    except psycopg.Error as error:
        details = (error.diag.message_primary, error.diag.message_detail, error.diag.context)
        raise UserError(f"{name}: {'; '.join(filter(None, details)) or error}") from None


def _copy_and_upsert(connection: "psycopg.Connection", blocks: Iterable[bytes], name: str) -> tuple[int, int]:
    from psycopg import sql

    connection.execute("create temp table staged (like customers) on commit drop")
    connection.execute("alter table staged alter updated_at drop not null")
    header, whole = _header(iter(blocks), name)
    columns = sql.SQL(", ").join(map(sql.Identifier, header))
    changing = [column for column in header if column not in ("customer_id", "updated_at")]

    def listed(relation: str) -> sql.Composed:
        return sql.SQL(", ").join(sql.Identifier(relation, column) for column in changing)

    upsert = sql.SQL(UPSERT).format(
        columns=columns,
        values=sql.SQL(", ").join(
            sql.SQL("coalesce(updated_at, now())") if column == "updated_at" else sql.Identifier(column)
            for column in header
        ),
        assignments=sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column)) for column in changing
        ),
        current=listed("customer"),
        proposed=listed("excluded"),
    )
    copy_in = sql.SQL("copy staged ({}) from stdin with (format csv, header true)").format(columns)
    with connection.cursor() as cursor:
        with cursor.copy(copy_in) as copy:
            for block in whole:
                copy.write(block)
        rows = cursor.rowcount
        return rows, cursor.execute(upsert).rowcount


def _header(blocks: Iterator[bytes], name: str) -> tuple[list[str], Iterator[bytes]]:
    """Return the columns that a CSV file names, and the whole file.

    Raises:
        UserError: it doesn't name the columns of a customer.
    """
    begin = b""
    while b"\n" not in begin:
        block = next(blocks, b"")
        if not block:
            break
        begin += block
    line = begin.partition(b"\n")[0].decode("utf-8-sig", "replace")
    try:
        header = next(csv.reader([line.strip()]), [])
    except csv.Error as error:
        raise UserError(f"{name}, line 1: this is no CSV: {error}") from None
    unknown = [column for column in header if column not in CUSTOMER_COLUMNS]
    missing = [column for column in CUSTOMER_COLUMNS if column not in header and column not in OPTIONAL_COLUMNS]
    if unknown or missing or len(set(header)) < len(header):
        fault = f"unknown: {', '.join(unknown)}; " if unknown else ""
        fault += f"missing: {', '.join(missing)}; " if missing else ""
        raise UserError(f"{name}, line 1: {fault}a customer's columns, once each, are {', '.join(CUSTOMER_COLUMNS)}")

    return header, chain([begin], blocks)


def load_customer_file(settings: Settings, path: Path) -> tuple[int, int]:
    """Load a CSV file of customers into PostgreSQL; see `load_customers`."""
    try:
        with path.open("rb") as file:
            return load_customers(settings, iter(lambda: file.read(BLOCK_BYTES), b""), str(path))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None


def write_customers(population: Population, path: Path, locale: str) -> None:
    """Write the subscribers to a CSV file.

    Raises:
        UserError: the file can't be written, or Faker has no such locale.
    """
    try:
        with path.open("wb") as file:
            file.writelines(customer_csv(population, locale))
    except OSError as error:
        raise UserError(f"--customers-out {path}: {error.strerror or error}") from None


def load_subscribers(config: Settings, population: Population, locale: str, *, required: bool) -> None:
    """Load the subscribers into PostgreSQL and say so.

    Args:
        config: where PostgreSQL is.
        population: the subscribers.
        locale: Faker locale of their names.
        required: whether it is an error if PostgreSQL can't take them, or only worth a line.

    Raises:
        UserError: it is required, and PostgreSQL can't; or Faker has no such locale.
    """
    try:
        rows, changed = load_customers(config, customer_csv(population, locale), "customers")
    except NoDatabaseError as error:
        if required:
            raise
        err.print(f"customers not loaded: {error}", soft_wrap=True)
    else:
        err.print(f"{rows} customers in PostgreSQL, {changed} of them new or changed")
