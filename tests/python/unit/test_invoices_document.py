"""Invoices as people read them, from a bill's JSON alone."""

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hostile import TEXTS
from html_page import Page

from ingestion.console import UserError, plain
from serving.close import parse_month
from serving.invoice_document import Bill, Usage, groups, html, pdf
from serving.invoice_texts import WORDS, Texts
from serving.invoices import Format, file_name

ZONE = ZoneInfo("Africa/Casablanca")
EN, FR = Texts("en"), Texts("fr")
NBSP, NNBSP, DASH, MINUS = "\u00a0", "\u202f", "\u2013", "\u2212"


def money(value: str) -> dict[str, Any]:
    return {"unit": "MAD", "value": Decimal(value)}


def line(kind: str, name: str, amount: str, discount: str = "0.00", **facts: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": kind,
        "discountAmount": money(discount),
        "taxExcludedAmount": money(str(Decimal(amount) - Decimal(discount))),
        "characteristic": [{"name": key, "valueType": "string", "value": value} for key, value in facts.items()],
    }


def invoice(**changed: Any) -> dict[str, Any]:
    return {
        "billNo": "C1-2025-06",
        "billDate": "2025-07-01T00:00:00+01:00",
        "billingPeriod": {"startDateTime": "2025-06-01T00:00:00+01:00", "endDateTime": "2025-07-01T00:00:00+01:00"},
        "billingAccount": {"id": "C1", "name": "<script>alert('Zoé & Cie')</script>"},
        "amountDue": money("1234.50"),
        "taxExcludedAmount": money("1028.75"),
        "taxIncludedAmount": money("1234.50"),
        "subtotal": money("1038.75"),
        "discount": [{"id": "D", "name": "Students", "amount": money("10.00")}],
        "taxItem": [{"taxCategory": "TVA 20 %", "taxRate": Decimal("20.000000"), "taxAmount": money("205.75")}],
        "subscription": {"msisdn": "212600000001", "ratePlan": "Plus"},
        "allowance": [
            {
                "id": "A",
                "serviceType": "voice",
                "zone": "on_net",
                "includedUnits": Decimal(3600),
                "rolledOverUnits": Decimal(0),
                "usedUnits": Decimal(1800),
            }
        ],
        "appliedCustomerBillingRate": [
            line(
                "usage", "Voice, on net", "938.75", "10.00",
                service="voice", zone="on_net", quantity="3725.000000", unit="second", includedUnits="1800.000000",
            ),
            line("fee", "Monthly fee, Plus", "99.00", quantity="30.000000", unit="day"),
            line(
                "adjustment", "Correction of 2025-05: sms, off net", "1.00",
                service="sms", zone="off_net", quantity="-2.000000", unit="message", usageMonth="2025-05",
            ),
        ],
    } | changed  # fmt: skip


def page(texts: Texts, state: str = "final", **changed: Any) -> str:
    usage = [
        Usage(
            "voice",
            datetime(2025, 6, 13, 5, 14, 34, tzinfo=UTC),
            "212633140289",
            "on_net",
            Decimal(204),
            Decimal("1.500000"),
        )
    ]
    text = re.sub(r'"<<(.*?)>>"', r"\1", json.dumps(invoice(**changed), default=lambda number: f"<<{number}>>"))
    return html(Bill("C1-2025-06", state, text, usage), texts, ZONE)


def test_names_are_escaped() -> None:
    text = page(EN)
    assert "<script>" not in text
    assert "&lt;script&gt;alert(&#39;Zoé &amp; Cie&#39;)&lt;/script&gt;" in text


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (
            EN,
            ["Invoice", f"1 June 2025 {DASH} 30 June 2025", f"1,234.50{NBSP}MAD", "1:02:05", "0:30:00", "our network"],
        ),
        (EN, ["May 2025: SMS, other networks", "Discount: Students", "13/06/2025 06:14:34", ">1.50<", f"{MINUS}2"]),
        (FR, ["Facture", f"1er juin 2025 {DASH} 30 juin 2025", f"1{NNBSP}234,50{NBSP}MAD", "Remise : Students"]),
        (FR, ["mai 2025 : SMS, autres réseaux", "notre réseau", ">1,50<", "TVA 20 %<"]),
    ],
)
def test_the_language_writes_words_numbers_and_dates(texts: Texts, expected: list[str]) -> None:
    text = page(texts)
    assert [part for part in expected if part not in text] == []


