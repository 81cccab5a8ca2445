"""Exporting to PostgreSQL beside what PostgreSQL takes by itself: COPY of the same rows, and a merge of them.

Both fill the same empty tables with their keys, indexes and checks. Ours is the statements of models/exports through
JDBC in a warm session, the publication included.
"""

from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.frame import Row, Stopwatch, Tally
from benchmarks.task import Task
from benchmarks.warehouse import Warehouse
from benchmarks.world import PLANS
from ingestion.settings import Settings
from stack import thrift

KEYS = {"usage_records": ["record_id"], "bills": ["bill_id"], "bill_lines": ["bill_id", "line_no"]}
"""The served tables in the order in which their foreign keys allow them to be filled, and their keys."""
AMOUNTS = {"usage_records": "cost", "bills": "total", "bill_lines": "total"}
CATALOG = "spark.sql.catalog.pg"
CHUNK = 1 << 20
CUSTOMER_ROWS = """
insert into customers
select
    'C' || id, (212600000000 + id)::text, 'name', 'postpaid', case when id % 7 = 0 then 'student' else 'consumer' end,
    'PLAN_' || id % {plans}, 'active', 'Nord', '2024-01-01', null, '2025-01-01'
from generate_series(0, {last}) as id
on conflict do nothing
"""


def rows(task: Task, house: Warehouse, connection: psycopg.Connection) -> Iterator[Row]:
    """Measure publishing all usage and all bills of a month that are rated and billed."""
    connection.execute(sql.SQL(CUSTOMER_ROWS).format(plans=sql.Literal(PLANS), last=sql.Literal(house.customers - 1)))
    exports = first_export(task.settings, house, connection)
    files = {table: unload(connection, table, house.folder) for table in KEYS}

    def load(stopwatch: Stopwatch) -> Tally:
        empty(connection)
        for table in KEYS:
            connection.execute(_sql("create unlogged table {} (like {})", f"floor_{table}", table))
        with stopwatch, connection.transaction():
            for table, file in files.items():
                with stopwatch.part(f"COPY {table}"):
                    copy(connection, f"floor_{table}", file)
                with stopwatch.part(f"merge {table}"):
                    merge(connection, table)
        for table in KEYS:
            connection.execute(_sql("drop table {}", f"floor_{table}"))
        return served(connection)

    def export(stopwatch: Stopwatch) -> Tally:
        empty(connection)
        with stopwatch:
            for model, statement in exports.items():
                with stopwatch.part(model):
                    house.spark.sql(statement)
        return served(connection)

    yield task.row("export", export, load, warm_up=False)


def first_export(config: Settings, house: Warehouse, connection: psycopg.Connection) -> dict[str, str]:
    """Have dbt export for the first time; return its statements."""
    for name, value in thrift._server_properties(config).items():
        if name.startswith(CATALOG):
            house.spark.conf.set(name, value)
    empty(connection)
    return house.export()


def empty(connection: psycopg.Connection) -> None:
    """Empty the served tables, and have nothing left to be written that was done before."""
    connection.execute("truncate usage_records, bills, bill_lines, publications cascade")
    connection.execute("checkpoint")


def served(connection: psycopg.Connection) -> Tally:
    """Return how many rows the served tables have, and the sum of their amounts."""
    totals = {}
    for table, amount in AMOUNTS.items():
        totals[table] = connection.execute(_sql("select count(*), sum({}) from {}", amount, table)).fetchone()
    return totals


def unload(connection: psycopg.Connection, table: str, folder: Path) -> Path:
    """Write a table's rows into a file as COPY reads them."""
    file = folder / f"{table}.copy"
    with file.open("wb") as target, connection.cursor().copy(_sql("copy {} to stdout", table)) as rows:
        for data in rows:
            target.write(data)
    return file


def copy(connection: psycopg.Connection, table: str, file: Path) -> None:
    """Have PostgreSQL read a file into a table."""
    with file.open("rb") as source, connection.cursor().copy(_sql("copy {} from stdin", table)) as target:
        while data := source.read(CHUNK):
            target.write(data)


def merge(connection: psycopg.Connection, table: str) -> None:
    """Insert the staged rows into a table, or update those that are there."""
    columns = connection.execute(_sql("select * from {} limit 0", table)).description or []
    changes = sql.SQL(", ").join(
        _sql("{} = excluded.{}", column.name, column.name) for column in columns if column.name not in KEYS[table]
    )
    keys = sql.SQL(", ").join(map(sql.Identifier, KEYS[table]))
    statement = sql.SQL("insert into {} select * from {} on conflict ({}) do update set {}")
    connection.execute(statement.format(sql.Identifier(table), sql.Identifier(f"floor_{table}"), keys, changes))


def _sql(text: str, *names: str) -> sql.Composed:
    """Return a statement with names put in."""
    return sql.SQL(text).format(*map(sql.Identifier, names))
