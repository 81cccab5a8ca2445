"""Random catalogues, customers and records, and the way to have dbt rate them in a local Spark session."""

import csv
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from rating_oracle import Catalogue, CustomerVersion, Outcome, ProductRate, Promotion, RatePlan, TimeBand, Usage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PROJECT = Path(__file__).resolve().parents[2]
MODELS = "path:models/rating"
MONEY = "decimal(18,6)"
VALID = "valid_from date, valid_to date"

SCHEMAS = {
    "products": "product_id string, product_name string, service_type string, unit string",
    "rate_plans": (
        "rate_plan_id string, rate_plan_name string, currency string, "
        f"monthly_fee {MONEY}, minimum_spend {MONEY}, {VALID}"
    ),
    "product_rates": (
        "product_rate_id string, rate_plan_id string, product_id string, zone string, time_band string, "
        f"from_unit {MONEY}, unit_price {MONEY}, unit_size {MONEY}, initial_increment {MONEY}, increment {MONEY}, "
        f"connect_fee {MONEY}, max_charge {MONEY}, rounding_mode string, rounding_scale int, {VALID}"
    ),
    "destination_prefixes": "prefix string, zone string, description string",
    "cell_zones": "cell_prefix string, zone string",
    "time_bands": "time_band string, day_type string, starts_at string, ends_at string",
    "holidays": "holiday_date date, holiday_name string",
    "promotions": (
        "promotion_id string, promotion_name string, rate_plan_id string, service_type string, zone string, "
        f"time_band string, segment string, discount_percent {MONEY}, priority int, {VALID}"
    ),
    "customer_status_rules": "customer_status string, ratable boolean, reason string",
    "customers_snapshot": (
        "customer_id string, msisdn string, customer_name string, subscription_type string, segment string, "
        "rate_plan_id string, customer_status string, region string, activation_date date, termination_date date, "
        "updated_at timestamp, dbt_valid_from timestamp, dbt_valid_to timestamp"
    ),
    "purges": "purged_through date, purged_before timestamp, landed_until timestamp",
    "cdr": (
        "landed_at timestamp, status string, record_id string, record_type string, msisdn string, peer_msisdn string, "
        f"event_time timestamp, duration_sec bigint, data_volume_mb {MONEY}, cell_id string"
    ),
}

Row = dict[str, Any]
LANDED_AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class World:
    """A catalogue, the history of its customers, and what they used."""

    catalogue: Catalogue
    customers: Sequence[CustomerVersion]
    usage: Sequence[Usage]


