"""What rating costs beside the least that it could: the same join with one multiplication, into a Delta table.

    python benchmarks/bench_rating.py [--records 1000000] [--rounds 5]

needs nothing but Java. One million voice, SMS and data records of June 2025, 100,000 customers on 20 plans, 50,000
prefixes and 2,000 rates are made in a local Spark session; dbt builds the rating models there. Then the floor and the
model's own statement take turns. Processor seconds of the JVM stand beside wall seconds, since other work on the
machine takes its share of the latter.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median

import psutil
from pyspark.sql import SparkSession

from ingestion.settings import settings
from stack.spark import spark_session

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "python"))
from rating_worlds import SCHEMAS, RatingRun

REPORT = Path(__file__).with_name("rating.md")
LIMIT = 5
"""Rating takes at most this many times the floor."""

PLANS, ZONES, BANDS = 20, 10, ("day", "evening", "night")
PREFIXES, CUSTOMERS = 50_000, 100_000
FLOOR_RATES = """
create table floor_rates using delta as
select rate_plan_id, min(product_rate_id) as product_rate_id, min(unit_price) as unit_price
from product_rates
group by rate_plan_id
"""
FLOOR = """
create or replace table floor using delta as
select usage.*, customers.customer_id, customers.rate_plan_id, floor_rates.product_rate_id,
    cast(coalesce(usage.duration_sec, usage.data_volume_mb, 1) * floor_rates.unit_price as decimal(18,6)) as cost
from landing.cdr as usage
inner join customers_snapshot as customers on usage.msisdn = customers.msisdn
inner join floor_rates on customers.rate_plan_id = floor_rates.rate_plan_id
where usage.status = 'normal'
"""
CUSTOMER_ROWS = """
create table customers_snapshot using delta as
select
    concat('C', id) as customer_id, cast(212600000000 + id as string) as msisdn, 'name' as customer_name,
    'postpaid' as subscription_type, if(id % 7 = 0, 'student', 'consumer') as segment,
    concat('PLAN_', id % {plans}) as rate_plan_id, 'active' as customer_status, 'Nord' as region,
    date '2024-01-01' as activation_date, cast(null as date) as termination_date,
    timestamp '2025-01-01' as updated_at, timestamp '2025-01-01' as dbt_valid_from,
    cast(null as timestamp) as dbt_valid_to
from range({customers})
"""
LANDED_ROWS = """
insert into landing.cdr
select
    timestamp '2025-07-01', 'normal', concat('record-', sha1(cast(id as string))), service,
    cast(212600000000 + abs(hash(id, 'a')) % {customers} as string),
    if(
        service = 'data', null,
        cast(if(id % 3 = 0, 1000000000000, 212600000000) + abs(hash(id, 'b')) % 90000000 as string)
    ),
    timestamp '2025-06-01' + make_dt_interval(0, 0, 0, abs(hash(id, 'c')) % (30 * 86400)),
    if(service = 'voice', abs(hash(id, 'd')) % 600, null),
    if(service = 'data', cast(abs(hash(id, 'e')) % 50000000 / 1000000BD as decimal(18,6)), null),
    if(service = 'data', concat('CITY_', abs(hash(id, 'f')) % 60, '_', id % 20), null)
