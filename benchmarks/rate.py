"""Rating beside the least that it could do: the landing zone join customers join a rate, one multiplication, Delta.

The first rating of everything is the model's own statement in a warm session, after the catalogue is prepared; what
comes later is a whole run of dbt over the rating models, as an operator waits for it.
"""

from collections.abc import Iterator

from benchmarks.frame import Row, Side, Stopwatch, Tally
from benchmarks.task import Task
from benchmarks.warehouse import PREPARATION, RATED, Warehouse

FLOOR_RATES = """
create table floor_rates using delta as
select rate_plan_id, min(product_rate_id) as product_rate_id, min(unit_price) as unit_price
from product_rates
group by rate_plan_id
"""
FLOOR = """
select usage.*, customers.customer_id, customers.rate_plan_id, floor_rates.product_rate_id,
    cast(coalesce(usage.duration_sec, usage.data_volume_mb, 1) * floor_rates.unit_price as decimal(18,6)) as cost
from landing.cdr as usage
inner join customers_snapshot as customers on usage.msisdn = customers.msisdn
inner join floor_rates on customers.rate_plan_id = floor_rates.rate_plan_id
where usage.status = 'normal'
"""
QUANTITY = "cast(coalesce(duration_sec, data_volume_mb, 1) as decimal(18,6))"
IS_RATED = "rating_status = 'rated'"


def floor(house: Warehouse) -> Side:
    """Return the floor of rating everything."""
    house.spark.sql(FLOOR_RATES)

    def multiply(stopwatch: Stopwatch) -> Tally:
        with stopwatch:
            house.spark.sql(f"create or replace table floor using delta as {FLOOR}")
        return house.totals("floor", quantity=QUANTITY)

    return multiply


def rating(house: Warehouse, statement: str) -> Side:
    """Return rating everything."""

    def rate(stopwatch: Stopwatch) -> Tally:
        with stopwatch:
            house.spark.sql(statement)
        return house.totals(RATED, IS_RATED, quantity="quantity", cost="cost")

    return rate


def preparation(house: Warehouse, statements: dict[str, str]) -> Side:
    """Return making the tables that every run of rating makes anew of the catalogue."""

    def prepare(stopwatch: Stopwatch) -> Tally:
        with stopwatch:
            for model in PREPARATION:
                house.spark.sql(statements[model])
        return {}

    return prepare


def later(task: Task, house: Warehouse) -> Iterator[Row]:
    """Measure dbt's runs: each round of the first row lands a tenth more, which the floor appends too."""
    tenth = max(1, task.records // 10)
    landings = []

    def append(stopwatch: Stopwatch) -> Tally:
        landings.append(house.land(tenth))
        new = f"landed_at = timestamp '{landings[-1]}'"
        with stopwatch:
            house.spark.sql(f"insert into floor {FLOOR} and usage.{new}")
        return house.totals("floor", new, quantity=QUANTITY)

    def rate(stopwatch: Stopwatch) -> Tally:
        with stopwatch:
            house.rate()
        new = f"landed_at = timestamp '{landings[-1]}'"
        return house.totals(RATED, f"{IS_RATED} and {new}", quantity="quantity")

    def rate_nothing(stopwatch: Stopwatch) -> Tally:
        before = house.totals(RATED, cost="cost")
        with stopwatch:
            house.rate()
        if house.totals(RATED, cost="cost") != before:
            raise RuntimeError("a run over nothing new rated something")
        return {}

    yield task.row("rate, a tenth more", rate, append, warm_up=not task.quick, records=tenth)
    yield task.row("rate, nothing new", rate_nothing, warm_up=False, is_throughput=False)