class RatingRun:
    """Databases of a local Spark session that hold a world's tables and what dbt makes of them."""

    def __init__(self, spark: "SparkSession", folder: Path, schema: str) -> None:
        self.spark, self.schema, self.folder = spark, schema, folder
        self.project, self.profiles = folder / "project", folder / "profiles"
        for path in (self.project, self.profiles, folder / "tables"):
            path.mkdir(parents=True)
        for name in ("dbt_project.yml", "macros", "models", "seeds", "snapshots", "dbt_project", "tests"):
            (self.project / name).symlink_to(PROJECT / name)
        (self.profiles / "profiles.yml").write_text(
            "telecom:\n  target: local\n  outputs:\n    local:\n"
            f"      type: spark\n      method: session\n      host: local\n      schema: {schema}\n      threads: 1\n"
        )
        spark.sql(f"create database {schema}")
        spark.sql("create database if not exists landing")
        # what stands for PostgreSQL
        spark.sql(f"create database {schema}_served")
        self.write(f"{schema}_served.purges", [])

    def load(self, world: World, landings: Iterable[Sequence[Usage]] | None = None) -> None:
        """Put a world's tables in place; `landings` are the batches in which its usage was landed, one if not given."""
        for name, rows in _tables(world).items():
            self.write(f"{self.schema}.{name}", rows)
        self.land(landings or [world.usage])

    def land(self, landings: Iterable[Sequence[Usage]]) -> None:
        """Replace the landing zone by these batches, each landed a minute after the one before."""
        self.write(
            "landing.cdr",
            [
                _landed(usage, LANDED_AT + timedelta(minutes=number))
                for number, batch in enumerate(landings)
                for usage in batch
            ],
        )

    def write(self, table: str, rows: Iterable[Row]) -> None:
        """Put rows in place of a table's; columns that a row lacks are null."""
        name = table.split(".")[1]
        names = [column.split()[0] for column in SCHEMAS[name].split(", ")]
        path = self.folder / "tables" / f"{name}.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(names)
            writer.writerows([_text(row.get(column)) for column in names] for row in rows)
        self.spark.sql(
            f"create table if not exists {table} ({SCHEMAS[name]}) using csv options (header 'true', path '{path}')"
        )
        self.spark.sql(f"refresh table {table}")

    def rate(self, *options: str, timezone: str = "Africa/Casablanca") -> None:
        """Run the rating models.

        Raises:
            AssertionError: a model failed; its message is dbt's.
        """
        from dbt.cli.main import dbtRunner

        result = dbtRunner().invoke(
            ["--quiet", "--log-path", str(self.profiles / "logs"), "run", "--select", MODELS]
            + ["--project-dir", str(self.project), "--profiles-dir", str(self.profiles)]
            + ["--target-path", str(self.profiles / "target"), *options]
            + ["--vars", f"{{rating_timezone: {timezone}, postgres_schema: {self.schema}_served}}"]
        )
        failed = [f"{r.node.name}: {r.message}" for r in getattr(result.result, "results", []) if r.status != "success"]
        assert result.success, failed or result.exception

    def rows(self, table: str, columns: str = "*") -> list[Row]:
        """Return a table's rows."""
        return [
            row.asDict(recursive=True)
            for row in self.spark.sql(f"select {columns} from {self.schema}.{table}").collect()
        ]

    def drop(self) -> None:
        """Forget everything."""
        self.spark.sql("drop table if exists landing.cdr")
        self.spark.sql(f"drop database {self.schema} cascade")
        self.spark.sql(f"drop database {self.schema}_served cascade")


def _tables(world: World) -> dict[str, list[Row]]:
    catalogue = world.catalogue
    services = {rate.product_id: rate.service_type for rate in catalogue.rates}
    return {
        "products": [{"product_id": product, "service_type": service} for product, service in services.items()],
        "rate_plans": [_row(plan) for plan in catalogue.plans],
        "product_rates": [_row(rate) for rate in catalogue.rates],
        "destination_prefixes": [{"prefix": prefix, "zone": zone} for prefix, zone in catalogue.prefixes.items()],
        "cell_zones": [{"cell_prefix": prefix, "zone": zone} for prefix, zone in catalogue.cell_zones.items()],
        "time_bands": [_row(band) for band in catalogue.bands],
        "holidays": [{"holiday_date": day} for day in catalogue.holidays],
        "promotions": [_row(promotion) for promotion in catalogue.promotions],
        "customer_status_rules": [
            {"customer_status": status, "ratable": ratable, "reason": reason}
            for status, (ratable, reason) in catalogue.status_rules.items()
        ],
        "customers_snapshot": [
            _row(version)
            | {
                "subscription_type": "postpaid",
                "updated_at": version.changed_at,
                "dbt_valid_from": version.changed_at,
                "dbt_valid_to": version.changed_again_at,
            }
            for version in world.customers
        ],
    }


def _row(thing: Any) -> Row:
    return {column.name: getattr(thing, column.name) for column in fields(thing)}


def _landed(usage: Usage, landed_at: datetime) -> Row:
    quantity = {"voice": "duration_sec", "data": "data_volume_mb"}.get(usage.record_type)
    return {
        "landed_at": landed_at,
        "status": "normal",
        "record_id": usage.record_id,
        "record_type": usage.record_type,
        "msisdn": usage.msisdn,
        "peer_msisdn": usage.peer_msisdn,
        "event_time": usage.event_time,
        "cell_id": usage.cell_id,
    } | ({quantity: usage.quantity} if quantity else {})


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, Fraction):
        millionths = value * 10**6
        assert millionths.denominator == 1, f"{value} has more than 6 decimals"
        return str(value.numerator if value.denominator == 1 else Decimal(millionths.numerator).scaleb(-6))
    return str(value).lower() if isinstance(value, bool) else str(value)


