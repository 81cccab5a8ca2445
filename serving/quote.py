"""`telecom quote`: what records would cost under a catalogue, by the pipeline's own SQL, leaving nothing behind."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingestion.console import UserError, err, plain, run_command
from ingestion.landing import LANDING_SCHEMA
from ingestion.settings import Settings, settings
from serving.quote_inputs import CUSTOMER_COLUMNS, Table, read_catalogue, read_customers
from serving.quote_models import Project, compiled_project
from serving.quote_output import print_bills, print_receipts, write_json_lines
from serving.quote_session import Workbench, workbench

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A quote asks what would be: next month's calls under next month's tariff are not ahead of their time.
ARRIVAL = datetime(9999, 12, 30, tzinfo=UTC)

MESSAGE_COLUMNS = {
    "topic": "string",
    "partition": "int",
    "offset": "bigint",
    "timestamp": "timestamp",
    "value": "binary",
}
SNAPSHOT_COLUMNS = {**CUSTOMER_COLUMNS, "dbt_valid_from": "timestamp", "dbt_valid_to": "timestamp"}
USAGE_COLUMNS = (
    *("record_id", "customer_id", "msisdn", "peer_msisdn", "record_type", "event_time"),
    *("rate_plan_id", "product_id", "zone", "time_band", "quantity", "billed_units"),
    *("connect_fee", "usage_charge", "promotion_id", "promotion_amount", "cost", "currency"),
    *("rating_status", "status_reason", "rated_at", "charges"),
)


class Format(StrEnum):
    """How a quote is printed."""

    TABLE = "table"
    JSONL = "jsonl"


@dataclass(frozen=True)
class Refusal:
    """A line of the records' file that is not rated: mediation refused it, or an earlier line is the same record."""

    line: int
    reason: str


@dataclass(frozen=True, order=True)
class Fault:
    """What a catalogue data test found: the seed, the row's id and what is wrong with it."""

    seed: str
    id: str
    fault: str


@dataclass(frozen=True)
class Quote:
    """What the records would cost: rated usage in the order of the file, invoices as JSON, and what was amiss."""

    usage: list[dict[str, Any]]
    invoices: list[str]
    refusals: list[Refusal]
    faults: list[Fault]


def quote(
    catalogue: Annotated[Path, typer.Option("--catalogue", help="Folder with the CSV of every seed, as in seeds/.")],
    customers: Annotated[Path, typer.Option("--customers", help="CSV with the columns of the table customers.")],
    cdrs: Annotated[Path, typer.Option("--cdrs", help="Usage records, one JSON object a line.")],
    bills: Annotated[bool, typer.Option("--bills", help="Bill every month that the records touch, too.")] = False,
    output: Annotated[Format, typer.Option("--format", help="A receipt to read, or one JSON a line.")] = Format.TABLE,
) -> None:
    """Rate records under any catalogue with the pipeline's own SQL; needs no server and leaves nothing behind."""
    tables = read_catalogue(catalogue)
    result = make_quote(settings(), tables, read_customers(customers), read_lines(cdrs), bills=bills)
    for fault in result.faults:
        err.print(plain(f"{catalogue / fault.seed}.csv: {fault.id}: {fault.fault}"), soft_wrap=True)
    for refusal in result.refusals:
        err.print(f"{cdrs}, line {refusal.line}: not rated: {refusal.reason}", soft_wrap=True)
    if output is Format.JSONL:
        write_json_lines(result.usage, result.invoices)
    else:
        print_receipts(result.usage, tables)
        print_bills(result.invoices)


