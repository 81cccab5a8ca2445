"""Rating, billing and exporting on one warehouse: each takes what the one before it made."""

import os
from collections.abc import Iterator

import psycopg

from benchmarks import bill, export, rate
from benchmarks.frame import Row, Stopwatch, measure
from benchmarks.plans import is_for_plans
from benchmarks.task import Task
from benchmarks.warehouse import RATED, warehouse
from serving.schema import apply_schema
from stack import postgres


def rows(task: Task) -> Iterator[Row]:
    """Measure the models' statements as dbt made them; dbt has run each once before, so that the session is warm."""
    apply_schema(task.settings)
    login = {"user": postgres.ADMIN, "password": task.settings.secret("admin")}
    connection = psycopg.connect(**task.settings.postgres_connection() | login, autocommit=True)  # type: ignore[arg-type]
    with connection, warehouse(task) as house:
        house.rate("--full-refresh")
        statements = house.rating_statements()
        billing = house.bill()
        if is_for_plans(task):
            bill.keep_plans(house, {RATED: statements[RATED]} | billing)
        sides = {
            "floor": rate.floor(house),
            "rate": rate.rating(house, statements[RATED]),
            "bill": bill.billing(house, billing),
        }
        sides["floor"](Stopwatch(task.settings))
        load = os.getloadavg()[0]
        costs = measure(task.settings, sides, task.rounds, warm_up=False)
        yield task.row("rate, preparing the catalogue", rate.preparation(house, statements), warm_up=False)
        yield Row("rate, first", task.records, costs["rate"], costs["floor"], load)
        yield Row("bill", task.records, costs["bill"], costs["rate"], load)
        yield from export.rows(task, house, connection)
        yield from rate.later(task, house)
