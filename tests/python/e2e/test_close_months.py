"""Closing a month in a real PostgreSQL, and the documents of what was closed."""

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest
from databases import CUSTOMER, connect, own_database

from ingestion.console import UserError
from ingestion.settings import Settings
from serving.close import close_month
from serving.invoice_texts import Texts
from serving.invoices import Format, Order, write_invoices

pytestmark = pytest.mark.stack

MAY, JUNE, JULY = date(2025, 5, 1), date(2025, 6, 1), date(2025, 7, 1)
AUTUMN = date(2025, 10, 1)


def invoice(bill_id: str, total: str) -> str:
    """As much of an invoice as a document needs."""
    money = f'{{"unit": "MAD", "value": {total}}}'
    return f"""{{
        "billNo": "{bill_id}", "state": "draft", "billDate": "2025-07-01T00:00:00+01:00",
        "billingPeriod": {{"startDateTime": "2025-06-01T00:00:00+01:00", "endDateTime": "2025-07-01T00:00:00+01:00"}},
        "billingAccount": {{"id": "C1", "name": "Zo\\u00e9"}}, "subscription": {{}},
        "amountDue": {money}, "subtotal": {money}, "taxExcludedAmount": {money}, "taxIncludedAmount": {money},
        "taxItem": [], "appliedCustomerBillingRate": []
    }}"""


def fill(settings: Settings) -> None:
    """Two customers with drafts of May and June, and one's usage around the end of June."""
    with connect(settings) as connection:
        connection.execute(CUSTOMER)
        for customer in ("C1", "C2"):
            for month, total in (("2025-05", "10.00"), ("2025-06", "12.30")):
                bill_id = f"{customer}-{month}"
                connection.execute(
                    "insert into bills values (%(id)s, %(customer)s, %(month)s, 'draft', 'MAD', %(total)s, 0, 0,"
                    " %(total)s, %(invoice)s, null, 'digest')",
                    {
                        "id": bill_id,
                        "customer": customer,
                        "month": month,
                        "total": total,
                        "invoice": invoice(bill_id, total),
                    },
                )
                connection.execute(
                    "insert into bill_lines values (%s, 1, 'usage', 'Sms', 'sms', 'on_net', 1, %s, 0, 0, 0, %s, %s)",
                    [bill_id, total, total, month],
                )
        add_usage(connection, "in-june", "2025-06-15 12:00+01", "12.30")
        add_usage(connection, "last-moment", "2025-06-30 23:59:59.999+01", "0.00")
        add_usage(connection, "in-july", "2025-07-01 00:00+01", "0.50")


@pytest.fixture
def settings(stack: Settings) -> Iterator[Settings]:
    """A database of its own, with drafts of May and June."""
    with own_database(stack, "close_test") as own:
        fill(own)
        yield own


@pytest.fixture(scope="module")
def closed(stack: Settings) -> Iterator[Settings]:
    """Another one, in which both months are closed."""
    with own_database(stack, "closed_test") as own:
        fill(own)
        close_month(own, MAY, AUTUMN)
        close_month(own, JUNE, AUTUMN)
        yield own


def add_usage(connection: psycopg.Connection, record_id: str, event_time: str, cost: str) -> None:
    connection.execute(
        "insert into usage_records (record_id, customer_id, msisdn, peer_msisdn, record_type, event_time, product_id,"
        " zone, quantity, billed_units, connect_fee, usage_charge, promotion_amount, cost, currency,"
        " rating_status, rated_at)"
        " values (%s, 'C1', '212600000001', '212611111111', 'sms', %s, 'SMS', 'on_net', 1, 1, 0, %s, 0, %s, 'MAD',"
        " 'rated', now())",
        [record_id, event_time, cost, cost],
    )


def rows(settings: Settings, query: str) -> list[tuple[object, ...]]:
    with connect(settings) as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]


def frozen(settings: Settings) -> list[tuple[object, ...]]:
    """Everything that a closed June has, byte for byte."""
    return rows(settings, "select bills::text from bills where period = '2025-06' order by 1") + rows(
        settings, "select bill_lines::text from bill_lines where usage_month = '2025-06' order by 1"
    )


def test_closing_makes_a_months_drafts_final(settings: Settings) -> None:
    assert close_month(settings, MAY, AUTUMN).bills == 2
    closed = close_month(settings, JUNE, AUTUMN)
    assert (closed.period, closed.bills, closed.totals) == ("2025-06", 2, {"MAD": Decimal("24.60")})
    states = rows(settings, "select state, invoice ->> 'state', issued_at = closed_at from bills, billing_months")
    assert set(states) >= {("final", "final", True)}
    assert {state[:2] for state in states} == {("final", "final")}
    assert (
        rows(settings, "select invoice -> 'amountDue' ->> 'value' from bills where period = '2025-06'")
        == [("12.30",)] * 2
    )


