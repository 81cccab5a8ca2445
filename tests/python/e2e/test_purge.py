"""Purge a closed month of the running pipeline: what was personal is gone, what was promised still holds."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.locks import alone
from ingestion.settings import Settings
from serving import purge
from stack import thrift

pytestmark = [pytest.mark.stack, pytest.mark.slow]

BIN = Path(sys.executable).parent
MSISDN, ON_NET, CALLED, CALLED_LATER = "212661999001", "212612140289", "33612345678", "33687654321"
JANUARY, FEBRUARY, MARCH = "2024-01", "2024-02", "2024-03"
BILLS = """
select bills::text from bills union all select bill_lines::text from bill_lines order by 1
"""


def telecom(*arguments: str, code: int = 0) -> str:
    result = subprocess.run([BIN / "telecom", *arguments], capture_output=True, text=True, check=False, timeout=900)
    assert result.returncode == code, result.stdout[-2000:] + result.stderr[-4000:]
    return result.stdout + result.stderr


def call(name: str, moment: str, callee: str = CALLED, seconds: object = 90) -> dict[str, object]:
    return {
        "record_type": "voice",
        "record_id": name,
        "timestamp": moment,
        "caller_id": MSISDN,
        "callee_id": callee,
        "duration_sec": seconds,
    }


def produce(folder: Path, name: str, *records: dict[str, object]) -> None:
    file = folder / f"{name}.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    telecom("produce", str(file))


def ask(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(**settings.postgres_connection()) as connection:  # type: ignore[arg-type]
        cursor = connection.execute(query)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


def files_with(settings: Settings, number: str) -> Iterator[Path]:
    """Yield every data file, of whatever version, of the landing zone and of dbt's tables with single records."""
    folders = [Path(settings.landing_table)]
    folders += [Path(settings.warehouse_root, f"{settings.dbt_schema}.db", table) for table in purge.DETAILED]
    for folder in folders:
        assert folder.is_dir()
        for file in folder.rglob("*.parquet"):
            if "_delta_log" not in file.parts and number in str(_texts(pq.read_table(file))):
                yield file


def _texts(table: pa.Table) -> list[object]:
    return [row for name in table.column_names for row in table[name].to_pylist()]


def tables_with(settings: Settings, number: str) -> list[str]:
    """Return PostgreSQL's tables that hold a number anywhere in a row."""
    places = ask(
        settings,
        "select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')",
    )
    return [
        f"{schema}.{table}"
        for schema, table in places
        if ask(settings, f"select 1 from {schema}.{table} as held where held::text like '%{number}%' limit 1")
    ]


def test_what_a_purge_takes_and_what_it_leaves(
    stack: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(
        stack,
        f"insert into customers values ('PURGE-1', '{MSISDN}', 'Purge', 'postpaid', 'consumer', 'POSTPAID_PLUS',"
        " 'active', 'Rabat', '2024-01-01', null, '2024-01-01')",
    )
    # an allowance with units to roll over; January uses some of it, February all of its own and some of January's
    produce(
        tmp_path,
        "first",
        call("jan-1", "2024-01-05T10:00:00Z"),
        call("jan-1", "2024-01-05T10:00:00Z"),
        call("jan-bad", "2024-01-06T10:00:00Z", seconds="none"),
        call("jan-2", "2024-01-31T22:30:00Z", ON_NET, 15_500),
        call("feb-1", "2024-01-31T23:30:00Z", CALLED_LATER),
        *(call(f"feb-{n}", f"2024-02-{n:02}T10:00:00Z", ON_NET, 3600) for n in range(2, 9)),
        call("mar-1", "2024-03-05T10:00:00Z", CALLED_LATER),
    )
    telecom("run")
    telecom("close", JANUARY)
    telecom("close", FEBRUARY)
    rolled_over = ask(
        stack,
        "select (jsonb_path_query_first(invoice, '$.** ? (@.id == \"PLUS_VOICE_ON_NET\").rolledOverUnits'))::numeric"
        f" from bills where period = '{FEBRUARY}'",
    )
    assert 0 < rolled_over[0][0] < 3600, "February's bill depends on January's usage"
    bills = ask(stack, BILLS)

    # a dry run says what would go, and does nothing
    shown = telecom("purge", "--before", "2024-03-15", "--dry-run")
    assert [word for word in (JANUARY, FEBRUARY, "2024-03 (2024-03-15 falls in it)") if word not in shown] == []
    assert "Nothing to purge" in telecom("purge", "--before", "2024-01-31", "--dry-run")
    assert list(files_with(stack, CALLED))
    with alone(stack, "mediation"):
        assert "another `telecom mediate`" in telecom("purge", "--before", "2024-02-01", code=1)
    assert ask(stack, "select count(*) from purges") == [(0,)]

    # killed after PostgreSQL let go, before the landing zone did: nothing else goes on until it is finished
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(purge, "finish", _only_once(purge.finish))
        purge.purge_usage(stack, purge.parse_day("2024-02-01"))
    assert "`telecom purge --before 2024-02-01` again" in telecom("run", code=1)
    subprocess.run([BIN / "dbt", "run", "--full-refresh", "--select", "rating+"], check=True, capture_output=True)
    assert ask(stack, BILLS) == bills
    assert "Purged through 2024-01" in telecom("purge", "--before", "2024-02-01")
    assert "Nothing to purge" in telecom("purge", "--before", "2024-02-01")

    # what was personal is nowhere, in no old file either; what came after is where it was
    assert list(files_with(stack, CALLED)) == []
    assert list(files_with(stack, CALLED_LATER))
    assert tables_with(stack, CALLED) == []
    assert thrift.execute(stack, "select count(*), count(raw) from landing.cdr where record_type = 'purged'") == [
        (4, 0)
    ]

    # copies are known as such, late usage has a status of its own, no error comes back, and no bill moves
    produce(tmp_path, "again", call("jan-2", "2024-01-31T22:30:00Z"), call("jan-late", "2024-01-09T10:00:00Z"))
    assert telecom("replay", "--reason", "INVALID_DURATION_SEC").startswith("0 errors sent")
    telecom("run")
    assert ask(
        stack, "select record_id, rating_status, status_reason from usage_records where record_id like 'jan-%'"
    ) == [("jan-late", "error", "MONTH_PURGED")]
    subprocess.run([BIN / "dbt", "run", "--full-refresh", "--select", "rating+"], check=True, capture_output=True)
    assert ask(stack, BILLS) == bills
    totals = thrift.execute(
        stack,
        f"select usage_month, rated_cost > 0, difference from {stack.dbt_schema}.assurance_monthly_totals order by 1",
    )
    assert [(month, kept, float(difference)) for month, kept, difference in totals] == [
        (JANUARY, True, 0),
        (FEBRUARY, True, 0),
        (MARCH, True, 0),
    ]

    # and what came late goes with the next one, which checks every equation before and after
    telecom("purge", "--before", "2024-02-01")
    assert ask(stack, "select count(*) from usage_records where record_id like 'jan-%'") == [(0,)]
    assert ask(stack, "select rating_status, sum(records) from purged_records group by 1 order by 1") == [
        ("error", 1),
        ("rated", 2),
    ]
    assert ask(stack, BILLS) == bills


def _only_once(finish: Any) -> Any:
    """Return a `finish` that does its work once, and is a kill the second time."""
    calls: list[Settings] = []

    def finish_or_die(settings: Settings) -> None:
        calls.append(settings)
        if len(calls) > 1:
            raise KeyboardInterrupt
        finish(settings)

    return finish_or_die
