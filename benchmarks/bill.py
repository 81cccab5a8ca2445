"""Billing a month beside rating it, which it should not take longer than.

Rating is the one statement of `rated_usage`, without the preparation of its catalogue; billing is all statements of
models/billing. Both take turns in a warm session.
"""

from benchmarks.frame import Side, Stopwatch, Tally
from benchmarks.plans import write_plan
from benchmarks.warehouse import RATED, Warehouse

PLANNED = (RATED, "billed_usage", "bills")


def billing(house: Warehouse, statements: dict[str, str]) -> Side:
    """Return billing a month of all customers."""

    def bill(stopwatch: Stopwatch) -> Tally:
        with stopwatch:
            for model, sql in statements.items():
                with stopwatch.part(model):
                    house.spark.sql(sql)
        bills = house.totals("bills")["records"]
        if bills != house.customers:
            raise RuntimeError(f"{bills} bills for {house.customers} customers")
        return house.totals("billed_usage", cost="cost")

    return bill


def keep_plans(house: Warehouse, statements: dict[str, str]) -> None:
    """Write down how Spark would build the big models."""
    for model in PLANNED:
        write_plan(house.spark, model, query_of(statements[model]))


def query_of(statement: str) -> str:
    """Return the query of a statement that creates a table: what stands behind its first `as` at a line's beginning."""
    lines = statement.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.strip() == "as")
    return "\n".join(lines[begin + 1 :])