def test_a_closed_month_is_closed_once(settings: Settings) -> None:
    close_month(settings, MAY, AUTUMN)
    first = close_month(settings, JUNE, AUTUMN)
    before = frozen(settings)
    again = close_month(settings, JUNE, AUTUMN)
    assert (again.bills, again.closed_at) == (0, first.closed_at)
    assert frozen(settings) == before


@pytest.mark.parametrize(
    ("month", "today", "reason"),
    [
        (JUNE, date(2025, 6, 30), "2025-06 is not over yet"),
        (JUNE, AUTUMN, "2025-05 is open and has 2 draft bills"),
        (JULY, AUTUMN, "2025-05 is open"),
        (date(2025, 1, 1), AUTUMN, "2025-01 has no bills"),
    ],
)
def test_a_month_that_cannot_be_closed_says_why(settings: Settings, month: date, today: date, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        close_month(settings, month, today)
    assert rows(settings, "select * from billing_months") == []


def test_the_first_day_after_a_month_closes_it(settings: Settings) -> None:
    close_month(settings, MAY, AUTUMN)
    assert close_month(settings, JUNE, JULY).bills == 2


def test_a_month_before_a_closed_one_stays_without_bills(settings: Settings) -> None:
    close_month(settings, MAY, AUTUMN)
    with pytest.raises(UserError, match="2025-04 lies before 2025-05, which is closed"):
        close_month(settings, date(2025, 4, 1), AUTUMN)


@pytest.mark.parametrize(
    "statement",
    [
        "update bills set total = 0, subtotal = 0 where bill_id = 'C1-2025-06'",
        "update bills set state = 'draft' where bill_id = 'C1-2025-06'",
        "delete from bills where bill_id = 'C1-2025-06'",
        "update bill_lines set amount = 0, total = 0 where bill_id = 'C1-2025-06'",
        "delete from bill_lines where bill_id = 'C1-2025-06'",
        "insert into bill_lines values ('C1-2025-06', 2, 'fee', 'Fee', null, null, 1, 1, 0, 0, 0, 1, '2025-06')",
        "insert into bills values ('C1-2025-04', 'C1', '2025-04', 'draft', 'MAD', 0, 0, 0, 0, '{}', null, 'x')",
        "update billing_months set month = '2025-07-01' where month = '2025-06-01'",
        "delete from billing_months",
    ],
)
def test_postgresql_refuses_to_change_a_closed_month(closed: Settings, statement: str) -> None:
    before = frozen(closed)
    with connect(closed) as owner, pytest.raises(psycopg.errors.RaiseException):
        owner.execute(statement)  # type: ignore[arg-type]
    assert frozen(closed) == before


def documents(settings: Settings, folder: Path, format_: Format) -> dict[str, bytes]:
    order = Order(folder, format_, Texts("en"), ZoneInfo("Africa/Casablanca"))
    assert write_invoices(settings, JUNE, order, []) == 2
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_documents_of_a_closed_month_stay_the_same(closed: Settings, tmp_path: Path) -> None:
    before = [documents(closed, tmp_path / format_, format_) for format_ in (Format.JSON, Format.HTML)]
    assert before[0].keys() == {"C1-2025-06.json", "C2-2025-06.json"}
    assert json.loads(before[0]["C1-2025-06.json"])["state"] == "final"
    annex = before[1]["C1-2025-06.html"].decode()
    assert "15/06/2025 12:00:00" in annex
    assert "30/06/2025 23:59:59" in annex
    assert "01/07/2025" not in annex
    with connect(closed) as connection:
        add_usage(connection, "late", "2025-06-20 12:00+01", "99.00")
        connection.execute("update usage_records set usage_charge = 7, cost = 7, rated_at = now() where cost > 10")
        connection.execute("update customers set customer_name = 'Somebody else', region = 'Fes'")
    assert [documents(closed, tmp_path / format_, format_) for format_ in (Format.JSON, Format.HTML)] == before


def test_invoices_say_what_is_missing(settings: Settings, tmp_path: Path) -> None:
    order = Order(tmp_path, Format.JSON, Texts("en"), ZoneInfo("Africa/Casablanca"))
    with pytest.raises(UserError, match="--month 2025-07: no bills; there are bills of 2025-05, 2025-06"):
        write_invoices(settings, JULY, order, [])
    with pytest.raises(UserError, match="--customer C9: no bill in 2025-06"):
        write_invoices(settings, JUNE, order, ["C1", "C9"])
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write_invoices(settings, JUNE, Order(tmp_path / "file", *list(vars(order).values())[1:]), [])
    assert write_invoices(settings, JUNE, order, ["C1"]) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["C1-2025-06.json", "file"]
