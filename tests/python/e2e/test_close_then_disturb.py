"""Close a month of the running pipeline, disturb everything it was billed from, and run again."""

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ingestion.settings import Settings

pytestmark = [pytest.mark.stack, pytest.mark.slow]

BIN = Path(sys.executable).parent
CUSTOMER, MSISDN = "CLOSE-1", "212661999001"


def telecom(*arguments: str) -> str:
    result = subprocess.run([BIN / "telecom", *arguments], capture_output=True, text=True, check=False, timeout=900)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    return result.stdout


def produce(folder: Path, name: str, *moments: str) -> None:
    file = folder / f"{name}.jsonl"
    lines = [
        {
            "record_type": "voice",
            "record_id": f"{name}-{moment}",
            "timestamp": moment,
            "caller_id": MSISDN,
            "callee_id": "33612345678",
            "duration_sec": 90,
        }
        for moment in moments
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    telecom("produce", str(file))


def ask(settings: Settings, query: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(**settings.postgres_connection()) as connection:  # type: ignore[arg-type]
        cursor = connection.execute(query, values)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []


def march(settings: Settings) -> list[tuple[Any, ...]]:
    return ask(settings, "select bills::text from bills where period = '2024-03' order by 1") + ask(
        settings,
        "select bill_lines::text from bill_lines inner join bills using (bill_id) where period = '2024-03' order by 1",
    )


def test_a_closed_month_never_changes_and_late_usage_is_on_the_next_bill(stack: Settings, tmp_path: Path) -> None:
    ask(
        stack,
        "insert into customers values"
        " (%s, %s, 'Close', 'postpaid', 'student', 'POSTPAID_START', 'active', 'Rabat', '2024-01-01', null,"
        " '2024-01-01')",
        CUSTOMER,
        MSISDN,
    )
    produce(tmp_path, "early", "2024-03-05T10:00:00Z", "2024-04-05T10:00:00Z")
    telecom("run")
    assert "2024-03 is closed: 1 bills are final" in telecom("close", "2024-03")
    before = march(stack)
    assert len(before) > 1

    produce(tmp_path, "late", "2024-03-06T10:00:00Z")
    ask(
        stack,
        "update customers set customer_name = 'Other', segment = 'vip', region = 'Fes' where customer_id = %s",
        CUSTOMER,
    )
    telecom("run")
    subprocess.run([BIN / "dbt", "run", "--full-refresh", "--select", "rating+"], check=True, capture_output=True)
    assert "2024-03 is closed since" in telecom("close", "2024-03")
    assert march(stack) == before

    late = ask(stack, "select cost from usage_records where record_id like 'late-%%'")
    assert late[0][0] > 0
    corrections = ask(
        stack,
        "select period, bill_lines.usage_month, service, zone, amount, tax_percent from bill_lines"
        " inner join bills using (bill_id) where customer_id = %s and kind = 'adjustment'",
        CUSTOMER,
    )
    assert [line[:4] for line in corrections] == [("2024-04", "2024-03", "voice", "europe")]
    assert corrections[0][4] == round(late[0][0], 2)
    assert corrections[0][5] == Decimal(20)