def differences(world: World, expected: dict[str, Outcome], rated: Iterable[Row], charges: Iterable[Row]) -> list[str]:
    """Return one line a record and column in which rated usage or its charges are not what the oracle says."""
    charges_of: dict[str, list[Row]] = {}
    for charge in charges:
        charges_of.setdefault(charge["record_id"], []).append(charge)
    rows = {row["record_id"]: row for row in rated}
    missing = [f"{usage.record_id}: not in rated_usage" for usage in world.usage if usage.record_id not in rows]
    found = []
    for record_id, outcome in expected.items():
        if record_id not in rows:
            continue
        row = rows[record_id]
        for column, wanted in {
            "rating_status": outcome.status,
            "status_reason": outcome.reason,
            "customer_id": outcome.customer_id,
            "zone": outcome.zone,
            "billed_units": outcome.billed_units,
            "promotion_id": outcome.promotion_id,
            "promotion_amount": outcome.promotion_amount,
            "cost": outcome.cost,
            "currency": outcome.currency,
        }.items():
            if row[column] != wanted:
                found.append(f"{record_id}: {column} is {row[column]}, not {wanted}")
        if outcome.status == "rated":
            found += _unexplained(row, outcome, charges_of.get(record_id, []), world.catalogue)
        elif record_id in charges_of:
            found.append(f"{record_id}: not rated, yet has charges")
    return missing + found


def _unexplained(row: Row, outcome: Outcome, charges: list[Row], catalogue: Catalogue) -> list[str]:
    from rating_oracle import round_money

    record_id = row["record_id"]
    found = []
    if (row["product_id"], row["time_band"]) != (outcome.product_id, outcome.time_band):
        found.append(f"{record_id}: {row['product_id']}, {row['time_band']} is not the rate at the start")
    if row["cost"] != row["connect_fee"] + row["usage_charge"] - row["promotion_amount"]:
        found.append(f"{record_id}: cost is not the sum of its parts")
    if row["connect_fee"] + row["usage_charge"] != outcome.list_price:
        found.append(f"{record_id}: list price is not {outcome.list_price}")
    if min(row["connect_fee"], row["usage_charge"]) < 0:
        found.append(f"{record_id}: a part of the price is negative")
    told = {charge["product_rate_id"]: (charge["pulses"], charge["units"]) for charge in charges}
    if told != {key: (pulses, outcome.units[key]) for key, pulses in outcome.pulses.items()} or len(told) < len(
        charges
    ):
        found.append(f"{record_id}: pulses are {told}, not {outcome.pulses} of {outcome.units}")
    for charge in charges:
        wanted = outcome.amounts.get(charge["product_rate_id"], Fraction(0))
        if abs(Fraction(charge["amount"]) - wanted) > Fraction(len(charges), 10**12):
            found.append(f"{record_id}: amount {charge['amount']} is not {wanted}")
    if charges:
        first = next(rate for rate in catalogue.rates if rate.product_rate_id in outcome.pulses)
        start = next(rate for rate in catalogue.rates if rate.product_rate_id == next(iter(outcome.pulses), first))
        price = sum((Fraction(charge["amount"]) for charge in charges), Fraction(row["connect_fee"]))
        price = price if start.max_charge is None else min(price, start.max_charge)
        if round_money(price, start.rounding_mode, start.rounding_scale) != outcome.list_price:
            found.append(f"{record_id}: charges do not lead to {outcome.list_price}")
    return found


# ---------------------------------------------------------------------------------------------- random worlds

