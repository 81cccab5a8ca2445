"""An invoice as a page: from a bill's JSON and its usage detail to HTML, and from there to PDF."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Template

from serving.invoice_texts import Texts
from serving.pages import page_environment

FOLDER = Path(__file__).parent
UNITS = {"voice": "second", "sms": "message", "data": "megabyte"}
SERVICES = ("voice", "sms", "data")


@dataclass(frozen=True)
class Usage:
    """A rated usage record as the annex lists it; `event_time` is UTC, `quantity` in the service's unit."""

    service: str
    event_time: datetime
    peer: str | None
    zone: str | None
    quantity: Decimal
    cost: Decimal


@dataclass(frozen=True)
class Bill:
    """A bill as PostgreSQL has it: its key, state and invoice as JSON text, and the usage behind it."""

    bill_id: str
    state: str
    invoice: str
    usage: Sequence[Usage]


@dataclass(frozen=True)
class Item:
    """A line of the summary, in words; `total` is the amount before discounts and taxes."""

    name: str
    quantity: str
    included: str
    amount: Decimal


@dataclass(frozen=True)
class Group:
    """The lines of a service, of the fees, or of the corrections, with their sum."""

    title: str
    items: Sequence[Item]
    amount: Decimal


def html(bill: Bill, texts: Texts, zone: ZoneInfo) -> str:
    """Return a bill as one HTML page without outside references; `zone` is that of the times in the annex."""
    invoice = json.loads(bill.invoice, parse_float=Decimal, parse_int=Decimal)
    period = _period(invoice)
    return _template().render(
        t=texts,
        operator=_operator(),
        style=(FOLDER / "templates" / "invoice.css").read_text(encoding="utf-8"),
        invoice=invoice,
        is_draft=bill.state == "draft",
        currency=invoice["amountDue"]["unit"],
        bill_date=datetime.fromisoformat(invoice["billDate"]).date(),
        first_day=period[0],
        last_day=period[1],
        groups=groups(invoice, texts),
        allowances=[row for row in invoice.get("allowance", []) if row["includedUnits"] or row["rolledOverUnits"]],
        units=UNITS,
        details=[
            (service, [row for row in bill.usage if row.service == service])
            for service in SERVICES
            if any(row.service == service for row in bill.usage)
        ],
        zone=zone,
    )


def pdf(page: str) -> bytes:
    """Return an HTML page as PDF."""
    from weasyprint import HTML

    document: bytes = HTML(string=page).write_pdf()
    return document


def groups(invoice: dict[str, Any], texts: Texts) -> list[Group]:
    """Gather an invoice's lines under the headings of its summary, in the order of the bill."""
    found: dict[str, list[Item]] = {}
    for line in invoice["appliedCustomerBillingRate"]:
        facts = {entry["name"]: entry["value"] for entry in line["characteristic"]}
        heading = facts["service"] if line["type"] == "usage" else line["type"]
        included = Decimal(facts.get("includedUnits", 0))
        found.setdefault(heading, []).append(
            Item(
                name=_line_name(line, facts, texts),
                quantity=texts.units(Decimal(facts["quantity"]), facts["unit"]) if "quantity" in facts else "",
                included=texts.units(included, facts["unit"]) if included else "",
                amount=line["taxExcludedAmount"]["value"] + line["discountAmount"]["value"],
            )
        )
    return [
        Group(texts.word(title), items, sum((i.amount for i in items), Decimal(0))) for title, items in found.items()
    ]


def _line_name(line: dict[str, Any], facts: dict[str, str], texts: Texts) -> str:
    """Name a line in the language: its zone, its plan, or the month that it corrects."""
    if line["type"] == "fee":
        return str(line["name"]).removeprefix("Monthly fee, ")
    if line["type"] == "minimum_spend":
        return texts.word("minimum_spend")
    zone = texts.zone(facts["zone"]) if "zone" in facts else texts.word(facts["service"])
    if line["type"] == "usage":
        return zone
    what = f"{texts.word(facts['service'])}, {zone}"
    return texts.word("adjustment_line").format(month=texts.month(facts["usageMonth"]), what=what)


def _period(invoice: dict[str, Any]) -> tuple[date, date]:
    """Return the first and the last day of an invoice."""
    bounds = invoice["billingPeriod"]
    first = datetime.fromisoformat(bounds["startDateTime"]).date()
    return first, datetime.fromisoformat(bounds["endDateTime"]).date() - timedelta(days=1)


@cache
def _operator() -> dict[str, Any]:
    operator: dict[str, Any] = json.loads((FOLDER / "operator.json").read_text(encoding="utf-8"))
    return operator


@cache
def _template() -> Template:
    return page_environment().get_template("invoice.html.j2")
