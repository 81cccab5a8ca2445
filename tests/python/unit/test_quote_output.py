"""A quote's output: JSON that keeps every digit, receipts that add up."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from ingestion.console import out
from serving.quote_inputs import Table, catalogue_columns
from serving.quote_output import print_bills, print_receipts, to_json, write_json_lines


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("0E-6"), "0.000000"),
        (Decimal("1E-12"), "0.000000000001"),
        (Decimal("123456789012345678901234.123456789012"), "123456789012345678901234.123456789012"),
        (datetime(2025, 6, 1, 10, tzinfo=UTC), '"2025-06-01T10:00:00Z"'),
        (datetime(2025, 6, 1, 10, 0, 0, 500, tzinfo=UTC), '"2025-06-01T10:00:00.000500Z"'),
        ([{"a": None, 'b"': "é\n", "c": 7, "d": True}], '[{"a": null, "b\\"": "é\\n", "c": 7, "d": true}]'),
    ],
)
def test_json_keeps_every_digit(value: object, text: str) -> None:
    assert to_json(value) == text
    json.loads(text)


def test_usage_comes_first_and_invoices_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    write_json_lines([{"cost": Decimal("1.30")}], ['{"amountDue":{"unit":"MAD","value":12.30}}'])
    assert capsys.readouterr().out == '{"cost": 1.30}\n{"amountDue":{"unit":"MAD","value":12.30}}\n'


RATE = {"product_rate_id": "R1", "unit_price": Decimal("0.600000"), "unit_size": Decimal("60.000000")}
RECORD: dict[str, Any] = {
    "record_id": "[b]call-1",
    "record_type": "voice",
    "msisdn": "212612000001",
    "peer_msisdn": "212633140289",
    "event_time": datetime(2025, 6, 1, 10, tzinfo=UTC),
    "quantity": Decimal("61.000000"),
    "customer_id": "C1",
    "rate_plan_id": "PLAN",
    "product_id": "CALL",
    "zone": "national",
    "time_band": "*",
    "rating_status": "rated",
    "status_reason": None,
    "connect_fee": Decimal("0.100000"),
    "usage_charge": Decimal("0.900000"),
    "promotion_id": "HALF",
    "promotion_amount": Decimal("0.500000"),
    "billed_units": Decimal("120.000000"),
    "cost": Decimal("0.500000"),
    "currency": "MAD",
    "charges": [
        {"product_rate_id": "R1", "pulses": 2, "units": Decimal("120.000000"), "amount": Decimal("1.200000000000")}
    ],
}


@pytest.fixture
def rates() -> list[Table]:
    columns = catalogue_columns()["product_rates"]
    return [Table("product_rates", columns, [tuple(RATE.get(column) for column in columns)], [2])]


def receipt(record: dict[str, Any], rates: list[Table]) -> str:
    with out.capture() as capture:
        print_receipts([record], rates)
    return capture.get()


def test_a_receipt_shows_the_way_from_pulses_to_cost(rates: list[Table]) -> None:
    text = receipt(RECORD, rates)
    amounts = [line.replace("│", " ").split()[-1] for line in text.splitlines() if "│" in line]
    assert amounts == ["0.10", "1.20", "-0.30", "-0.50", "MAD"]
    for part in ("0.60 per 60 s", "capped and rounded", "HALF", "0.50 MAD", "zone national", "band *", "plan PLAN"):
        assert part in text


def test_a_receipt_of_what_has_no_price_says_why(rates: list[Table]) -> None:
    blank = dict.fromkeys(("connect_fee", "usage_charge", "promotion_id", "cost", "billed_units", "currency"))
    text = receipt(RECORD | blank | {"rating_status": "error", "status_reason": "NO_RATE", "charges": []}, rates)
    assert "error: NO_RATE" in text
    assert "[b]call-1: voice of 61 s" in text


def test_a_bill_is_a_table_of_its_lines() -> None:
    line = {
        "name": "Voice, national",
        "taxExcludedAmount": {"unit": "MAD", "value": 1.30},
        "taxIncludedAmount": {"unit": "MAD", "value": 1.56},
        "appliedTax": [{"taxAmount": {"unit": "MAD", "value": 0.26}}],
        "characteristic": [{"name": "quantity", "value": "61.000000"}, {"name": "unit", "value": "second"}],
    }
    invoice = {
        "billNo": "C1-2025-06",
        "billingAccount": {"id": "C1"},
        "billingPeriod": {"startDateTime": f"{date(2025, 6, 1)}T00:00", "endDateTime": f"{date(2025, 7, 1)}T00:00"},
        "amountDue": {"unit": "MAD", "value": 1.56},
        "taxExcludedAmount": {"unit": "MAD", "value": 1.30},
        "appliedCustomerBillingRate": [line],
    }
    with out.capture() as capture:
        print_bills([json.dumps(invoice).replace("1.3}", "1.30}")])
    for part in ("Bill C1-2025-06 of C1", "61 second", "1.30", "0.26", "1.56 MAD"):
        assert part in capture.get()
