"""A local Spark session with landed records, customers and a catalogue, and what dbt makes of them."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

from pyspark.sql import SparkSession

from benchmarks.task import Task
from benchmarks.world import CUSTOMER_ROWS, LANDED_ROWS, PLANS, catalogue, terms
from stack.spark import spark_session

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "python"))
import billing_worlds
import rating_worlds

SCHEMA = "bench"
MEMORY = "3g"
FIRST_LANDING = date(2025, 7, 1)
PREPARATION = ("rating_calendar", "rate_cards")
"""The tables of models/rating that are made of the catalogue."""
RATED = "rated_usage"
BILLING_MODELS = (
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
EXPORT_MODELS = ("export_usage_records", "export_bills", "export_bill_lines", "export_publication")


class Warehouse:
    """Tables of one session, and the statements with which dbt built its models."""

    def __init__(self, spark: SparkSession, folder: Path, task: Task) -> None:
        """Make the catalogue as the seeds are, and customers and landed records as Delta tables."""
        self.spark, self.folder, self.customers = spark, folder, task.customers
        self._landings = self._records = 0
        self._run = rating_worlds.RatingRun(spark, folder / "rating", SCHEMA)
        for name, rows in catalogue().items():
            self._run.write(f"{SCHEMA}.{name}", rows)
        spark.sql(f"use {SCHEMA}")
        spark.sql(CUSTOMER_ROWS.format(plans=PLANS, customers=self.customers))
        spark.sql(f"create table landing.cdr ({rating_worlds.SCHEMAS['cdr']}) using delta")
        self.land(task.records)

    def land(self, records: int) -> date:
        """Land records that are like no others, a day after those before; return the day."""
        day = FIRST_LANDING + timedelta(days=self._landings)
        first, end = self._records, self._records + records
        self.spark.sql(LANDED_ROWS.format(landed_at=day, first=first, end=end, customers=self.customers))
        self._landings, self._records = self._landings + 1, end
        return day

    def rate(self, *options: str) -> None:
        """Have dbt run the rating models."""
        self._run.rate(*options)

    def bill(self) -> dict[str, str]:
        """Put billing's tables beside rating's, have dbt run the billing models; return their statements."""
        for name, rows in terms().items():
            billing_worlds.write(self.spark, f"{SCHEMA}.{name}", billing_worlds.SCHEMAS[name], rows)
        for name in billing_worlds.SERVED:  # no month is closed
            billing_worlds.write(self.spark, f"{SCHEMA}_served.{name}", billing_worlds.SCHEMAS[name], [])
        bench = billing_worlds.Bench(self.spark, self.folder, SCHEMA)
        bench.timezone = "UTC"  # in which the records are of one month
        bench.run()
        return {model: statement(bench.profiles / "target", model) for model in BILLING_MODELS}

    def rating_statements(self) -> dict[str, str]:
        """Return the statements of the rating models as dbt last ran them."""
        return {model: statement(self._run.profiles / "target", model) for model in (*PREPARATION, RATED)}

    def export(self) -> dict[str, str]:
        """Have dbt run the export models; return their statements."""
        from dbt.cli.main import dbtRunner

        target = self._run.profiles / "target"
        result = dbtRunner().invoke(
            ["--quiet", "--log-path", str(self._run.profiles / "logs"), "run", "--select", "path:models/exports"]
            + ["--project-dir", str(self._run.project), "--profiles-dir", str(self._run.profiles)]
            + ["--target-path", str(target)]
        )
        if not result.success:
            raise RuntimeError(f"the exports failed: {result.exception or result.result}")
        return {model: statement(target, model) for model in EXPORT_MODELS}

    def totals(self, table: str, where: str = "true", **sums: str) -> dict[str, object]:
        """Return the number of a table's rows, and sums of expressions by name."""
        columns = ", ".join(["count(*) as records", *(f"sum({what}) as {name}" for name, what in sums.items())])
        return dict(self.spark.sql(f"select {columns} from {table} where {where}").collect()[0].asDict())


def statement(target: Path, model: str) -> str:
    """Return the statement with which dbt built a model."""
    return next((target / "run").rglob(f"{model}.sql")).read_text()


@contextmanager
def warehouse(task: Task) -> Iterator[Warehouse]:
    """Open a session with the task's records landed, and forget all of it in the end."""
    with tempfile.TemporaryDirectory(dir=task.settings.home, ignore_cleanup_errors=True) as folder:
        config = task.settings.model_copy(update={"home": Path(folder)})
        spark = spark_session(config, "bench-models", MEMORY)
        try:
            yield Warehouse(spark, Path(folder), task)
        finally:
            spark.stop()