SERVICES = ("voice", "sms", "data")
DAY_TYPES = ("weekday", "saturday", "sunday", "holiday")
SEGMENTS = ("consumer", "student", "business", "vip")
PRICES = (
    "0",
    "0.01",
    "0.02",
    "0.05",
    "0.1",
    "0.12",
    "0.2",
    "0.6",
    "1",
    "1.2",
    "2.5",
    "0.333333",
    "0.000001",
    "7.654321",
)
SIZES = ("1", "1", "60", "60", "60", "30", "10", "1024", "7", "0.5", "3600")
INCREMENTS = ("1", "1", "6", "10", "30", "60", "60", "0.5", "7.25", "300")


def _pick(random_: random.Random, texts: Sequence[str]) -> Fraction:
    return Fraction(random_.choice(texts))


def random_bands(random_: random.Random) -> list[TimeBand]:
    """Return a partition of every day and a few bands that lie across it."""

    def clock(minutes: int) -> str:
        return f"{minutes // 60:02}:{minutes % 60:02}"

    bands = []
    for day_type in DAY_TYPES:
        edges = sorted({0, 1440, *random_.sample(range(30, 1440, 15), 2), random_.randrange(1, 1440)})
        for number, (start, end) in enumerate(pairwise(edges)):
            bands.append(TimeBand(("day", "night")[number % 2], day_type, clock(start), clock(end)))
    for name in ("happy", "rush"):
        for day_type in random_.sample(DAY_TYPES, 2):
            start = random_.randrange(0, 1400)
            bands.append(TimeBand(name, day_type, clock(start), clock(random_.randint(start + 1, 1440))))
    return bands


def random_rate(
    random_: random.Random, key: str, plan: str, product: str, service: str, zone: str, band: str
) -> list[ProductRate]:
    """Return the steps of one rate, or of two that follow each other in time."""
    changes = sorted(
        random_.sample([date(2025, 2, 1) + timedelta(days=n) for n in range(300)], random_.choice((0, 0, 0, 1, 2)))
    )
    starts: list[date] = [date(2020, 1, 1), *changes]
    rows = []
    for version, valid_from in enumerate(starts):
        valid_to = starts[version + 1] if version + 1 < len(starts) else None
        if valid_to is None and random_.random() < 0.05:
            valid_to = valid_from + timedelta(days=random_.randint(1, 400))
        from_units = [Fraction(0)]
        for _ in range(random_.choice((0, 0, 0, 1, 2))):
            from_units.append(from_units[-1] + _pick(random_, ("60", "30", "1", "90", "0.25", "600")))
        shared = {
            "connect_fee": _pick(random_, ("0", "0", "0.1", "0.4", "0.125", "1.005")),
            "max_charge": _pick(random_, ("0.3", "1", "2.345", "10", "0.05")) if random_.random() < 0.15 else None,
            "rounding_mode": random_.choice(("up", "half_up", "down")),
            "rounding_scale": 7 if random_.random() < 0.005 else random_.choice((0, 1, 2, 2, 2, 3, 4, 4, 5, 6)),
        }
        rows += [
            ProductRate(
                product_rate_id=f"{key}_{version}_{number}",
                rate_plan_id=plan,
                product_id=product,
                service_type=service,
                zone=zone,
                time_band=band,
                from_unit=from_unit,
                unit_price=_pick(random_, PRICES),
                unit_size=_pick(random_, SIZES),
                initial_increment=_pick(random_, ("0", *INCREMENTS)),
                increment=Fraction(0) if random_.random() < 0.005 else _pick(random_, INCREMENTS),
                valid_from=valid_from,
                valid_to=valid_to,
                **shared,
            )
            for number, from_unit in enumerate(from_units)
        ]
    if random_.random() < 0.01:
        rows.append(rows[-1].__class__(**(_row(rows[-1]) | {"product_rate_id": f"{key}_twice"})))
    return rows


