"""Spark's plans of the big models as text, so that a change of one is seen where it is made: benchmarks/plans."""

import re
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from benchmarks.task import Task

FOLDER = Path(__file__).with_name("plans")
RECORDS = 1_000_000
"""The size whose plans are kept: joins are planned by the size of what is joined."""
NUMBERED = re.compile(r"#\d+|plan_id=\d+|(?<=__auto_generated_subquery_name_)\d+")
PLACES = (
    (re.compile(r"file:/\S*?/(?=tables/|warehouse/)"), "file:/…/"),
    (re.compile(r"kafka-source-[0-9a-f-]+"), "kafka-source"),
    (re.compile(r"bench_[0-9a-f]{8}_cdr"), "cdr"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:…"),
    (re.compile(r"@[0-9a-f]{5,8}\b"), "@…"),
)
"""What differs from run to run, and what stands for it."""


def is_for_plans(task: Task) -> bool:
    """Return whether the run is one whose plans are kept."""
    return task.records == RECORDS and not task.quick


def write_plan(spark: SparkSession, name: str, query: "DataFrame | str") -> None:
    """Write the plan of a query, which is not run."""
    view = "planned"
    (spark.sql(query) if isinstance(query, str) else query).createOrReplaceTempView(view)
    plan = spark.sql(f"explain formatted select * from {view}").collect()[0][0]
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.txt").write_text(normalised(plan))


def normalised(plan: str) -> str:
    """Return a plan whose numbers begin at 1, in the order in which they appear, and that names no place."""
    for pattern, place in PLACES:
        plan = pattern.sub(place, plan)
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        name = found[0].rstrip("0123456789")
        return f"{name}{numbers.setdefault(found[0], len(numbers) + 1)}"

    return "\n".join(line.rstrip() for line in NUMBERED.sub(number, plan).splitlines()) + "\n"
