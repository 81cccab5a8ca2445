"""`telecom run` and `telecom demo`: every step from Kafka to PostgreSQL in the order of the day."""

import subprocess
import sys
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Annotated

import psycopg
import typer
from rich.table import Table

from ingestion import tariff
from ingestion.console import UserError, out
from ingestion.locks import alone, at_work
from ingestion.runlog import log_event, logged
from ingestion.settings import PROJECT_ROOT, Settings, settings
from ingestion.transform import run_dbt
from serving.close import parse_month
from serving.purge import refuse_unfinished
from stack import machine, thrift

LANDED = """
select if(status = 'normal' and record_type = 'purged', 'purged', status), count(*)
from landing.cdr
where landed_at <= (select landed_until from {schema}.rating_cutoff)
group by 1
"""
DEMO_SEED = 7
DEMO_CUSTOMERS = 500


@dataclass(frozen=True)
class Summary:
    """What a run left behind, counted in the landing zone and in PostgreSQL; money by currency."""

    landed: dict[str, int]
    rated: dict[str, int]
    bills: int
    billed: dict[str, Decimal]


@logged
def run(
    month: Annotated[
        str | None, typer.Option("--month", help="Bill only this month (YYYY-MM); without it every open month.")
    ] = None,
) -> None:
    """Mediate what has arrived, then snapshot, rate, bill, check and export; typed twice, it changes nothing."""
    if month is not None:
        try:
            parse_month(month)
        except UserError as error:
            raise UserError(f"--month {error}") from None
    machine.require(settings(), machine.SERVERS)
    run_once(settings(), month)
    show_summary(summarise(settings()))


@logged
def demo(
    count: Annotated[int, typer.Option("--count", min=1, help="How many records to generate.")] = 10_000,
) -> None:
    """Run the whole pipeline on this machine: stack, generated traffic, mediation, rating, billing, summary."""
    machine.up(settings(), out.print)
    folder = settings().home / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "cdr.json"
    traffic = ["--count", str(count), "--seed", str(DEMO_SEED), "--customers", str(DEMO_CUSTOMERS)]
    anomalies = ["--anomalies", "missing=1,corrupt=1,duplicate=1,disorder=5"]
    _step(settings(), "generate_cdr", *traffic, *anomalies, "--out", str(file))
    _step(settings(), "producer", str(file))
    run_once(settings())
    show_summary(summarise(settings()))
    out.print(
        "\nWhere to look next: `telecom report --out report` draws this run; "
        "`telecom invoices --month YYYY-MM --format html --out invoices` writes the bills;\n"
        '`eval "$(telecom env)" && psql` opens usage_records and bills; '
        "`dbt docs generate && dbt docs serve` shows the lineage;\n"
        f"the records are in {file}. The stack goes on running: `telecom down` stops it."
    )


def run_once(settings: Settings, month: str | None = None) -> None:
    """Take one pass through mediation and dbt; a second pass at the same time is refused.

    Raises:
        UserError: another pass is at work, a purge was killed and not finished, or a step failed; what the steps before
            it did stays and is not redone.
    """
    with alone(settings, "run"):
        refuse_unfinished(settings)
        if at_work(settings, "mediation"):
            out.print("Mediation: a stream is at work and lands what arrives; this run takes what is landed")
        else:
            _step(settings, "stream_mediation", "--once")
        thrift.clear_dropped_seeds(settings)
        variables = ["--vars", f'{{"billing_month": "{month}"}}'] if month else []
        # the contracts of single tables are `dbt test`'s; what fails a run is the catalogue's faults and the equations
        left_out = ["test_type:generic", "test_type:unit"]
        is_checked = tariff.is_checked(settings)
        if is_checked:
            left_out += ["resource_type:seed", "tag:catalogue"]
        nodes = run_dbt(settings, ["build", "--exclude", *left_out, *variables], "Rating and billing")
        if not is_checked:
            tariff.mark_checked(settings)
        out.print(f"Rating and billing: {nodes} dbt nodes built and tested")


def summarise(settings: Settings) -> Summary:
    """Count what the landing zone and PostgreSQL hold.

    Raises:
        UserError: Spark Thrift or PostgreSQL does not answer.
    """
    landed = dict(thrift.execute(settings, LANDED.format(schema=settings.dbt_schema)))
    try:
        with psycopg.connect(**settings.postgres_connection()) as connection:  # type: ignore[arg-type]
            rated = connection.execute("select rating_status, count(*) from usage_records group by 1").fetchall()
            bills = connection.execute("select currency, count(*), sum(total) from bills group by 1").fetchall()
    except psycopg.Error as error:
        raise UserError(f"PostgreSQL at {settings.pghost}:{settings.pgport}: {error}") from None
    counts = {str(status): int(count) for status, count in rated}
    summary = Summary(
        landed={status: int(landed.get(status, 0)) for status in ("normal", "purged", "error", "duplicate")},
        rated={status: int(counts.get(status, 0)) for status in ("rated", "rejected", "unmatched", "error")},
        bills=sum(row[1] for row in bills),
        billed={row[0]: row[2] for row in bills},
    )
    log_event("summary", **asdict(summary))
    return summary


def show_summary(summary: Summary) -> None:
    """Print a summary as a table."""
    table = Table("step", "what", "records", title="Summary", title_justify="left")
    table.columns[2].justify = "right"
    table.add_row("mediation", "received", f"{sum(summary.landed.values()):,}")
    for status, count in summary.landed.items():
        if status == "purged" and not count:
            continue
        table.add_row("", status, f"{count:,}")
    table.add_section()
    for number, (status, count) in enumerate(summary.rated.items()):
        table.add_row("" if number else "rating", status, f"{count:,}")
    table.add_section()
    table.add_row("billing", "bills", f"{summary.bills:,}")
    for currency, total in sorted(summary.billed.items()):
        table.add_row("", f"billed, {currency}", f"{total:,.2f}")
    out.print(table)


def _step(settings: Settings, module: str, *arguments: str) -> None:
    """Run a module of this package as a process of its own, so that what it held is free for the next step."""
    command = [sys.executable, "-m", f"ingestion.{module}", *arguments]
    environment = settings.child_environment()
    result = subprocess.run(command, check=False, cwd=PROJECT_ROOT, env=environment, close_fds=False)
    if result.returncode != 0:
        raise UserError(f"the step `python -m ingestion.{module}` failed (exit code {result.returncode}): see above")
