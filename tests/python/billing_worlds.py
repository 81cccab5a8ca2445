"""Random customers, plans, allowances, discounts, taxes and rated usage, and the way to have dbt bill them."""

import copy
import json
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from billing_oracle import ZONE, Bill, Biller, Line, Row, World, half_up
from hypothesis import strategies as st

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PROJECT = Path(__file__).resolve().parents[2]
MODELS = "path:models/billing"
VALID = "valid_from date, valid_to date"
MONEY = "decimal(18,6)"

SCHEMAS = {
    "rate_plans": (
        f"rate_plan_id string, rate_plan_name string, currency string, monthly_fee {MONEY}, "
        f"minimum_spend {MONEY}, {VALID}"
    ),
    "allowances": (
        "allowance_id string, rate_plan_id string, service_type string, zone string, "
        f"included_units {MONEY}, rollover_units_max {MONEY}, priority int, {VALID}"
    ),
    "discounts": (
        "discount_id string, discount_name string, rate_plan_id string, segment string, kind string, "
        f"value {MONEY}, minimum_subtotal {MONEY}, priority int, {VALID}"
    ),
    "tax_rates": (f"tax_id string, tax_name string, applies_to string, region string, percent {MONEY}, {VALID}"),
    "promotions": (
        "promotion_id string, promotion_name string, rate_plan_id string, service_type string, zone string, "
        f"time_band string, segment string, discount_percent {MONEY}, priority int, {VALID}"
    ),
    "customers_snapshot": (
        "customer_id string, msisdn string, customer_name string, subscription_type string, segment string, "
        "rate_plan_id string, customer_status string, region string, activation_date date, termination_date date, "
        "updated_at timestamp, dbt_valid_from timestamp, dbt_valid_to timestamp"
    ),
    "rated_usage": (
        "record_id string, customer_id string, record_type string, event_time timestamp, rate_plan_id string, "
        f"zone string, quantity {MONEY}, billed_units {MONEY}, connect_fee {MONEY}, usage_charge {MONEY}, "
        f"promotion_id string, promotion_amount {MONEY}, cost {MONEY}, currency string, rating_status string, "
        "subscription_type string"
    ),
    "billing_months": "month date, closed_at timestamp",
    "purges": "purged_through date, purged_before timestamp, landed_until timestamp",
    "purged_balances": "customer_id string, allowance_id string, month date, unused_parts decimal(38,6)",
    "bills": "bill_id string, customer_id string, state string, currency string",
    "bill_lines": (
        f"bill_id string, kind string, service string, zone string, quantity {MONEY}, amount {MONEY}, "
        f"tax_percent {MONEY}, usage_month string"
    ),
}
SERVED = ("billing_months", "purges", "purged_balances", "bills", "bill_lines")
"""What PostgreSQL has."""


@dataclass(frozen=True)
class Billed:
    """What the models made of a world."""

    bills: list[Row]
    lines: list[Row]
    usage: list[Row]
    discounts: list[Row]


