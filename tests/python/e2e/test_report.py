"""The report of a real stack: what is served is on the page, subscribers are not, and what is missing is said."""

import os
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import psycopg
import pytest

from ingestion.console import UserError
from ingestion.settings import PROJECT_ROOT, Settings
from serving.report import write_report
from serving.report_data import USAGE, collect

pytestmark = pytest.mark.stack

MSISDN, PEER = "212699000001", "212699000002"
CUSTOMER = """
insert into customers (
    customer_id, msisdn, subscription_type, segment, rate_plan_id, customer_status, activation_date
) values ('REPORTED', %s, 'postpaid', 'vip', 'REPORTED_PLAN', 'active', '2025-01-01')
"""
# XTS is the currency code that ISO 4217 keeps for tests, so that no figure of another test is touched
RECORD = """
insert into usage_records (
    record_id, customer_id, msisdn, peer_msisdn, record_type, event_time, rate_plan_id, product_id, zone, quantity,
    billed_units, connect_fee, usage_charge, promotion_amount, cost, currency, rating_status, rated_at
) values (%s, 'REPORTED', %s, %s, 'voice', '2025-06-13 05:14:34Z', 'REPORTED_PLAN', 'P', 'reported_zone', 60,
    60, 0, %s, 0, %s, 'XTS', 'rated', '2000-01-01Z')
"""


class Texts(HTMLParser):
    """The words of a page, spaced as a person reads them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, _attributes: object) -> None:
        self.parts.append("" if tag == "wbr" else " ")

    def handle_endtag(self, _tag: str) -> None:
        self.parts.append(" ")

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.parts).split())


@pytest.fixture
def served(stack: Settings) -> Iterator[Settings]:
    """A customer with two records in PostgreSQL, gone afterwards."""
    with psycopg.connect(**stack.postgres_connection()) as owner:  # type: ignore[arg-type]
        owner.execute(CUSTOMER, (MSISDN,))
        for record_id, cost in (("reported-1", "1.25"), ("reported-2", "2.50")):
            owner.execute(RECORD, (record_id, MSISDN, PEER, cost, cost))
        owner.commit()
        yield stack
        owner.execute("delete from usage_records where customer_id = 'REPORTED'")
        owner.execute("delete from customers where customer_id = 'REPORTED'")


def test_the_page_shows_what_is_served_and_no_number(served: Settings, tmp_path: Path) -> None:
    with psycopg.connect(**served.postgres_connection("reader")) as reader:  # type: ignore[arg-type]
        query = "select subscriber from reporting.customers where customer_id = 'REPORTED'"
        (pseudonym,) = reader.execute(query).fetchone() or ("",)
    page = write_report(served, tmp_path / "made" / "for it")
    html = page.read_text(encoding="utf-8")
    text = Texts(html).text
    assert "Revenue in XTS 3.75 XTS for 2 rated records" in text
    assert "reported zone 3.75 2 100.0 %" in text
    assert f"1 {pseudonym[:12]} vip REPORTED_PLAN 2 3.75" in text
    assert MSISDN not in html
    assert PEER not in html
    assert "REPORTED " not in text
    assert sorted(path.name for path in page.parent.iterdir()) == ["index.html"]


def test_hours_are_those_of_the_tariff(served: Settings) -> None:
    # Morocco is an hour ahead of UTC all summer
    assert {row.hour for row in collect(served).usage if row.currency == "XTS"} == {6}


def test_totals_do_not_hash_a_number_for_every_record(served: Settings) -> None:
    with psycopg.connect(**served.postgres_connection("reader")) as reader:  # type: ignore[arg-type]
        plan = reader.execute(f"explain (verbose) {USAGE}", {"timezone": "UTC"}).fetchall()
    assert not [line for (line,) in plan if "sha256" in line]


def test_a_page_is_replaced_and_a_folder_that_is_a_file_is_one_line(stack: Settings, tmp_path: Path) -> None:
    first = write_report(stack, tmp_path).stat().st_ino
    assert write_report(stack, tmp_path).stat().st_ino != first
    with pytest.raises(UserError, match=r"--out .*index\.html is a file"):
        write_report(stack, tmp_path / "index.html")


def test_a_missing_server_is_one_line(stack: Settings, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "serving.report", "--out", tmp_path / "none"],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT_ROOT,
        env={**os.environ, "PGPORT": "1", "SPARK_THRIFT_PORT": "1"},
    )
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "PostgreSQL at 127.0.0.1:1/" in result.stderr
    assert "Spark Thrift at 127.0.0.1:1:" in result.stderr
    assert "telecom up" in result.stderr
    assert not (tmp_path / "none").exists()
