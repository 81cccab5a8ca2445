"""A quote on standard output: one JSON a line for programs, receipts and bills for people."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich.table import Table as Grid

from ingestion.console import out, plain
from serving.quote_inputs import Table

UNITS = {"voice": "s", "sms": "SMS", "data": "MB"}


def write_json_lines(usage: Iterable[dict[str, Any]], invoices: Iterable[str]) -> None:
    """Write each rated record as a line of JSON, then each invoice as it is."""
    for record in usage:
        sys.stdout.write(f"{to_json(record)}\n")
    for invoice in invoices:
        sys.stdout.write(f"{invoice}\n")


def to_json(value: object) -> str:
    """Return JSON with decimals as numbers of all their digits, never in exponent form, and times in UTC with `Z`."""
    match value:
        case Decimal():
            return f"{value:f}"
        case datetime():
            return f'"{value:%Y-%m-%dT%H:%M:%S}{f".{value.microsecond:06}" if value.microsecond else ""}Z"'
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)}: {to_json(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(to_json, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def print_receipts(usage: Sequence[dict[str, Any]], catalogue: Sequence[Table]) -> None:
    """Print each record's price step by step, as a customer would want it explained."""
    rates = {rate["product_rate_id"]: rate for rate in _rows(catalogue, "product_rates")}
    for record in usage:
        _print_line(_title(record), "bold")
        if record["rating_status"] == "rated":
            out.print(_receipt(record, rates))
        _print_line(_facts(record))
        out.print()


def _title(record: dict[str, Any]) -> str:
    to = f" to {record['peer_msisdn']}" if record["peer_msisdn"] else ""
    when = f"{record['event_time']:%Y-%m-%d %H:%M:%S} UTC"
    what = f"{record['record_type']} of {_short(record['quantity'])} {UNITS[record['record_type']]}"
    return f"{record['record_id']}: {what} by {record['msisdn']}{to}, {when}"


def _facts(record: dict[str, Any]) -> str:
    """Return where the price comes from, or why there is none."""
    parts = [("customer", "customer_id"), ("plan", "rate_plan_id"), ("product", "product_id")]
    parts += [("zone", "zone"), ("band", "time_band")]
    facts = ", ".join(f"{word} {record[column]}" for word, column in parts if record[column])
    if record["rating_status"] == "rated":
        return facts
    return f"{record['rating_status']}: {record['status_reason']}" + (f" ({facts})" if facts else "")


def _receipt(record: dict[str, Any], rates: dict[str, dict[str, Any]]) -> Grid:
    unit = UNITS[record["record_type"]]
    grid = Grid("charge", "price")
    for heading in ("pulses", unit, "amount"):
        grid.add_column(heading, justify="right")
    grid.add_row("connect fee", "", "", "", _short(record["connect_fee"]))
    for charge in record["charges"]:
        rate = rates[charge["product_rate_id"]]
        price = f"{_short(rate['unit_price'])} per {_short(rate['unit_size'])} {unit}"
        units, amount = _short(charge["units"]), _short(charge["amount"])
        grid.add_row(plain(charge["product_rate_id"]), price, str(charge["pulses"]), units, amount)
    total = record["connect_fee"] + sum(charge["amount"] for charge in record["charges"])
    list_price = record["connect_fee"] + record["usage_charge"]
    if total != list_price:
        grid.add_row("capped and rounded", "", "", "", _short(list_price - total))
    if record["promotion_id"]:
        grid.add_row(plain(record["promotion_id"]), "", "", "", _short(-record["promotion_amount"]))
    grid.add_section()
    cost = f"{_short(record['cost'])} {plain(record['currency'])}"
    grid.add_row("cost", "", "", _short(record["billed_units"]), cost)
    return grid


def print_bills(invoices: Iterable[str]) -> None:
    """Print each invoice as a table of its lines."""
    for text in invoices:
        invoice = json.loads(text, parse_float=Decimal)
        period = invoice["billingPeriod"]
        days = f"from {period['startDateTime'][:10]} until before {period['endDateTime'][:10]}"
        _print_line(f"Bill {invoice['billNo']} of {invoice['billingAccount']['id']}, {days}", "bold")
        out.print(_bill(invoice))


def _bill(invoice: dict[str, Any]) -> Grid:
    due = invoice["amountDue"]
    grid = Grid("line")
    for heading in ("quantity", "before tax", "tax", "total"):
        grid.add_column(heading, justify="right")
    for line in invoice["appliedCustomerBillingRate"]:
        facts = {item["name"]: item["value"] for item in line["characteristic"]}
        quantity = f"{_short(Decimal(facts['quantity']))} {facts.get('unit', '')}" if "quantity" in facts else ""
        tax = ", ".join(str(item["taxAmount"]["value"]) for item in line["appliedTax"])
        without, total = line["taxExcludedAmount"]["value"], line["taxIncludedAmount"]["value"]
        grid.add_row(plain(line["name"]), quantity, str(without), tax, str(total))
    grid.add_section()
    grid.add_row("due", "", str(invoice["taxExcludedAmount"]["value"]), "", f"{due['value']} {plain(due['unit'])}")
    return grid


def _print_line(text: str, style: str = "") -> None:
    """Print text that comes from the input: as it is, and as wide as it is."""
    out.print(plain(text), style=style or None, soft_wrap=True)


def _rows(catalogue: Sequence[Table], name: str) -> list[dict[str, Any]]:
    table = next(table for table in catalogue if table.name == name)
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def _short(amount: Decimal) -> str:
    """Return an amount without the zeros at its end, with two decimals at least where it has any."""
    text = f"{amount:f}".rstrip("0").rstrip(".") if "." in f"{amount:f}" else f"{amount:f}"
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals:0<2}" if decimals else whole