class Bench:
    """A database of a local Spark session that holds a world's tables and what dbt bills from them."""

    def __init__(self, spark: "SparkSession", folder: Path, schema: str) -> None:
        self.spark, self.schema, self.timezone = spark, schema, ZONE.key
        self.project, self.profiles = folder / schema, folder / f"{schema}_profiles"
        self.profiles.mkdir()
        # dbt refuses to build models whose parents are not in the project, so it gets the project itself
        self.project.mkdir()
        for name in ("dbt_project.yml", "macros", "models", "seeds", "snapshots", "dbt_project", "tests"):
            (self.project / name).symlink_to(PROJECT / name)
        (self.profiles / "profiles.yml").write_text(
            "telecom:\n  target: local\n  outputs:\n    local:\n"
            f"      type: spark\n      method: session\n      host: local\n      schema: {schema}\n      threads: 1\n"
        )
        spark.sql(f"create database if not exists {schema}")

    def load(self, world: World) -> None:
        """Write a world's tables, in place of those of the last one."""
        self.timezone = world.timezone.key
        tables: dict[str, Sequence[Row]] = {
            "rate_plans": world.rate_plans,
            "allowances": world.allowances,
            "discounts": world.discounts,
            "tax_rates": world.tax_rates,
            "promotions": world.promotions,
            "customers_snapshot": [
                version
                | {
                    "updated_at": version["valid_from"],
                    "dbt_valid_from": version["valid_from"],
                    "dbt_valid_to": version["valid_to"],
                }
                for version in world.customers
            ],
            "rated_usage": world.usage,
            "billing_months": [
                {"month": m, "closed_at": datetime(2026, 1, 1, tzinfo=UTC)} for m in world.closed_months
            ],
            "bills": [
                {"bill_id": name, "customer_id": customer, "state": "final", "currency": currency}
                for name, customer, currency in {
                    (row["bill_id"], row["customer_id"], row["currency"]) for row in world.final_lines
                }
            ],
            "bill_lines": world.final_lines,
            "purges": [],
            "purged_balances": [],
        }
        # what stands for PostgreSQL has a database of its own, as models of the same names do not
        self.spark.sql(f"create database if not exists {self.schema}_served")
        for name, rows in tables.items():
            self.put(name, rows)

    def put(self, name: str, rows: Sequence[Row]) -> None:
        """Write the rows of a table that billing reads, in place of those it has."""
        served = "_served" if name in SERVED else ""
        write(self.spark, f"{self.schema}{served}.{name}", SCHEMAS[name], rows)

    def run(self) -> None:
        """Run the billing models.

        Raises:
            AssertionError: a model failed; its message is dbt's.
        """
        from dbt.cli.main import dbtRunner

        variables = {
            "postgres_schema": f"{self.schema}_served",
            "rating_timezone": self.timezone,
            "billing_timezone": self.timezone,
        }
        result = dbtRunner().invoke(
            ["--quiet", "--log-path", str(self.profiles / "logs"), "run", "--select", MODELS]
            + ["--project-dir", str(self.project), "--profiles-dir", str(self.profiles)]
            + ["--target-path", str(self.profiles / "target")]
            + ["--vars", json.dumps(variables)]
        )
        failed = [f"{r.node.name}: {r.message}" for r in getattr(result.result, "results", []) if r.status != "success"]
        assert result.success, failed or result.exception

    def bill(self) -> Billed:
        """Run the billing models, and return what they made."""
        self.run()
        return Billed(
            bills=self.rows("bills"),
            lines=self.rows("bill_lines"),
            usage=self.rows("billed_usage"),
            discounts=self.rows("bill_discounts"),
        )

    def rows(self, table: str) -> list[Row]:
        return [row.asDict() for row in self.spark.table(f"{self.schema}.{table}").collect()]

    def drop(self) -> None:
        self.spark.sql(f"drop database if exists {self.schema} cascade")
        self.spark.sql(f"drop database if exists {self.schema}_served cascade")
        shutil.rmtree(self.project)


def write(spark: "SparkSession", table: str, schema: str, rows: Sequence[Row]) -> None:
    """Write rows as a table; Fractions become decimals, columns that a row lacks are null."""
    from pyspark.sql.types import StructType

    names = StructType.fromDDL(schema).names
    data = [tuple(plain(row.get(name)) for name in names) for row in rows]
    spark.createDataFrame(data, schema).coalesce(1).write.format("parquet").mode("overwrite").saveAsTable(table)


def plain(value: Any) -> Any:
    """A value that Spark takes: Fractions of at most 6 decimals as Decimal."""
    if not isinstance(value, Fraction):
        return value
    millionths = value * 10**6
    assert millionths.denominator == 1, f"{value} has more than 6 decimals"
    return Decimal(millionths.numerator).scaleb(-6)


SERVICE_ZONES = {"voice": ("on_net", "france", None), "sms": ("on_net", "short_code"), "data": ("home", "airport")}
REGIONS = ("Nord", "Sud", None)
SEGMENTS = ("consumer", "student", "business", "vip")
MONTHS = (date(2025, 1, 1), date(2025, 2, 1), date(2025, 3, 1))
OVER = date(2025, 5, 1)
"""Random catalogue rows end here, so that bills made by hand can have a later month for themselves."""


def decimal(random_: random.Random, low: float, high: float, digits: int) -> Fraction:
    return Fraction(random_.randint(int(low * 10**digits), int(high * 10**digits)), 10**digits)


