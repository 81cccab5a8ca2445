"""Rating, billing and exporting on one warehouse: each takes what the one before it made."""

import os
from collections.abc import Iterator

import psycopg

from benchmarks import bill, export, rate
from benchmarks.frame import Row, Stopwatch
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
        floor, rating, bills = "floor of rate, first", "rate, first", "bill"
        sides = {
            floor: rate.floor(house),
            rating: rate.rating(house, statements[RATED]),
            bills: bill.billing(house, billing),
        }
        sides[floor](Stopwatch(task.settings))
        load = os.getloadavg()[0]
        costs = task.measure(sides, warm_up=False)
        prepare = rate.preparation(house, statements)
        yield task.row("rate, preparing the catalogue", prepare, warm_up=False, is_throughput=False)
        yield Row(rating, task.records, costs[rating], costs[floor], load)
        yield Row(bills, task.records, costs[bills], costs[rating], load)
        yield from export.rows(task, house, connection)
        yield from rate.later(task, house)