def random_catalogue(random_: random.Random, plans: int, timezone: str) -> Catalogue:
    """Return a catalogue of `plans` plans; some lack a service, a rate or a zone, or have two rates at a time."""
    zones = [f"zone_{n}" for n in range(6)]
    prefixes = {str(random_.randrange(1, 10 ** random_.randint(1, 5))): random_.choice(zones) for _ in range(60)}
    anywhere = {"*": random_.choice(zones)} if random_.random() < 0.3 else {}
    rates: list[ProductRate] = []
    plan_rows = []
    for number in range(plans):
        plan = f"PLAN_{number}"
        starts = [date(2020, 1, 1)] + ([date(2025, 6, 10)] if random_.random() < 0.2 else [])
        for version, start in enumerate(starts):
            end = starts[version + 1] if version + 1 < len(starts) else date(2025, 11, 1) if number % 17 == 0 else None
            plan_rows.append(RatePlan(plan, random_.choice(("MAD", "EUR")), start, end))
        for service in SERVICES:
            if random_.random() < 0.04:
                continue
            choices = [("*", "*")] if random_.random() < 0.7 else [("*", "day"), ("*", "night")]
            if random_.random() < 0.08:
                choices = choices[1:]
            for _ in range(random_.randint(0, 6)):
                choice = (random_.choice(("*", "home", *zones)), random_.choice(("*", "day", "night", "happy", "rush")))
                if choice not in choices:
                    choices.append(choice)
            for index, (zone, band) in enumerate(choices):
                product = f"{service.upper()}_{1 if random_.random() < 0.97 else 2}"
                rates += random_rate(random_, f"{plan}_{service}_{index}", plan, product, service, zone, band)
    return Catalogue(
        timezone=timezone,
        rates=rates,
        plans=plan_rows,
        promotions=[
            Promotion(
                promotion_id=f"PROMO_{number}",
                rate_plan_id=random_.choice(("*", f"PLAN_{random_.randrange(plans)}")),
                service_type=random_.choice(("*", None, *SERVICES)),
                zone=random_.choice(("*", None, "home", *zones)),
                time_band=random_.choice(("*", None, "day", "night", "happy")),
                segment=random_.choice(("*", None, *SEGMENTS)),
                discount_percent=_pick(random_, ("5", "10", "33.333333", "50", "100", "12.5", "0.000001")),
                priority=random_.randint(1, 5),
                valid_from=date(2025, 1, 1) + timedelta(days=random_.randrange(300)),
                valid_to=random_.choice((None, date(2025, 11, 15))),
            )
            for number in range(40)
        ],
        bands=random_bands(random_),
        holidays=frozenset(date(2025, 1, 1) + timedelta(days=random_.randrange(365)) for _ in range(20)),
        prefixes=prefixes | anywhere,
        cell_zones=anywhere | {"TANGER_": "zone_1", "TANGER_1": "zone_2", "WIFI": "zone_3", "TANGER_MED_": "home"},
        status_rules={
            "active": (True, None),
            "suspended": (False, "CUSTOMER_SUSPENDED"),
            "terminated": (False, "CUSTOMER_TERMINATED"),
            "pending": (False, None),
        },
    )


def random_customers(random_: random.Random, count: int, plans: int) -> list[CustomerVersion]:
    """Return customers of whom some changed plan, were suspended or ended, and some took over another's number."""
    versions = []
    for number in range(count):
        taken_over = number >= 1 and random_.random() < 0.05
        msisdn = f"2126{number - 1 if taken_over else number:08}"
        activation = (
            date(2025, 5, 1) + timedelta(days=random_.randrange(120))
            if taken_over
            else random_.choice(
                (date(2024, 1, 1), date(2024, 1, 1), date(2025, 1, 1) + timedelta(days=random_.randrange(200)))
            )
        )
        changes = sorted(
            datetime(2025, 3, 1, tzinfo=UTC) + timedelta(seconds=random_.randrange(200 * 86400))
            for _ in range(random_.choice((0, 0, 0, 1, 2)))
        )
        termination = activation + timedelta(days=random_.randrange(400)) if random_.random() < 0.1 else None
        for version in range(len(changes) + 1):
            versions.append(
                CustomerVersion(
                    customer_id=f"C{number:05}",
                    msisdn=msisdn,
                    segment=random_.choice(SEGMENTS),
                    rate_plan_id=f"PLAN_{random_.randrange(plans)}" if random_.random() < 0.99 else "PLAN_NONE",
                    customer_status=random_.choice(
                        ("active",) * 20 + ("suspended", "pending", "terminated", "unheard_of")
                    ),
                    activation_date=activation,
                    termination_date=termination,
                    changed_at=changes[version - 1]
                    if version
                    else datetime(2025, 10, 1, tzinfo=UTC) - timedelta(days=300),
                    changed_again_at=changes[version] if version < len(changes) else None,
                    is_first=version == 0,
                )
            )
    return versions