def validity(random_: random.Random) -> tuple[date, date | None]:
    """Mostly the whole time, sometimes from or up to a day in the months that are billed."""
    inside = MONTHS[0] + timedelta(days=random_.randint(0, 89))
    choice = random_.random()
    if choice < 0.7:
        return date(2020, 1, 1), OVER
    return (inside, OVER) if choice < 0.85 else (date(2020, 1, 1), inside)


def random_catalogue(random_: random.Random) -> dict[str, list[Row]]:
    """Plans with and without fee, minimum spend and currencies of 0, 2 and 3 decimals; all other tables at random."""
    plans: list[Row] = []
    for number in range(10):
        plan = {
            "rate_plan_id": f"PLAN{number}",
            "rate_plan_name": f"Plan {number}",
            "currency": {7: "EUR", 8: "JPY", 9: "TND"}.get(number, "MAD"),
            "monthly_fee": random_.choice([Fraction(0), decimal(random_, 1, 200, 2), decimal(random_, 1, 90, 6)]),
            "minimum_spend": random_.choice([Fraction(0), decimal(random_, 1, 300, 2)]),
            "valid_from": date(2020, 1, 1),
            "valid_to": OVER,
        }
        if number % 3 == 0:
            change = MONTHS[0] + timedelta(days=random_.randint(0, 89))
            plans.append(plan | {"valid_to": change})
            plan = plan | {"valid_from": change, "monthly_fee": decimal(random_, 0, 200, 2)}
        plans.append(plan)
    allowances = []
    for number in range(24):
        valid_from, valid_to = validity(random_)
        service = random_.choice(["voice", "voice", "sms", "data", "*"])
        zones = [zone for zone in SERVICE_ZONES.get(service, ("on_net",)) if zone]
        allowances.append(
            {
                "allowance_id": f"A{number:02d}",
                "rate_plan_id": "*" if random_.random() < 0.1 else f"PLAN{random_.randrange(10)}",
                "service_type": service,
                "zone": random_.choice(["*", random_.choice(zones)]),
                "included_units": random_.choice([decimal(random_, 0, 900, 0), decimal(random_, 0, 300, 6)]),
                "rollover_units_max": random_.choice([Fraction(0), decimal(random_, 0, 500, 2)]),
                "priority": random_.randint(1, 3),
                "valid_from": valid_from,
                "valid_to": valid_to,
            }
        )
    discounts = []
    for number in range(14):
        valid_from, valid_to = validity(random_)
        kind = random_.choice(["percent", "fixed"])
        discounts.append(
            {
                "discount_id": f"D{number:02d}",
                "discount_name": f"Discount {number}",
                "rate_plan_id": random_.choice(["*", f"PLAN{random_.randrange(10)}"]),
                "segment": random_.choice(["*", *SEGMENTS]),
                "kind": kind,
                "value": decimal(random_, 1, 30, 3) if kind == "percent" else decimal(random_, 1, 150, 2),
                "minimum_subtotal": random_.choice([Fraction(0), decimal(random_, 1, 300, 2)]),
                "priority": random_.randint(1, 4),
                "valid_from": valid_from,
                "valid_to": valid_to,
            }
        )
    taxes = []
    for number in range(12):
        valid_from, valid_to = validity(random_)
        taxes.append(
            {
                "tax_id": f"T{number:02d}",
                "tax_name": f"Tax {number}",
                "applies_to": random_.choice(["voice", "sms", "data", "fee", "*"]),
                "region": random_.choice(["*", "Nord", "Sud"]),
                "percent": random_.choice([Fraction(20), decimal(random_, 0, 25, 2), decimal(random_, 0, 25, 6)]),
                "valid_from": valid_from,
                "valid_to": valid_to,
            }
        )
    promotions = [
        {
            "promotion_id": f"P{number}",
            "promotion_name": f"Promotion {number}",
            "rate_plan_id": "*",
            "service_type": "*",
            "zone": "*",
            "time_band": "*",
            "segment": "*",
            "discount_percent": random_.choice([Fraction(100), Fraction(50), decimal(random_, 1, 99, 4)]),
            "priority": 1,
            "valid_from": date(2020, 1, 1),
            "valid_to": None,
        }
        for number in range(3)
    ]
    return {
        "rate_plans": plans,
        "allowances": allowances,
        "discounts": discounts,
        "tax_rates": taxes,
        "promotions": promotions,
    }


