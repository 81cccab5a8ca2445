"""The path as a newcomer walks it: a file of CDRs from elsewhere through `telecom produce` and `telecom run`."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hostile import TEXTS
from html_page import Page

from ingestion.runlog import FILE
from ingestion.settings import Settings
from serving.report import write_report
from stack import thrift

pytestmark = pytest.mark.stack

HANDMADE = Path(__file__).with_name("handmade_cdr.jsonl")
BIN = Path(sys.executable).parent
EVERYTHING = " ".join(TEXTS)
"""Name and region of every customer; the printable part of it is the id and the cell of one record."""
RUN_ID = "0d7b8f7e-52a1-4c6e-8a55-6a0f6f0b9c21"

CUSTOMERS = [
    # customer_id, msisdn, subscription_type, segment, rate_plan_id, customer_status
    ("E2E-1", "212661000001", "postpaid", "consumer", "POSTPAID_START", "active"),
    ("E2E-2", "212661000002", "prepaid", "consumer", "PREPAID_SALAM", "suspended"),
    ("E2E-3", "212661000003", "prepaid", "student", "PREPAID_SALAM", "active"),
]

# what each line of the file is: status and reasons in the landing zone, then rating status and reason
EXPECTED = [
    ("normal", [], "rated", None),
    ("duplicate", [], None, None),
    ("normal", [], "rated", None),
    ("normal", [], "rated", None),
    ("normal", [], "rated", None),
    ("normal", [], "rejected", "CUSTOMER_SUSPENDED"),
    ("normal", [], "unmatched", "NO_CUSTOMER"),
    ("error", ["MISSING_CALLER_ID"], None, None),
    ("error", ["MALFORMED_JSON"], None, None),
    ("error", ["UNKNOWN_RECORD_TYPE"], None, None),
    ("error", ["INVALID_TIMESTAMP"], None, None),
    ("error", ["INVALID_DURATION_SEC", "MISSING_CALLEE_ID"], None, None),
    ("normal", [], "rated", None),
    ("normal", [], "rated", None),
    ("normal", [], "error", "NO_ZONE"),
    ("duplicate", [], None, None),
    ("normal", [], "rated", None),
]


def telecom(*arguments: str, **exported: str) -> str:
    environment = {**os.environ, **exported}
    result = subprocess.run(
        [BIN / "telecom", *arguments], capture_output=True, text=True, check=False, timeout=900, env=environment
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    return result.stdout


def dbt(folder: Path, *arguments: str, **exported: str) -> None:
    environment = {**os.environ, **exported, "DBT_TARGET_PATH": str(folder)}
    result = subprocess.run(
        [BIN / "dbt", *arguments], capture_output=True, text=True, check=False, timeout=900, env=environment
    )
    assert result.returncode == 0, result.stdout[-4000:]


def ask(stack: Settings, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(**stack.postgres_connection()) as connection:  # type: ignore[arg-type]
        return connection.execute(query).fetchall()  # type: ignore[arg-type]


def everything_served(stack: Settings) -> list[list[tuple[Any, ...]]]:
    return [
        ask(stack, "select * from usage_records order by record_id"),
        ask(stack, "select * from bills order by bill_id"),
        ask(stack, "select * from bill_lines order by bill_id, line_no"),
    ]


@pytest.fixture(scope="module")
def ran(stack: Settings) -> Settings:
    with psycopg.connect(**stack.postgres_connection()) as connection:  # type: ignore[arg-type]
        for customer_id, msisdn, subscription, segment, plan, status in CUSTOMERS:
            connection.execute(
                "insert into customers (customer_id, msisdn, customer_name, subscription_type, segment, rate_plan_id,"
                " customer_status, region, activation_date, updated_at)"
                " values (%s, %s, %s, %s, %s, %s, %s, %s, '2025-01-01', '2025-01-01T00:00:00Z')",
                (customer_id, msisdn, EVERYTHING, subscription, segment, plan, status, EVERYTHING),
            )
    telecom("produce", str(HANDMADE), TELECOM_RUN_ID=RUN_ID)
    telecom("run", TELECOM_RUN_ID=RUN_ID)
    return stack


def test_every_line_has_its_status_and_reasons(ran: Settings):
    query = "select status, concat_ws(',', array_sort(error_reasons)) from landing.cdr"
    wanted = [(status, ",".join(sorted(reasons))) for status, reasons, *_ in EXPECTED]
    assert sorted(thrift.execute(ran, query)) == sorted(wanted)


def test_every_normal_record_has_one_rating_status(ran: Settings):
    found = ask(ran, "select rating_status, status_reason from usage_records")
    wanted = [(rating, reason) for _, _, rating, reason in EXPECTED if rating]
    assert sorted(map(str, found)) == sorted(map(str, wanted))


def test_a_bill_adds_up_and_names_its_fee(ran: Settings):
    bills = ask(
        ran, "select bill_id, total, currency from bills where customer_id = 'E2E-1' and period like '2025-06%'"
    )
    assert len(bills) == 1
    lines = ask(ran, f"select kind, total from bill_lines where bill_id = '{bills[0][0]}'")
    assert sum(total for _, total in lines) == bills[0][1] > 49
    assert {"usage", "fee"} <= {kind for kind, _ in lines}
    assert ask(ran, "select count(*) from bills where customer_id in ('E2E-2', 'E2E-3')") == [(0,)]


def test_one_id_joins_all_that_a_run_did_from_generation_to_bill(ran: Settings, tmp_path: Path):
    generated = ("--count", "20", "--no-load-customers", "--out", str(tmp_path / "cdr.json"))
    telecom("generate", *generated, TELECOM_RUN_ID=RUN_ID)
    documents = ("--month", "2025-06", "--format", "json", "--out", str(tmp_path))
    telecom("invoices", *documents, TELECOM_RUN_ID=RUN_ID)

    log = (ran.logs / FILE).read_text()
    lines = [line for line in map(json.loads, log.splitlines()) if line["run_id"] == RUN_ID]
    by_event = {(line["command"], line["event"]): line for line in lines}
    commands = ("generate", "produce", "mediate", "run", "invoices")
    assert [by_event[command, "command ended"]["exit_status"] for command in commands] == [0] * 5
    name = re.compile('"record_id":"([0-9a-f]{8})-')
    assert {by_event["generate", "traffic generated"]["traffic_id"]} == set(
        name.findall((tmp_path / "cdr.json").read_text())
    )
    assert by_event["produce", "lines produced"]["lines"] == len(EXPECTED)

    landed = by_event["mediate", "batch landed"]
    counts = [landed[status] for status in ("received", "normal", "error", "duplicate")]
    assert counts == [17, 10, 5, 2]
    ends = thrift.execute(ran, 'select concat(topic, "/", partition), max(offset) + 1 from landing.cdr group by all')
    assert {place: end for place, end in landed["next_offsets"].items() if end} == dict(ends)

    published, ended = by_event["run", "run published"], by_event["run", "dbt ended"]
    assert [published[table] for table in ("usage_records", "bills")] == [10, 1]
    in_postgres = f"select usage_records, bills, bill_lines from publications where run_id = '{ended['invocation_id']}'"
    assert ask(ran, in_postgres) == [tuple(published[table] for table in ("usage_records", "bills", "bill_lines"))]
    assert not {"error", "fail"} & set(ended["results"])
    assert by_event["run", "summary"]["bills"] == by_event["invoices", "invoices written"]["invoices"] == 1
    artefact = json.loads((ran.home / "target" / "run_results.json").read_text())["metadata"]
    assert artefact["invocation_id"] == ended["invocation_id"]
    assert artefact["env"]["TELECOM_RUN_ID"] == RUN_ID

    numbers = set(re.findall(r"2126\d{8}", HANDMADE.read_text())) | {msisdn for _, msisdn, *_ in CUSTOMERS}
    assert [number for number in numbers if number in log] == []


def test_names_that_would_be_code_elsewhere_are_text_at_every_station(ran: Settings, tmp_path: Path):
    records = [json.loads(line) for line in HANDMADE.read_text().splitlines() if "unknown_field" in line]
    printable = records[0]["record_id"]
    assert ask(ran, "select distinct customer_name, region from customers") == [(EVERYTHING, EVERYTHING)]
    assert (printable, "rated") in ask(ran, "select record_id, rating_status from usage_records")
    assert (printable,) in thrift.execute(ran, "select cell_id from landing.cdr where status = 'normal'")
    named = "select distinct invoice #>> '{billingAccount,name}', invoice #>> '{subscription,region}' from bills"
    assert ask(ran, named) == [(EVERYTHING, EVERYTHING)]
    telecom("invoices", "--month", "2025-06", "--format", "html", "--out", str(tmp_path / "html"))
    telecom("invoices", "--month", "2025-06", "--format", "pdf", "--out", str(tmp_path / "pdf"))
    pages = [*(tmp_path / "html").iterdir(), write_report(ran, tmp_path / "report")]
    for page in (Page(path.read_text(encoding="utf-8")) for path in pages):
        assert not {"script", "img"} & {tag for tag, _ in page.tags}
        assert "\u202e" not in page.text
    assert len(pages) == len(list((tmp_path / "pdf").iterdir())) + 1


def test_a_second_run_says_the_same_and_changes_nothing(ran: Settings):
    before = everything_served(ran)
    printed = " ".join(telecom("run").replace("│", " ").split())
    assert everything_served(ran) == before
    counts = ("received 17", "normal 10", "error 5", "duplicate 2", "rated 7", "rejected 1", "unmatched 1", "bills 1")
    for words in counts:
        assert words in printed


def test_the_commands_work_as_typed(ran: Settings, tmp_path: Path):
    """dbt's own commands at the root, with the stack up and nothing exported but where the stack is."""
    before = everything_served(ran)
    dbt(tmp_path, "seed")
    dbt(tmp_path, "snapshot")
    dbt(tmp_path, "run", "--select", "rating+")
    dbt(tmp_path, "docs", "generate")
    assert everything_served(ran) == before
    assert (tmp_path / "catalog.json").exists()


PRICES_AND_BILLS = {
    # what the whole catalogue says, not only what these few records meet of it
    "rating_calendar": "*",
    "rate_cards": "* except (rates), to_json(sort_array(map_entries(rates)))",
    "rated_usage": "* except (rated_at)",
    "usage_charges": "*",
    "bill_lines": "*",
    "bills": "*",
}


def prices_and_bills(stack: Settings) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table: sorted(thrift.execute(stack, f"select {columns} from telecom.{table}"), key=repr)
        for table, columns in PRICES_AND_BILLS.items()
    }


def test_either_catalogue_gives_the_same_prices_and_bills(ran: Settings, tmp_path: Path):
    from_seeds = prices_and_bills(ran)
    assert all(from_seeds.values())
    dbt(tmp_path, "seed", "--target", "postgres", **ran.exports())
    models = ("--select", "path:models/rating", "path:models/billing", "--full-refresh")
    dbt(tmp_path, "run", *models, "--vars", "catalogue: postgres")
    assert prices_and_bills(ran) == from_seeds
    built_from = next((tmp_path / "run").rglob("rate_cards.sql")).read_text()
    assert "pg.public.product_rates" in built_from
    assert "telecom.product_rates" not in built_from