def named(text: str) -> str:
    """An invoice on which everything that has a name has this one."""
    usage = line("usage", text, "8.00", service="voice", zone=text, quantity="1", unit=text, includedUnits="1")
    correction = line(
        "adjustment", text, "1.00", service=text, zone=text, quantity="1", unit=text, usageMonth="2025-05"
    )
    return page(
        EN,
        billNo=text,
        billingAccount={"id": text, "name": text},
        discount=[{"id": text, "name": text, "amount": money("1.00")}],
        taxItem=[{"taxCategory": text, "taxRate": Decimal(20), "taxAmount": money("2.00")}],
        subscription={"msisdn": text, "ratePlan": text},
        allowance=[invoice()["allowance"][0] | {"serviceType": text, "zone": text}],
        appliedCustomerBillingRate=[usage, line("fee", text, "1.00"), correction],
    )


@pytest.mark.parametrize("text", TEXTS)
def test_no_text_changes_the_invoice_around_it(text: str) -> None:
    document = Page(named(text))
    assert document.shape == Page(named("x")).shape
    # a zone and a name each; a currency is checked where bills are made
    assert document.text.count(" ".join(plain(text).split())) >= 10
    assert plain(document.text) == document.text


def test_no_text_does_anything_in_a_pdf() -> None:
    document = pdf(named(" ".join(TEXTS)))
    assert document.startswith(b"%PDF-")
    assert not re.findall(rb"/(JavaScript|JS|URI|Launch|OpenAction|AA|EmbeddedFile|GoToR)\b", document)


def test_only_a_draft_says_so() -> None:
    assert EN.word("draft_note") in page(EN, "draft")
    assert EN.word("draft_note") not in page(EN, "final")


def test_a_bill_below_nothing_is_a_credit() -> None:
    text = page(EN, amountDue=money("-12.30"), discount=[])
    assert "Credit in your favour" in text
    assert f"12.30{NBSP}MAD" in text


def test_lines_are_gathered_with_the_amount_before_the_discount() -> None:
    found = groups(invoice(), EN)
    assert [(group.title, group.amount) for group in found] == [
        ("Calls", Decimal("938.75")),
        ("Monthly fee", Decimal("99.00")),
        ("Corrections of earlier months", Decimal("1.00")),
    ]
    assert found[1].items[0].name == "Plus"


def test_a_pdf_is_a_pdf() -> None:
    assert pdf(page(FR)).startswith(b"%PDF-")


def test_both_languages_have_the_same_words() -> None:
    assert WORDS["en"].keys() == WORDS["fr"].keys()


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        ("0", "second", "0:00:00"),
        ("-61", "second", f"{MINUS}0:01:01"),
        ("1023.999", "megabyte", f"1,024.00{NBSP}MB"),
        ("1536", "megabyte", f"1.50{NBSP}GB"),
        ("3.000000", "message", f"3{NBSP}SMS"),
        ("15.000000", "day", f"15{NBSP}days"),
    ],
)
def test_units(value: str, unit: str, expected: str) -> None:
    assert EN.units(Decimal(value), unit) == expected


def test_an_id_never_leaves_the_folder() -> None:
    assert file_name("../../etc/passwd", Format.PDF) == "..%2F..%2Fetc%2Fpasswd.pdf"


def test_a_long_id_still_names_a_file_of_its_own() -> None:
    names = {file_name("\u0627" * 100 + end, Format.HTML) for end in "12"}
    assert len(names) == 2
    assert all(len(name) < 255 for name in names)


def test_months() -> None:
    assert parse_month("2025-06") == date(2025, 6, 1)
    for wrong in ("2025-13", "2025-6", "0000-01", "06-2025", "2025-06-01", "juin"):
        with pytest.raises(UserError, match="YYYY-MM"):
            parse_month(wrong)