def random_customer(random_: random.Random, number: int, timezone: ZoneInfo) -> list[Row]:
    """The versions of one customer: plan, segment, region and subscription change; days begin and end in a month."""
    customer_id = f"C{number:05d}"
    activation = date(2023, 5, 1)
    if random_.random() < 0.3:
        activation = date(2024, 12, 15) + timedelta(days=random_.randint(0, 90))
    termination = activation + timedelta(days=random_.randint(0, 120)) if random_.random() < 0.3 else None
    version: Row = {
        "customer_id": customer_id,
        "msisdn": f"2126{number:08d}",
        "customer_name": f'Customer {number} <&> "é"',
        "subscription_type": "prepaid" if random_.random() < 0.1 else "postpaid",
        "segment": random_.choice(SEGMENTS),
        "rate_plan_id": f"PLAN{random_.randrange(10)}",
        "customer_status": random_.choice(["active", "suspended"]),
        "region": random_.choice(REGIONS),
        "activation_date": activation,
        "termination_date": None if random_.random() < 0.5 else termination,
        "valid_from": datetime(activation.year, activation.month, activation.day, tzinfo=timezone).astimezone(UTC),
        "valid_to": None,
    }
    versions = [version]
    for _ in range(random_.choice([0, 0, 1, 2])):
        moment = datetime(2024, 12, 20, tzinfo=UTC) + timedelta(seconds=random_.randint(0, 100 * 86400))
        if moment <= versions[-1]["valid_from"]:
            continue
        changed = random_.choice(["rate_plan_id", "segment", "region", "subscription_type"])
        values = {
            "rate_plan_id": f"PLAN{random_.randrange(10)}",
            "segment": random_.choice(SEGMENTS),
            "region": random_.choice(REGIONS),
            "subscription_type": random_.choice(["prepaid", "postpaid"]),
        }
        versions[-1]["valid_to"] = moment
        versions.append(
            versions[-1]
            | {changed: values[changed], "valid_from": moment, "valid_to": None, "termination_date": termination}
        )
    return versions


def random_usage(random_: random.Random, versions: list[Row], plans: list[Row], timezone: ZoneInfo) -> list[Row]:
    """Rated usage of one customer, at the plan of its moment; some of it on the seams of days and months."""
    usage: list[Row] = []
    currencies = {plan["rate_plan_id"]: plan["currency"] for plan in plans}
    for month in MONTHS:
        for _ in range(random_.choice([0, 0, 3, 12])):
            start = datetime(month.year, month.month, 1, tzinfo=timezone).astimezone(UTC)
            moment = start + random_.choice(
                [timedelta(seconds=random_.randint(0, 28 * 86400)), timedelta(0), -timedelta(milliseconds=1)]
            )
            version = next((v for v in reversed(versions) if v["valid_from"] <= moment), None)
            if version is None:
                continue
            service = random_.choice(list(SERVICE_ZONES))
            units = {"voice": decimal(random_, 0, 400, 0), "sms": Fraction(1), "data": decimal(random_, 0, 200, 6)}[
                service
            ]
            charge = Fraction(0) if units == 0 else decimal(random_, 0, 20, random_.choice([2, 4]))
            fee = Fraction(0) if units == 0 else random_.choice([Fraction(0), Fraction(1, 5)])
            promotion = random_.choice([None, None, "P0", "P1", "P2"])
            off = Fraction(0)
            usage.append(
                {
                    "record_id": f"{version['customer_id']}-{random_.getrandbits(48):012x}",
                    "customer_id": version["customer_id"],
                    "record_type": service,
                    "event_time": moment,
                    "rate_plan_id": version["rate_plan_id"],
                    "zone": random_.choice(SERVICE_ZONES[service]),
                    "quantity": units,
                    "billed_units": units,
                    "connect_fee": fee,
                    "usage_charge": charge,
                    "promotion_id": promotion,
                    "promotion_amount": off,
                    "cost": fee + charge,
                    "currency": currencies[version["rate_plan_id"]],
                    "rating_status": random_.choices(["rated", "error"], [19, 1])[0],
                    "subscription_type": version["subscription_type"],
                }
            )
    return usage


