"""What billing a month costs beside rating it, which it should not take longer than.

    python benchmarks/bench_billing.py [--records 1000000] [--rounds 3]

needs nothing but Java. The world is that of bench_rating.py, with fees, minimum spends, allowances, discounts and taxes
upon it: 100,000 postpaid customers on 20 plans, and every allowance is used up by some. dbt builds the models once;
then rating's statement and those of the billing models take turns in the warm session.
"""

import argparse
import os
import platform
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from statistics import median

from bench_rating import CUSTOMERS, PLANS, ZONES, Cost, catalogue, measure, prepare
from pyspark.sql import SparkSession

from ingestion.settings import settings
from stack.spark import spark_session

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "python"))
from billing_worlds import SCHEMAS, Bench, Row, write
from rating_worlds import RatingRun

REPORT = Path(__file__).with_name("billing.md")
LIMIT = 1
"""Billing takes at most this many times what rating takes."""

MODELS = (
    "billing_calendar",
    "billing_accounts",
    "allowance_balances",
    "billed_usage",
    "bill_charges",
    "bill_discounts",
    "bill_lines",
    "bills",
)
"""The tables of models/billing in the order in which they are built."""


def terms() -> dict[str, list[Row]]:
    """Return the tables of the catalogue that only billing reads, and the plans with their fees."""
    valid = catalogue()["rate_plans"][0]["valid_from"]
    included = {"voice": Fraction(1500), "sms": Fraction(1), "data": Fraction(60)}
    return {
        "rate_plans": [
            plan
            | {
                "rate_plan_name": f"Plan {n}",
                "monthly_fee": Fraction(49 + 10 * n),
                "minimum_spend": Fraction(100 * (n % 2)),
            }
            for n, plan in enumerate(catalogue()["rate_plans"])
        ],
        "allowances": [
            {
                "allowance_id": f"{service}-{plan}-{priority}",
                "rate_plan_id": f"PLAN_{plan}",
                "service_type": service,
                "zone": zone,
                "included_units": units,
                "rollover_units_max": units,
                "priority": priority,
                "valid_from": valid,
            }
            for plan in range(PLANS)
            for service, units in included.items()
            for priority, zone in enumerate(["*"] if service == "sms" else [f"zone_{plan % ZONES}", "*"])
        ],
        "discounts": [
            {
                "discount_id": f"{kind}-{segment}",
                "discount_name": f"{kind} {segment}",
                "rate_plan_id": "*",
                "segment": segment,
                "kind": kind,
                "value": Fraction(value),
                "minimum_subtotal": Fraction(100),
                "priority": 1,
                "valid_from": valid,
            }
            for segment, kind, value in (("student", "percent", 10), ("*", "percent", 5), ("*", "fixed", 3))
        ],
        "tax_rates": [
            {
                "tax_id": tax,
                "tax_name": tax,
                "applies_to": "*",
                "region": region,
                "percent": Fraction(percent),
                "valid_from": valid,
            }
            for tax, region, percent in (("TVA", "*", 20), ("NORD", "Nord", 14))
        ],
    }


def add_terms(spark: SparkSession, run: RatingRun) -> None:
    """Put billing's tables beside rating's; no month is closed yet."""
    for name, rows in terms().items():
        write(spark, f"{run.schema}.{name}", SCHEMAS[name], rows)
    spark.sql(f"create database {run.schema}_served")
    for name in ("billing_months", "bills", "bill_lines"):
        write(spark, f"{run.schema}_served.{name}", SCHEMAS[name], [])


def statement(target: Path, model: str) -> str:
    """Return the statement with which dbt built a model."""
    return next((target / "run").rglob(f"{model}.sql")).read_text()


def report(records: int, load: float, ratings: list[Cost], billings: list[dict[str, Cost]]) -> str:
    def wall(billing: dict[str, Cost]) -> float:
        return sum(cost.wall for cost in billing.values())

    def processor(billing: dict[str, Cost]) -> float:
        return sum(cost.processor for cost in billing.values())

    rows = [
        f"| {place} | {rating.wall:.1f} | {wall(billing):.1f} | {wall(billing) / rating.wall:.2f} | "
        f"{rating.processor:.1f} | {processor(billing):.1f} | {processor(billing) / rating.processor:.2f} |"
        for place, (rating, billing) in enumerate(zip(ratings, billings, strict=True), start=1)
    ]
    times = median(map(wall, billings)) / median(cost.wall for cost in ratings)
    busy = median(map(processor, billings)) / median(cost.processor for cost in ratings)
    return "\n".join(
        [
            "# Billing",
            "",
            f"`python benchmarks/bench_billing.py --records {records}`: {CUSTOMERS} customers, one month, "
            f"{os.cpu_count()} cores, {platform.platform(terse=True)}, load average before {load:.1f}.",
            "Seconds, in a warm session; the rounds of the two are interleaved. Rating is the one statement of",
            "`rated_usage`, without the preparation of its catalogue; billing is all statements of `models/billing`.",
            "",
            "| round | rating | billing | times | rating, processor | billing, processor | times |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
            f"Medians: {times:.2f} times rating by the clock, {busy:.2f} by processor seconds (limit {LIMIT}).",
            "",
            "| model | seconds | processor |",
            "| --- | --- | --- |",
            *(
                f"| {model} | {median(billing[model].wall for billing in billings):.1f} | "
                f"{median(billing[model].processor for billing in billings):.1f} |"
                for model in MODELS
            ),
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        config = settings().model_copy(update={"home": Path(folder, "home")})
        spark = spark_session(config, "bench-billing", "3g")
        run = RatingRun(spark, Path(folder, "run"), "bench_rating")
        prepare(spark, run, arguments.records)
        run.rate("--full-refresh")
        add_terms(spark, run)
        bench = Bench(spark, Path(folder), run.schema)
        bench.timezone = "UTC"  # in which the records are of one month
        bench.run()
        rating = statement(run.profiles / "target", "rated_usage")
        billing = {model: statement(bench.profiles / "target", model) for model in MODELS}
        ratings, billings = [], []
        for _round in range(arguments.rounds):
            ratings.append(measure(lambda: spark.sql(rating)))
            billings.append({model: measure(lambda sql=sql: spark.sql(sql)) for model, sql in billing.items()})  # type: ignore[misc]
        rated = spark.table("rated_usage").where("rating_status = 'rated'").count()
        billed = spark.table("billed_usage").count()
        assert billed == rated > 0.99 * arguments.records, f"{rated} records were rated, {billed} billed"
        customers = spark.table("bills").count()
        assert customers == CUSTOMERS, f"{customers} customers have a bill"
        spark.stop()
    text = report(arguments.records, load, ratings, billings)
    REPORT.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
