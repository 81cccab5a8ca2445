"""`telecom quote` as a person runs it: the examples of contract.md §4, refusals, faults, bills, and no traces."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hostile import TEXTS
from quote_world import (
    CUSTOMER_DEFAULTS,
    RATE_DEFAULTS,
    interrupt_quote,
    left_behind,
    run_quote,
    write_world,
)
from rating_oracle import Usage, rate
from rating_worlds import World, differences, random_world

from ingestion.settings import Settings
from serving.quote_inputs import catalogue_columns

pytestmark = pytest.mark.spark


def _rate(plan: str, **values: str) -> dict[str, str]:
    key = "_".join([plan, *(values[name] for name in ("time_band", "from_unit") if name in values)])
    return RATE_DEFAULTS | {"product_rate_id": key, "rate_plan_id": plan, "product_id": "CALL"} | values


def _call(number: int, seconds: int, timestamp: str = "2025-06-16T10:00:00Z") -> dict[str, Any]:
    return {
        "record_id": f"call-{number}",
        "record_type": "voice",
        "timestamp": timestamp,
        "caller_id": f"21261200000{number}",
        "callee_id": "212633140289",
        "duration_sec": seconds,
    }


CATALOGUE: dict[str, list[dict[str, str]]] = {
    "products": [{"product_id": "CALL", "product_name": "Calls", "service_type": "voice", "unit": "second"}],
    "rate_plans": [
        {
            "rate_plan_id": f"PLAN_{number}",
            "rate_plan_name": f"Plan {number}",
            "currency": "MAD",
            "monthly_fee": "100" if number == 1 else "0",
            "minimum_spend": "0",
            "valid_from": "2020-01-01",
        }
        for number in range(1, 6)
    ],
    "product_rates": [
        _rate(
            "PLAN_1",
            unit_price="0.60",
            connect_fee="0.10",
            initial_increment="60",
            increment="60",
            rounding_scale="2",
        ),
        _rate("PLAN_2", unit_price="0.12", initial_increment="30", increment="6"),
        _rate("PLAN_3", unit_price="0.20", from_unit="0", initial_increment="60", increment="60", connect_fee="0.40"),
        _rate("PLAN_3", unit_price="0.10", from_unit="60", connect_fee="0.40"),
        _rate("PLAN_4", unit_price="0.02", unit_size="1", time_band="day", rounding_scale="2"),
        _rate("PLAN_4", unit_price="0.01", unit_size="1", time_band="night", rounding_scale="2"),
        _rate("PLAN_5", unit_price="-0.01"),
    ],
    "destination_prefixes": [{"prefix": "212", "zone": "national", "description": "Morocco, all of it"}],
    "time_bands": [
        {"time_band": "day", "day_type": "weekday", "starts_at": "08:00", "ends_at": "20:00"},
        {"time_band": "night", "day_type": "weekday", "starts_at": "20:00", "ends_at": "24:00"},
    ],
    "customer_status_rules": [
        {"customer_status": "active", "ratable": "true"},
        {"customer_status": "suspended", "ratable": "false", "reason": "CUSTOMER_SUSPENDED"},
    ],
    "tax_rates": [
        {
            "tax_id": "VAT",
            "tax_name": "VAT",
            "applies_to": "*",
            "region": "*",
            "percent": "20",
            "valid_from": "2020-01-01",
        }
    ],
}
CUSTOMERS = [
    CUSTOMER_DEFAULTS
    | {"customer_id": f"C{number}", "msisdn": f"21261200000{number}", "rate_plan_id": f"PLAN_{number}"}
    | ({"subscription_type": "postpaid"} if number == 1 else {})
    for number in range(1, 5)
]
LINES: list[dict[str, Any] | str] = [
    _call(4, 120, "2025-06-16T19:59:00+01:00"),  # a Monday
    _call(3, 90),
    _call(2, 31),
    _call(1, 61),
    _call(1, 61),
    "not JSON",
    _call(9, 10) | {"record_id": "nobody's"},
    _call(2, 10) | {"record_id": "next year's", "timestamp": "2100-01-01T00:00:00.5Z"},
    json.dumps(_call(2, 10) | {"record_id": "cut off", "cell_id": "x"}).replace('"x"', '"x\\u12"'),
]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("quote")


@pytest.fixture(scope="module")
def options(scratch: Path, test_settings: Settings) -> list[str]:
    return write_world(scratch, CATALOGUE, CUSTOMERS, LINES)


@pytest.fixture(scope="module")
def quoted(scratch: Path, options: list[str]) -> Iterator[subprocess.CompletedProcess[str]]:
    result = run_quote(scratch / "quoted", *options, "--bills", "--format", "jsonl")
    assert result.returncode == 0, result.stderr
    yield result


@pytest.fixture(scope="module")
def usage(quoted: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    documents = [json.loads(line, parse_float=Decimal) for line in quoted.stdout.splitlines()]
    return [document for document in documents if "record_id" in document]


def test_the_contracts_examples_in_the_order_of_the_file(usage: list[dict[str, Any]]) -> None:
    costs = [(record["record_id"], record["cost"]) for record in usage[:4]]
    expected = [("call-4", "1.80"), ("call-3", "0.65"), ("call-2", "0.072"), ("call-1", "1.30")]
    assert costs == [(record_id, Decimal(cost)) for record_id, cost in expected]


def test_a_record_shows_its_charges_a_step_each(usage: list[dict[str, Any]]) -> None:
    charges = {charge["product_rate_id"]: charge for charge in usage[1]["charges"]}
    assert charges == {
        "PLAN_3_0": {"product_rate_id": "PLAN_3_0", "pulses": 1, "units": Decimal(60), "amount": Decimal("0.2")},
        "PLAN_3_60": {"product_rate_id": "PLAN_3_60", "pulses": 30, "units": Decimal(30), "amount": Decimal("0.05")},
    }


def test_decimals_are_json_numbers_with_all_their_digits(quoted: subprocess.CompletedProcess[str]) -> None:
    line = quoted.stdout.splitlines()[2]
    for text in (
        '"cost": 0.072000',
        '"connect_fee": 0.000000',
        '"amount": 0.072000000000',
        '"billed_units": 36.000000',
    ):
        assert text in line
    assert '"event_time": "2025-06-16T10:00:00Z"' in line


def test_a_record_that_has_no_price_says_why(usage: list[dict[str, Any]]) -> None:
    unmatched = next(record for record in usage if record["record_id"] == "nobody's")
    assert (unmatched["rating_status"], unmatched["status_reason"]) == ("unmatched", "NO_CUSTOMER")
    assert (unmatched["cost"], unmatched["charges"]) == (None, [])


def test_what_has_not_happened_yet_has_a_price(usage: list[dict[str, Any]]) -> None:
    future = next(record for record in usage if record["record_id"] == "next year's")
    assert (future["rating_status"], future["event_time"]) == ("rated", "2100-01-01T00:00:00.500000Z")


def test_refused_and_repeated_lines_are_named(quoted: subprocess.CompletedProcess[str], usage: list[Any]) -> None:
    assert "cdrs.jsonl, line 5: not rated: the same record as line 4\n" in quoted.stderr
    assert "cdrs.jsonl, line 6: not rated: MALFORMED_JSON\n" in quoted.stderr
    assert "cdrs.jsonl, line 9: not rated: MALFORMED_JSON\n" in quoted.stderr
    assert len(usage) == len(LINES) - 3


def test_the_catalogues_faults_are_named_and_it_is_rated_all_the_same(quoted: subprocess.CompletedProcess[str]) -> None:
    assert "product_rates.csv: PLAN_5: unit_price is negative" in quoted.stderr


def test_a_bill_of_the_month_follows_the_usage(quoted: subprocess.CompletedProcess[str]) -> None:
    invoices = [json.loads(line, parse_float=Decimal) for line in quoted.stdout.splitlines() if "CustomerBill" in line]
    june = [bill for bill in invoices if bill["billingPeriod"]["startDateTime"].startswith("2025-06-01")]
    assert [bill["billingAccount"]["id"] for bill in june] == ["C1"]
    # 1.30 and the fee of 100, with 20 % of tax a line
    assert june[0]["taxExcludedAmount"] == {"unit": "MAD", "value": Decimal("101.30")}
    assert june[0]["amountDue"] == {"unit": "MAD", "value": Decimal("121.56")}


def test_nothing_stays(quoted: subprocess.CompletedProcess[str], scratch: Path) -> None:
    assert left_behind(scratch / "quoted") == []


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_stays_of_a_quote_that_is_stopped(
    scratch: Path, options: list[str], quoted: subprocess.CompletedProcess[str], signal_number: signal.Signals
) -> None:
    place = scratch / signal_number.name
    assert interrupt_quote(place, signal_number, *options) == 128 + signal_number
    assert left_behind(place) == []


def test_a_bad_file_is_one_line(scratch: Path, options: list[str], tmp_path: Path) -> None:
    customers = tmp_path / "customers.csv"
    customers.write_text((scratch / "customers.csv").read_text().replace("2020-01-01", "1 January 2020"))
    result = run_quote(tmp_path, *options, "--customers", str(customers))
    expected = f"telecom: {customers}, line 2, activation_date: '1 January 2020' is not a date written YYYY-MM-DD\n"
    assert (result.returncode, result.stdout, result.stderr) == (1, "", expected)


ABSURD = {
    "decimal(18,6)": ("999999999999.999999", "-1", "0", "0.000001", ""),
    "int": ("-5", "999999999", "0", ""),
    "date": ("0001-01-01", "9999-12-31", "2025-06-16", ""),
    "boolean": ("false", ""),
    "string": (*TEXTS, "*", "", "day", "PLAN_1", "EUR", "half_down"),
}


@pytest.mark.slow
@pytest.mark.parametrize("number", range(6))
def test_a_catalogue_that_makes_no_sense_is_quoted_or_refused_in_one_line(
    number: int, tmp_path: Path, test_settings: Settings
) -> None:
    random, tables = Random(number), deepcopy(CATALOGUE)
    for _ in range(4):
        name = random.choice(list(tables))
        column = random.choice(list(catalogue_columns()[name]))
        random.choice(tables[name])[column] = random.choice(ABSURD[catalogue_columns()[name][column]])
    for name in random.sample(list(tables), 2):  # every row once more overlaps itself
        tables[name] += deepcopy(tables[name])
    options = write_world(tmp_path, tables, CUSTOMERS, LINES)
    result = run_quote(tmp_path / "run", *options, "--bills", *random.choice(([], ["--format", "jsonl"])))
    assert "Traceback" not in result.stderr
    assert result.returncode in {0, 1}
    if result.returncode:
        assert [line for line in result.stderr.splitlines() if line.startswith("telecom: ")][:-1] == []
        assert "telecom: " in result.stderr


# ------------------------------------------------------------------------------------------------ the oracle


def test_a_random_catalogue_costs_what_the_oracle_says(tmp_path: Path, test_settings: Settings) -> None:
    world = _without_history(random_world(20250616, 30, 60, 600, "Africa/Casablanca"))
    customers = [
        CUSTOMER_DEFAULTS | {column.name: getattr(version, column.name) for column in fields(version)}
        for version in world.customers
    ]
    customers = [{key: row[key] for key in row if not key.startswith(("changed", "is_"))} for row in customers]
    options = write_world(tmp_path, _catalogue(world), customers, map(_record, world.usage))

    result = run_quote(tmp_path / "run", *options, "--format", "jsonl")

    assert result.returncode == 0, result.stderr
    rows = [json.loads(line, parse_float=Decimal) for line in result.stdout.splitlines()]
    expected = {record.record_id: rate(world.catalogue, world.customers, record) for record in world.usage}
    charges = [{"record_id": row["record_id"]} | charge for row in rows for charge in row["charges"]]
    assert [row["record_id"] for row in rows] == [record.record_id for record in world.usage]
    assert differences(world, expected, rows, charges) == []


def _without_history(world: World) -> World:
    """Keep what can be asked: a customers file has present states only, and mediation refuses what is no number."""
    holders = {version.msisdn: version for version in reversed(world.customers)}
    customers = [replace(version, changed_again_at=None, is_first=True) for version in holders.values()]
    number = re.compile(r"[0-9]{3,6}|[1-9][0-9]{7,14}")
    usage = [record for record in world.usage if record.record_type == "data" or number.fullmatch(record.peer_msisdn)]
    return World(world.catalogue, customers, usage)


def _catalogue(world: World) -> dict[str, list[dict[str, Any]]]:
    catalogue = world.catalogue
    services = {rate.product_id: rate.service_type for rate in catalogue.rates}
    units = {"voice": "second", "sms": "message", "data": "megabyte"}
    return {
        "products": [
            {"product_id": product, "product_name": product, "service_type": service, "unit": units[service]}
            for product, service in services.items()
        ],
        "rate_plans": [
            _plain(plan) | {"rate_plan_name": plan.rate_plan_id, "monthly_fee": 0, "minimum_spend": 0}
            for plan in catalogue.plans
        ],
        "product_rates": [
            {key: value for key, value in _plain(row).items() if key != "service_type"} for row in catalogue.rates
        ],
        "destination_prefixes": [{"prefix": prefix, "zone": zone} for prefix, zone in catalogue.prefixes.items()],
        "cell_zones": [{"cell_prefix": prefix, "zone": zone} for prefix, zone in catalogue.cell_zones.items()],
        "time_bands": [_plain(band) for band in catalogue.bands],
        "holidays": [{"holiday_date": day, "holiday_name": "Holiday"} for day in sorted(catalogue.holidays)],
        "promotions": [_plain(promotion) for promotion in catalogue.promotions],
        "customer_status_rules": [
            {"customer_status": status, "ratable": ratable, "reason": reason}
            for status, (ratable, reason) in catalogue.status_rules.items()
        ],
    }


def _plain(row: Any) -> dict[str, Any]:
    values = {column.name: getattr(row, column.name) for column in fields(row)}
    return {key: _decimal(value) if isinstance(value, Fraction) else value for key, value in values.items()}


def _decimal(number: Fraction) -> Decimal:
    return Decimal(number.numerator) / Decimal(number.denominator)


def _record(usage: Usage) -> dict[str, Any]:
    numbers = {"voice": ("caller_id", "callee_id"), "sms": ("sender_id", "receiver_id"), "data": ("user_id", "")}
    own, peer = numbers[usage.record_type]
    record: dict[str, Any] = {
        "record_id": usage.record_id,
        "record_type": usage.record_type,
        "timestamp": datetime.isoformat(usage.event_time.astimezone(UTC)),
        "cell_id": usage.cell_id,
        own: usage.msisdn,
    }
    if peer:
        record[peer] = usage.peer_msisdn
    if usage.record_type == "voice":
        record["duration_sec"] = int(usage.quantity)
    if usage.record_type == "data":
        record["data_volume_mb"] = f"{_decimal(usage.quantity):f}"
    return record