def random_world(random_: random.Random, customers: int, timezone: ZoneInfo = ZONE) -> World:
    """A world of three months; an equal generator gives the same one."""
    catalogue = random_catalogue(random_)
    world = World(customers=[], usage=[], timezone=timezone, **catalogue)
    percents = {p["promotion_id"]: p["discount_percent"] for p in world.promotions}
    for number in range(customers):
        versions = random_customer(random_, number, timezone)
        world.customers += versions
        world.usage += random_usage(random_, versions, world.rate_plans, timezone)
    for record in world.usage:
        if record["promotion_id"]:
            list_price = record["connect_fee"] + record["usage_charge"]
            record["promotion_amount"] = half_up(list_price * percents[record["promotion_id"]] / 100, 4)
            record["cost"] = list_price - record["promotion_amount"]
    return world


def as_final(bills: dict[tuple[str, str, str], Bill], period: str) -> list[Row]:
    """The oracle's lines of a month as PostgreSQL has them once it is closed."""
    return [
        {
            "bill_id": f"{bill.customer_id}-{period}-{bill.currency}",
            "customer_id": bill.customer_id,
            "currency": bill.currency,
            "kind": line.kind,
            "service": line.service,
            "zone": line.zone,
            "quantity": line.quantity,
            "amount": line.amount,
            "tax_percent": line.tax_percent,
            "usage_month": line.usage_month,
        }
        for bill in bills.values()
        if bill.period == period
        for line in bill.lines
    ]


def disturb(world: World, random_: random.Random) -> World:
    """Late, re-rated and lost usage, and other taxes and discounts, in a copy of a world."""
    changed = copy.deepcopy(world)
    for number, record in enumerate(list(changed.usage)):
        chance = random_.random()
        if chance < 0.05:
            late = record | {"record_id": f"late-{number}-{record['record_id']}"}
            late["event_time"] = record["event_time"] + timedelta(seconds=random_.randint(0, 3600))
            changed.usage.append(late)
        elif chance < 0.10:
            record["usage_charge"] = record["usage_charge"] * 2
            record["promotion_id"], record["promotion_amount"] = None, Fraction(0)
            record["cost"] = record["connect_fee"] + record["usage_charge"]
        elif chance < 0.13:
            record["zone"] = "satellite"
        elif chance < 0.15:
            record["rating_status"] = "rejected"
    for tax in changed.tax_rates:
        tax["percent"] = half_up(tax["percent"] * Fraction(3, 2), 6)
    for discount in changed.discounts:
        discount["value"] = half_up(discount["value"] / 2, 3)
    random_.shuffle(changed.usage)
    random_.shuffle(changed.customers)
    return changed


def close(world: World, month: date, random_: random.Random) -> World:
    """A world in which a month was closed as it stood, and everything was disturbed afterwards."""
    after = disturb(world, random_)
    after.closed_months = [*world.closed_months, month]
    after.final_lines = world.final_lines + as_final(Biller(world).bills(), f"{month:%Y-%m}")
    return after


TIMEZONES = ("Africa/Casablanca", "Europe/Paris", "America/St_Johns", "Asia/Kathmandu", "UTC")


@st.composite
def worlds(draw: st.DrawFn, customers: int) -> World:
    """Worlds in any zone, of whose months none to all are closed; records and customers lie in any order."""
    random_ = random.Random(draw(st.integers(0, 2**32), label="seed"))
    world = random_world(random_, customers, ZoneInfo(draw(st.sampled_from(TIMEZONES), label="timezone")))
    random_.shuffle(world.usage)
    for month in MONTHS[: draw(st.integers(0, len(MONTHS)), label="closed months")]:
        world = close(world, month, random_)
    return world


def comparable(row: Row) -> tuple[Any, ...]:
    """A line of the models as the oracle names it."""
    plan = row["description"].removeprefix("Monthly fee, ") if row["kind"] == "fee" else None
    names = ("quantity", "amount", "discount", "tax_percent", "tax", "total")
    return (
        (row["kind"], row["usage_month"], row["service"], row["zone"], plan),
        *(Fraction(row[name]) for name in names),
    )


def comparable_line(line: Line) -> tuple[Any, ...]:
    """The same of the oracle's line."""
    return (line.key, line.quantity, line.amount, line.discount, line.tax_percent, line.tax, line.total)