def random_moment(random_: random.Random, catalogue: Catalogue) -> datetime:
    """Return a moment of 2025, mostly near a band's edge, midnight, a clock change or a change of the catalogue."""
    zone = ZoneInfo(catalogue.timezone)
    day = date(2025, 1, 1) + timedelta(days=random_.randrange(365))
    dice = random_.random()
    if dice < 0.15:
        day = random_.choice(
            [date(2025, 2, 23), date(2025, 4, 6), date(2025, 3, 30), date(2025, 10, 26), date(2025, 3, 9)]
        )
        day -= timedelta(days=random_.choice((0, 0, 1)))
    elif dice < 0.3:
        changes = [
            rate.valid_from for rate in random_.sample(list(catalogue.rates), 10) if rate.valid_from.year == 2025
        ]
        day = random_.choice(changes or [day])
    elif dice < 0.4:
        day = random_.choice(sorted(catalogue.holidays)) - timedelta(days=random_.choice((0, 1)))
    edge = (
        random_.choice([band.starts_at for band in catalogue.bands]) if dice < 0.7 else f"{random_.randrange(24):02}:00"
    )
    local = datetime(day.year, day.month, day.day, int(edge[:2]), int(edge[3:]), tzinfo=zone, fold=random_.randrange(2))
    shift = random_.choice(
        (0, 0, -1, random_.uniform(-200, 100), random_.uniform(-5000, 100), random_.uniform(-80000, 0))
    )
    return local.astimezone(UTC) + timedelta(seconds=round(shift, random_.choice((0, 0, 3, 6))))


def random_usage(
    random_: random.Random, number: int, catalogue: Catalogue, customers: Sequence[CustomerVersion]
) -> Usage:
    """Return one record, its length chosen where pulses, steps and caps turn."""
    service = random_.choices(SERVICES, (70, 10, 20))[0]
    quantity = Fraction(1)
    if service == "voice":
        longest = random_.choice((10, 100, 300, 1000, 4000, 86400 if random_.random() < 0.03 else 2000))
        quantity = Fraction(random_.choice((0, 1, 30, 31, 60, 61, 90, 120, random_.randint(0, longest), longest)))
    elif service == "data":
        quantity = Fraction(random_.choice((0, 1, 1024, random_.randrange(0, 2000))))
        quantity += random_.choice((Fraction(0), Fraction(random_.randrange(10**6), 10**6)))
    prefix = random_.choice(list(catalogue.prefixes)) if random_.random() < 0.93 else str(random_.randrange(1, 999))
    known = random_.choice(customers).msisdn
    return Usage(
        record_id=f"R{number}",
        record_type=service,
        msisdn=known if random_.random() < 0.98 else "212699999999",
        peer_msisdn=None if service == "data" else f"{prefix}{random_.randrange(10**5)}",
        cell_id=random_.choice((None, "TANGER_1", "TANGER_12", "TANGER_2", "TANGER_MED_4", "FES_1", "WIFI")),
        event_time=random_moment(random_, catalogue),
        quantity=quantity,
    )


def random_world(seed: int, plans: int, customers: int, records: int, timezone: str) -> World:
    """Return a world that is the same for the same arguments."""
    random_ = random.Random(seed)
    catalogue = random_catalogue(random_, plans, timezone)
    versions = random_customers(random_, customers, plans)
    return World(catalogue, versions, [random_usage(random_, n, catalogue, versions) for n in range(records)])