from (
    select id, case when id % 10 < 6 then 'voice' when id % 10 < 9 then 'data' else 'sms' end as service
    from range(0, {records}, 1, 2)
)
"""


@dataclass(frozen=True)
class Cost:
    """Seconds of the clock, and of the processors in the JVM."""

    wall: float
    processor: float


@dataclass(frozen=True)
class Figures:
    """What was measured; `idle` in seconds of the clock."""

    catalogue: Cost
    floors: list[Cost]
    ratings: list[Cost]
    idle: float


def measure(work: Callable[[], object]) -> Cost:
    jvm = next(child for child in psutil.Process().children(recursive=True) if child.name() == "java")
    before, began = jvm.cpu_times(), time.monotonic()
    work()
    wall, after = time.monotonic() - began, jvm.cpu_times()
    return Cost(wall, after.user + after.system - before.user - before.system)


def catalogue() -> dict[str, list[dict[str, object]]]:
    """Return the catalogue's tables: 2,000 rates, two steps in some, three bands that share the day."""
    valid: dict[str, object] = {"valid_from": date(2020, 1, 1)}
    rates: list[dict[str, object]] = [
        {
            "product_rate_id": f"{plan}-{service}-{zone}-{band}-{from_unit}",
            "rate_plan_id": f"PLAN_{plan}",
            "product_id": service.upper(),
            "zone": "*" if zone == 0 else f"zone_{zone}",
            "time_band": band,
            "from_unit": from_unit,
            "unit_price": f"0.{1 + (plan + zone) % 9}",
            "unit_size": 60 if service == "voice" else 1,
            "initial_increment": 60 if service == "voice" else 1,
            "increment": (1 + plan % 6) if service == "voice" else 1,
            "connect_fee": "0.05",
            "rounding_mode": "half_up",
            "rounding_scale": 4,
        }
        | valid
        for plan in range(PLANS)
        for service, steps in (("voice", (0, 300)), ("sms", (0,)), ("data", (0,)))
        for zone in range(ZONES)
        for band in (BANDS if service == "voice" else ("*",))
        for from_unit in steps
    ]
    rates += [
        dict(rates[number], product_rate_id=f"past-{number}", valid_from=date(2019, 1, 1), valid_to=date(2020, 1, 1))
        for number in range(2000 - len(rates))
    ]
    hours = zip(BANDS, ("08:00", "18:00", "00:00"), ("18:00", "24:00", "08:00"), strict=True)
    tables: dict[str, list[dict[str, object]]] = {
        "products": [{"product_id": name.upper(), "service_type": name} for name in ("voice", "sms", "data")],
        "rate_plans": [{"rate_plan_id": f"PLAN_{plan}", "currency": "MAD"} | valid for plan in range(PLANS)],
        "product_rates": rates,
        "destination_prefixes": [
            {"prefix": str(1_000_000 // 10 ** (n % 3) + n), "zone": f"zone_{n % ZONES}"} for n in range(PREFIXES - 1)
        ]
        + [{"prefix": "2126", "zone": "zone_1"}],
        "cell_zones": [{"cell_prefix": f"CITY_{n}_", "zone": f"zone_{n % ZONES}"} for n in range(50)],
        "time_bands": [
            {"time_band": band, "day_type": day, "starts_at": start, "ends_at": end}
            for band, start, end in hours
            for day in ("weekday", "saturday", "sunday", "holiday")
        ],
        "holidays": [{"holiday_date": date(2025, 6, 7)}],
        "promotions": [
            {
                "promotion_id": f"PROMO_{n}",
                "rate_plan_id": f"PLAN_{n}",
                "service_type": "voice",
                "zone": "*",
                "time_band": "night",
                "segment": "student",
                "discount_percent": 10,
                "priority": n,
            }
            | valid
            for n in range(PLANS)
        ],
        "customer_status_rules": [{"customer_status": "active", "ratable": True}],
    }
    return tables


def prepare(spark: SparkSession, run: RatingRun, records: int) -> None:
    """Make the tables: the catalogue as the seeds are, customers and the landing zone as Delta tables."""
    for name, rows in catalogue().items():
        run.write(f"{run.schema}.{name}", rows)
    spark.sql(f"use {run.schema}")
    spark.sql(FLOOR_RATES)
    spark.sql(CUSTOMER_ROWS.format(plans=PLANS, customers=CUSTOMERS))
    spark.sql(f"create table landing.cdr ({SCHEMAS['cdr']}) using delta")
    spark.sql(LANDED_ROWS.format(records=records, customers=CUSTOMERS))


def statement(run: RatingRun, model: str) -> str:
    """Return the statement with which dbt built a model."""
    path: Path = next((run.profiles / "target" / "run").rglob(f"{model}.sql"))
    return path.read_text()


def report(records: int, load: float, figures: Figures) -> str:
    rows = [
        f"| {place} | {floor.wall:.1f} | {ours.wall:.1f} | {ours.wall / floor.wall:.1f} | "
        f"{floor.processor:.1f} | {ours.processor:.1f} | {ours.processor / floor.processor:.1f} |"
        for place, (floor, ours) in enumerate(zip(figures.floors, figures.ratings, strict=True), start=1)
    ]
    times = median(cost.wall for cost in figures.ratings) / median(cost.wall for cost in figures.floors)
    busy = median(cost.processor for cost in figures.ratings) / median(cost.processor for cost in figures.floors)
    return "\n".join(
        [
            "# Rating",
            "",
            f"`python benchmarks/bench_rating.py --records {records}`: {CUSTOMERS} customers, {PREFIXES} prefixes, "
            f"2000 rates, {os.cpu_count()} cores, {platform.platform(terse=True)}, load average before {load:.1f}.",
            "Seconds, in a warm session; the rounds of the two are interleaved.",
            "",
            "| round | floor | rating | times | floor, processor | rating, processor | times |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
            f"Medians: {times:.1f} times the floor by the clock, {busy:.1f} by processor seconds (limit {LIMIT}).",
            "",
            f"Preparing the catalogue (calendar and cards): {figures.catalogue.wall:.1f} s, "
            f"{figures.catalogue.processor:.1f} s of processor.",
            f"A run of the rating models over nothing new, dbt's start included: {figures.idle:.1f} s.",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        config = settings().model_copy(update={"home": Path(folder, "home")})
        spark = spark_session(config, "bench-rating", "3g")
        run = RatingRun(spark, Path(folder, "run"), "bench_rating")
        prepare(spark, run, arguments.records)
        run.rate("--full-refresh")

        def build(*models: str) -> Cost:
            return measure(lambda: [spark.sql(statement(run, model)) for model in models])

        build("rating_calendar", "rate_cards")
        prepared = build("rating_calendar", "rate_cards")
        floors, ratings = [], []
        for _round in range(arguments.rounds):
            floors.append(measure(lambda: spark.sql(FLOOR)))
            ratings.append(build("rated_usage"))
        rated = spark.table("rated_usage").where("rating_status = 'rated'").count()
        assert rated > 0.99 * arguments.records, f"only {rated} records were rated"
        idle = measure(run.rate).wall
        spark.stop()
    text = report(arguments.records, load, Figures(prepared, floors, ratings, idle))
    REPORT.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