def read_lines(file: Path) -> list[tuple[int, bytes]]:
    """Return the lines of a file as they are, each with its number; blank lines are none.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError as error:
        raise UserError(f"--cdrs {file}: {error.strerror}") from None
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def make_quote(
    settings: Settings,
    catalogue: Sequence[Table],
    customers: Table,
    lines: Sequence[tuple[int, bytes]],
    *,
    bills: bool = False,
) -> Quote:
    """Rate `lines`, (number, JSON) each, and bill them if asked, as if nothing had been rated or closed before.

    Raises:
        UserError: Java is missing, dbt cannot compile the project, or Spark cannot compute with a value.
    """
    with workbench(settings) as bench:
        project = compiled_project(settings)
        for table in catalogue:
            bench.create_table(f"telecom.{table.name}", table.columns, table.rows)
        snapshot = [(*row, EPOCH, None) for row in customers.rows]
        bench.create_table("telecom.customers_snapshot", SNAPSHOT_COLUMNS, snapshot)
        line_of, refusals = _land(bench, _mediate(bench, settings, lines))
        with ThreadPoolExecutor(1) as beside:  # planning a query keeps one core busy: the tests take another
            faults = beside.submit(_faults, bench, project)
            _create_models(bench, project, bills)
            usage = list(_rows(bench.spark.table("telecom.rated_usage").select(*USAGE_COLUMNS)))
            invoices = _invoices(bench) if bills else []
    for record in usage:
        record["charges"] = record["charges"] or []
    usage.sort(key=lambda record: line_of[record["record_id"]])
    return Quote(usage, invoices, refusals, faults.result())


def _mediate(bench: Workbench, settings: Settings, lines: Sequence[tuple[int, bytes]]) -> list[dict[str, Any]]:
    """Return every line as mediation judges it; the offset is the line's number."""
    from ingestion.mediation.transform import judge

    messages = (("quote", 0, number, ARRIVAL, line) for number, line in lines)
    bench.create_table("quote.messages", MESSAGE_COLUMNS, messages)
    judged = judge(bench.spark.table("quote.messages"), settings.country_code)
    return sorted(_rows(judged), key=lambda record: int(record["offset"]))


def _land(bench: Workbench, judged: Sequence[dict[str, Any]]) -> tuple[dict[str, int], list[Refusal]]:
    """Create the landing table; return the line of each record to rate, and the lines that are not."""
    from pyspark.sql.types import StructType

    columns = {field.name: field.dataType.simpleString() for field in StructType.fromDDL(LANDING_SCHEMA)}
    line_of: dict[str, int] = {}
    refusals = []
    for record in judged:
        line, record_id = record["offset"], record["record_id"]
        if record["status"] == "error":
            refusals.append(Refusal(line, ", ".join(record["error_reasons"])))
        elif line_of.setdefault(record_id, line) != line:
            record["status"] = "duplicate"
            refusals.append(Refusal(line, f"the same record as line {line_of[record_id]}"))
    batch = {"landed_at": datetime.now(UTC), "batch_id": 0}
    rows = ([(record | batch)[column] for column in columns] for record in judged)
    bench.create_table("landing.cdr", columns, rows)
    return line_of, refusals


def _create_models(bench: Workbench, project: Project, bills: bool) -> None:
    for relation, columns in project.closed_tables.items():
        bench.create_table(relation, columns)
    for model in project.models_for(["bills" if bills else "rated_usage"]):
        bench.create_model(model.relation, model.sql)


def _invoices(bench: Workbench) -> list[str]:
    bills = bench.spark.table("telecom.bills").orderBy("period", "customer_id", "bill_id")
    return [row.invoice for row in bills.select("invoice").collect()]


def _faults(bench: Workbench, project: Project) -> list[Fault]:
    """Return what the catalogue's data tests find, all of them in one query; they read nothing but the catalogue."""
    tests = [bench.spark.sql(test.sql) for test in project.catalogue_tests]
    texts = [test.select(*(test[column].cast("string") for column in ("seed", "id", "fault"))) for test in tests]
    found = reduce(lambda one, other: one.unionByName(other), texts)
    return sorted(Fault(*row) for row in found.collect())


def _rows(data: "DataFrame") -> Iterator[dict[str, Any]]:
    """Yield the rows as dictionaries, with timestamps in UTC whatever this machine's zone is."""
    from pyspark.sql.functions import unix_micros

    moments = [name for name, kind in data.dtypes if kind == "timestamp"]
    plain = data.select(*(unix_micros(name).alias(name) if name in moments else name for name in data.columns))
    for row in plain.collect():
        record = row.asDict(recursive=True)
        for name in moments:
            record[name] = None if record[name] is None else EPOCH + timedelta(microseconds=record[name])
        yield record


if __name__ == "__main__":
    run_command(quote)
