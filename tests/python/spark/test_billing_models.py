"""The billing models on a local Spark session, line by line against the oracle and against bills made by hand."""

import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from billing_oracle import DIGITS, ZONE, Bill, Biller, Row, World, half_up
from billing_worlds import MONTHS, Bench, Billed, as_final, close, comparable, comparable_line, random_world, worlds
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import Draft202012Validator

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = ROOT / "tests" / "fixtures" / "billing"
SCHEMA = Draft202012Validator(
    json.loads((ROOT / "serving" / "invoice_schema.json").read_text()),
    format_checker=Draft202012Validator.FORMAT_CHECKER,
)
CUSTOMERS = 200
DECEMBER, JANUARY, FEBRUARY = date(2024, 12, 1), MONTHS[0], MONTHS[1]

Bills = dict[tuple[str, str, str], Bill]
Keyed = dict[tuple[str, str, str], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def bench(spark: "SparkSession", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A database with the billing models in it."""
    bench = Bench(spark, tmp_path_factory.mktemp("billing"), "billing_test")
    yield bench
    bench.drop()


def lines_of(billed: Billed) -> Keyed:
    """The models' lines by customer, period and currency, in the order of their numbers."""
    lines: Keyed = defaultdict(list)
    for row in sorted(billed.lines, key=lambda line: line["line_no"]):
        lines[row["customer_id"], row["period"], row["currency"]].append(comparable(row))
    return dict(lines)


@pytest.fixture(scope="module")
def world() -> World:
    """December is closed and disturbed, then January with December's corrections; February, March and June are open."""
    world = random_world(random.Random(42), CUSTOMERS)
    disturbance = random.Random(7)
    for month in (DECEMBER, JANUARY):
        world = close(world, month, disturbance)
    golden = golden_world()
    for table in ("customers", "usage", "rate_plans", "allowances", "discounts", "tax_rates", "promotions"):
        getattr(world, table).extend(getattr(golden, table))
    return world


@pytest.fixture(scope="module")
def oracle(world: World) -> Bills:
    """The bills of the world's open months."""
    return Biller(world).bills()


@pytest.fixture(scope="module")
def billed(bench: Bench, world: World) -> Billed:
    """What the models make of the world."""
    bench.load(world)
    return bench.bill()


# ------------------------------------------------------------------------------------- what holds in every world


def lines_are_the_oracles(billed: Billed, world: World, oracle: Bills) -> None:
    assert lines_of(billed) == {key: [comparable_line(line) for line in bill.lines] for key, bill in oracle.items()}


def discounts_are_the_oracles(billed: Billed, world: World, oracle: Bills) -> None:
    names = {row["bill_id"]: (row["customer_id"], row["period"], row["currency"]) for row in billed.bills}
    taken: dict[tuple[str, str, str], list[tuple[str, Fraction]]] = defaultdict(list)
    for row in sorted(billed.discounts, key=lambda row: row["discount_no"]):
        taken[names[row["bill_id"]]].append((row["discount_id"], Fraction(row["amount"])))
    assert dict(taken) == {key: bill.discounts for key, bill in oracle.items() if bill.discounts}


def bills_are_the_sum_of_their_lines(billed: Billed, world: World, oracle: Bills) -> None:
    sums: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for line in billed.lines:
        for name in ("amount", "discount", "tax", "total"):
            sums[line["bill_id"]][name] += line[name]
    for bill in billed.bills:
        of_lines = sums.pop(bill["bill_id"])
        assert bill["subtotal"] == of_lines["amount"]
        assert bill["discount_total"] == of_lines["discount"]
        assert bill["tax_total"] == of_lines["tax"]
        assert bill["total"] == of_lines["total"] == bill["subtotal"] - bill["discount_total"] + bill["tax_total"]
        assert (bill["state"], bill["issued_at"]) == ("draft", None)
    assert not sums, "lines without a bill"


def nothing_is_negative_but_corrections(billed: Billed, world: World, oracle: Bills) -> None:
    for line in billed.lines:
        if line["kind"] != "adjustment":
            assert min(line["amount"], line["discount"], line["tax"], line["amount"] - line["discount"]) >= 0
    corrected = {line["bill_id"] for line in billed.lines if line["kind"] == "adjustment"}
    for bill in billed.bills:
        assert bill["discount_total"] >= 0
        assert bill["bill_id"] in corrected or min(bill["total"], bill["subtotal"] - bill["discount_total"]) >= 0


def cost_is_billed_or_included_for_every_record(billed: Billed, world: World, oracle: Bills) -> None:
    costs = {
        row["record_id"]: row["cost"]
        for row in world.usage
        if row["rating_status"] == "rated" and row["subscription_type"] == "postpaid"
    }
    assert {row["record_id"] for row in billed.usage} == set(costs)
    for row in billed.usage:
        assert Fraction(row["billed_amount"] + row["included_amount"]) == costs[row["record_id"]]
        assert 0 <= row["billed_amount"] <= row["cost"]
        assert 0 <= row["covered_units"] <= row["billed_units"]


def over_all_bills_a_month_comes_to_what_its_usage_costs(billed: Billed, world: World, oracle: Bills) -> None:
    """The promise to whoever disputes a bill, of closed months with their corrections as of open ones."""
    amounts: dict[tuple[str, ...], Fraction] = defaultdict(Fraction)
    for row in billed.usage:
        key = (row["customer_id"], row["usage_month"], row["currency"], row["service"], row["zone"])
        amounts[key] += Fraction(row["billed_amount"])
    on_bills: dict[tuple[str, ...], Fraction] = defaultdict(Fraction)
    for line in [*world.final_lines, *billed.lines]:
        if line["kind"] in ("usage", "adjustment"):
            key = (line["customer_id"], line["usage_month"], line["currency"], line["service"], line["zone"])
            on_bills[key] += Fraction(line["amount"])
    rounded = {key: half_up(amount, DIGITS.get(key[2], 2)) for key, amount in amounts.items()}
    assert {key: value for key, value in on_bills.items() if value} == {
        key: value for key, value in rounded.items() if value
    }


def invoices_fit_their_schema_and_their_bill(billed: Billed, world: World, oracle: Bills) -> None:
    lines = defaultdict(list)
    for line in sorted(billed.lines, key=lambda line: line["line_no"]):
        lines[line["bill_id"]].append(line)
    for bill in billed.bills:
        assert not [error.message for error in SCHEMA.iter_errors(json.loads(bill["invoice"]))]
        invoice = json.loads(bill["invoice"], parse_float=Decimal)
        assert invoice["amountDue"] == {"unit": bill["currency"], "value": bill["total"]}
        assert invoice["subtotal"]["value"] == bill["subtotal"]
        assert invoice["taxExcludedAmount"]["value"] == bill["subtotal"] - bill["discount_total"]
        assert sum(item["taxAmount"]["value"] for item in invoice["taxItem"]) == bill["tax_total"]
        assert sum(item["amount"]["value"] for item in invoice.get("discount", [])) == bill["discount_total"]
        assert [rate["taxIncludedAmount"]["value"] for rate in invoice["appliedCustomerBillingRate"]] == [
            line["total"] for line in lines[bill["bill_id"]]
        ]


ALWAYS: tuple[Callable[[Billed, World, Bills], None], ...] = (
    lines_are_the_oracles,
    discounts_are_the_oracles,
    bills_are_the_sum_of_their_lines,
    nothing_is_negative_but_corrections,
    cost_is_billed_or_included_for_every_record,
    over_all_bills_a_month_comes_to_what_its_usage_costs,
    invoices_fit_their_schema_and_their_bill,
)


@pytest.mark.parametrize("holds", ALWAYS)
def test_in_the_made_world(
    billed: Billed, world: World, oracle: Bills, holds: Callable[[Billed, World, Bills], None]
) -> None:
    holds(billed, world, oracle)


def check_world(bench: Bench, world: World) -> None:
    bench.load(world)
    billed, oracle = bench.bill(), Biller(world).bills()
    for holds in ALWAYS:
        holds(billed, world, oracle)


# No shrinking: each step would be a run of dbt, and the world of the seed that is printed can be looked at as it is.
RANDOM = settings(
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@settings(RANDOM, max_examples=2, derandomize=True)
@given(world=worlds(customers=150))
def test_in_random_worlds(bench: Bench, world: World) -> None:
    check_world(bench, world)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(RANDOM, max_examples=20)
@given(world=worlds(customers=300))
def test_in_many_random_worlds(bench: Bench, world: World) -> None:
    check_world(bench, world)


# ---------------------------------------------------------------------------------------------- the made world


def test_the_invoices_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA.schema)


def test_the_made_world_has_everything(billed: Billed, oracle: Bills) -> None:
    assert {line.kind for bill in oracle.values() for line in bill.lines} == {
        "usage",
        "fee",
        "minimum_spend",
        "adjustment",
    }
    assert any(len(bill.discounts) > 1 for bill in oracle.values()), "discounts upon discounts"
    covered = [row["covered_units"] / row["billed_units"] for row in billed.usage if row["billed_units"]]
    assert 1 in covered
    assert any(0 < part < 1 for part in covered), "a record that crosses the end of an allowance"


def test_the_order_of_arrival_changes_nothing(bench: Bench, world: World, billed: Billed) -> None:
    backwards = replace(
        world, usage=world.usage[::-1], customers=world.customers[::-1], discounts=world.discounts[::-1]
    )
    bench.load(backwards)
    again = bench.bill()
    for before, after, key in (
        (billed.bills, again.bills, ("bill_id",)),
        (billed.lines, again.lines, ("bill_id", "line_no")),
        (billed.usage, again.usage, ("record_id",)),
    ):
        order = itemgetter(*key)
        assert sorted(after, key=order) == sorted(before, key=order)


def test_closed_months_have_no_bills(billed: Billed) -> None:
    assert {bill["period"] for bill in billed.bills} == {"2025-02", "2025-03", "2025-06"}


def test_corrections_go_both_ways_onto_the_first_open_month_with_the_tax_of_theirs(
    billed: Billed, world: World
) -> None:
    corrections = [line for line in billed.lines if line["kind"] == "adjustment"]
    assert {line["period"] for line in corrections} == {"2025-02"}
    assert {line["usage_month"] for line in corrections} == {"2024-12", "2025-01"}
    assert min(line["amount"] for line in corrections) < 0 < max(line["amount"] for line in corrections)
    taxes = {(row["customer_id"], row["usage_month"], row["service"]): row["tax_percent"] for row in world.final_lines}
    billed_before = [
        (line, taxes[line["customer_id"], line["usage_month"], line["service"]])
        for line in corrections
        if (line["customer_id"], line["usage_month"], line["service"]) in taxes
    ]
    assert billed_before
    assert all(Fraction(line["tax_percent"]) == percent for line, percent in billed_before)


@pytest.mark.slow
def test_bills_are_the_same_after_the_months_before_them_were_purged(bench: Bench) -> None:
    """January goes; February is closed, but its correction needs what January left over."""
    world = random_world(random.Random(3), CUSTOMERS)
    for month in (JANUARY, FEBRUARY):
        final = as_final(Biller(world).bills(), f"{month:%Y-%m}")
        world = replace(world, closed_months=[*world.closed_months, month], final_lines=world.final_lines + final)

    def month_of(row: Row) -> date:
        moment: datetime = row["event_time"]
        return moment.astimezone(world.timezone).date().replace(day=1)

    in_february = [row for row in world.usage if month_of(row) == FEBRUARY]
    world.usage[:] = [row for row in world.usage if row not in in_february[::5]]
    bench.load(world)
    before = bench.bill()
    assert {line["usage_month"] for line in before.lines if line["kind"] == "adjustment"} == {"2025-02"}
    balances: dict[str, list[Row]] = defaultdict(list)
    for row in bench.rows("allowance_balances"):
        balances[row["period"]].append(row)
    assert any(row["rolled_over_units"] for row in balances["2025-02"])

    late = [row | {"rating_status": "error", "cost": None} for row in world.usage if month_of(row) == JANUARY][:2]
    bench.load(replace(world, usage=late + [row for row in world.usage if month_of(row) > JANUARY]))
    bench.put("purges", [{"purged_through": JANUARY}])
    bench.put("purged_balances", [row | {"month": JANUARY} for row in balances["2025-01"]])
    after = bench.bill()
    assert sorted(after.bills, key=itemgetter("bill_id")) == sorted(before.bills, key=itemgetter("bill_id"))
    order = itemgetter("bill_id", "line_no")
    assert sorted(after.lines, key=order) == sorted(before.lines, key=order)


def test_money_has_exactly_the_digits_of_its_minor_unit(billed: Billed) -> None:
    seen = set()
    for bill in billed.bills:
        for currency, value in re.findall(r'\{"unit":"([A-Z]{3})","value":([^}]*)\}', bill["invoice"]):
            digits = DIGITS.get(currency, 2)
            assert re.fullmatch(rf"-?\d+\.\d{{{digits}}}" if digits else r"-?\d+", value), (currency, value)
            seen.add(currency)
    assert seen == {"MAD", "EUR", "JPY", "TND"}


@pytest.mark.parametrize(
    ("bill_id", "amounts"),
    [
        # 400 s covered; of 300 s 200 are, and 100/300 of 3.00 less 10 % is 0.90; 60 s at 0.60 + 0.10: voice 1.60.
        # Two SMS 1.00, fee 49.00: 51.60. 10 %: 0.16 + 0.10 + 4.90. 20 % of 1.44, 0.90, 44.10: 0.29 + 0.18 + 8.82
        ("GOLD1-2025-06", ("51.60", "5.16", "9.29", "55.73")),
        # half of June: fee 24.50, minimum spend 50.00 lacks 25.50; taxes 4.90 + 5.10
        ("GOLD2-2025-06", ("50.00", "0.00", "10.00", "60.00")),
        # ten days of June at 1000 yen a month: 333; 10 % is 33.3
        ("GOLD3-2025-06", ("333", "0", "33", "366")),
        # calls 10.00, twenty days at 60.00, ten at 30.00: 10 + 40 + 10. Of 10.00 off each line's share ends in 2/3
        # of a cent; the first two get the cents that are left: 1.67 + 6.67 + 1.66. 20 %: 1.67 + 6.67 + 1.67
        ("GOLD4-2025-06", ("60.00", "10.00", "10.01", "60.01")),
    ],
)
def test_golden_invoices(billed: Billed, bill_id: str, amounts: tuple[str, ...]) -> None:
    bill = {bill["bill_id"]: bill for bill in billed.bills}[bill_id]
    names = ("subtotal", "discount_total", "tax_total", "total")
    assert tuple(bill[name] for name in names) == tuple(map(Decimal, amounts))
    golden = (GOLDEN / f"{bill_id}.json").read_text(encoding="utf-8")
    assert bill["invoice"] == compact(golden)


def compact(text: str) -> str:
    """JSON without white space, every number spelled as it was."""
    kept = json.loads(text, parse_float=lambda number: f"<<{number}>>", parse_int=lambda number: f"<<{number}>>")
    return re.sub(r'"<<(.*?)>>"', r"\1", json.dumps(kept, ensure_ascii=False, separators=(",", ":")))


def golden_world() -> World:
    """Four customers of June 2025."""
    june = {"valid_from": date(2025, 6, 1), "valid_to": None}

    def plan(name: str, currency: str, fee: int, minimum: int = 0) -> Row:
        return june | {
            "rate_plan_id": name.upper(),
            "rate_plan_name": name,
            "currency": currency,
            "monthly_fee": Fraction(fee),
            "minimum_spend": Fraction(minimum),
        }

    def customer(number: int, plan_id: str, **changed: Any) -> Row:
        activation = changed.get("activation_date", date(2025, 6, 1))
        return {
            "customer_id": f"GOLD{number}",
            "msisdn": f"21260000000{number}",
            "customer_name": f"Amina {number} El Fassi & fils",
            "subscription_type": "postpaid",
            "segment": "consumer",
            "rate_plan_id": plan_id,
            "customer_status": "active",
            "region": "Casablanca",
            "activation_date": activation,
            "termination_date": None,
            "valid_from": datetime(activation.year, activation.month, activation.day, tzinfo=ZONE).astimezone(UTC),
            "valid_to": None,
        } | changed

    def usage(customer_id: str, day: int, service: str, units: int, charge: str, **more: Any) -> Row:
        record = {
            "record_id": f"{customer_id}-{day}",
            "customer_id": customer_id,
            "record_type": service,
            "event_time": datetime(2025, 6, day, 12, tzinfo=UTC),
            "rate_plan_id": "START",
            "zone": "on_net",
            "quantity": Fraction(units),
            "billed_units": Fraction(units),
            "connect_fee": Fraction(0),
            "usage_charge": Fraction(charge),
            "promotion_id": None,
            "promotion_amount": Fraction(0),
            "currency": "MAD",
            "rating_status": "rated",
            "subscription_type": "postpaid",
        } | more
        return record | {"cost": record["connect_fee"] + record["usage_charge"] - record["promotion_amount"]}

    changed_plan = datetime(2025, 6, 11, 9, 30, tzinfo=UTC)
    return World(
        customers=[
            customer(1, "START", segment="student"),
            customer(2, "BUSY", activation_date=date(2025, 6, 16)),
            customer(3, "YEN", region="Tokyo", activation_date=date(2025, 6, 16), termination_date=date(2025, 6, 26)),
            customer(4, "SMALL", valid_to=changed_plan, segment="vip"),
            customer(4, "LARGE", valid_from=changed_plan, segment="vip"),
        ],
        usage=[
            usage("GOLD1", 1, "voice", 400, "4.00"),
            usage("GOLD1", 2, "voice", 300, "3.00", promotion_id="TENTH", promotion_amount=Fraction("0.30")),
            usage("GOLD1", 3, "voice", 60, "0.60", connect_fee=Fraction("0.10")),
            usage("GOLD1", 4, "sms", 1, "0.50"),
            usage("GOLD1", 5, "sms", 1, "0.50"),
            usage("GOLD4", 6, "voice", 600, "10.00", rate_plan_id="SMALL"),
        ],
        rate_plans=[
            plan("Start", "MAD", 49),
            plan("Busy", "MAD", 49, 100),
            plan("Yen", "JPY", 1000),
            plan("Small", "MAD", 30),
            plan("Large", "MAD", 60),
        ],
        allowances=[
            june
            | {
                "allowance_id": "TEN_MINUTES",
                "rate_plan_id": "START",
                "service_type": "voice",
                "zone": "on_net",
                "included_units": Fraction(600),
                "rollover_units_max": Fraction(120),
                "priority": 1,
            }
        ],
        discounts=[
            june
            | {
                "discount_id": "STUDENT",
                "discount_name": "Students 10 %",
                "rate_plan_id": "*",
                "segment": "student",
                "kind": "percent",
                "value": Fraction(10),
                "minimum_subtotal": Fraction(0),
                "priority": 1,
            },
            june
            | {
                "discount_id": "LOYAL",
                "discount_name": "10 off",
                "rate_plan_id": "LARGE",
                "segment": "*",
                "kind": "fixed",
                "value": Fraction(10),
                "minimum_subtotal": Fraction(60),
                "priority": 1,
            },
        ],
        tax_rates=[
            june | {"tax_id": "TVA", "tax_name": "TVA 20 %", "applies_to": "*", "region": "*", "percent": Fraction(20)},
            # shown by its own customer alone: fees of a region that nobody else lives in
            june
            | {"tax_id": "CT", "tax_name": "消費税", "applies_to": "fee", "region": "Tokyo", "percent": Fraction(10)},
        ],
        promotions=[
            june
            | {
                "promotion_id": "TENTH",
                "promotion_name": "10 % off",
                "rate_plan_id": "*",
                "service_type": "*",
                "zone": "*",
                "time_band": "*",
                "segment": "*",
                "discount_percent": Fraction(10),
                "priority": 1,
            }
        ],
    )
