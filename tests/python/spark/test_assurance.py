"""Each equation of assurance holds on a small sound world, and is caught when broken on purpose, by day and amount."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from compiled import compile_nodes, view

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

pytestmark = pytest.mark.spark

# Ten messages of two partitions on two days: seven normal, two errors, one duplicate.
LANDED = """
select
    'cdr' as topic,
    cast(id % 2 as int) as partition,
    id div 2 as offset,
    if(id < 6, timestamp '2025-06-10 10:00:00', timestamp '2025-06-11 10:00:00') as landed_at,
    case when id in (2, 7) then 'error' when id = 9 then 'duplicate' else 'normal' end as status,
    if(id in (2, 7), array('INVALID_TIMESTAMP', 'MISSING_CALLER_ID'), null) as error_reasons,
    'voice' as record_type,
    timestamp '2025-06-10 09:00:00' as event_time,
    concat('r', id) as record_id
from range(10)
"""
# r0 prepaid, r8 nobody's, r6 without a rate, the others postpaid at 1.004 each, of which r1 is included.
RATED = """
select
    record_id,
    landed_at,
    '212612000001' as msisdn,
    'voice' as record_type,
    landed_at - interval 1 hour as event_time,
    case record_id when 'r0' then 'prepaid' when 'r8' then null else 'postpaid' end as subscription_type,
    cast(60 as decimal(18, 6)) as quantity,
    if(record_id in ('r6', 'r8'), null, cast(1.004 as decimal(18, 6))) as cost,
    if(record_id in ('r6', 'r8'), null, 'MAD') as currency,
    case record_id when 'r6' then 'error' when 'r8' then 'unmatched' else 'rated' end as rating_status,
    case record_id when 'r6' then 'NO_RATE' when 'r8' then 'NO_CUSTOMER' end as status_reason
from landing_cdr
where status = 'normal'
"""
BILLED = """
select
    record_id,
    'C1' as customer_id,
    '2025-06' as usage_month,
    currency,
    'voice' as service,
    'on_net' as zone,
    if(record_id = 'r1', cast(0 as decimal(18, 6)), cost) as billed_amount,
    if(record_id = 'r1', cost, cast(0 as decimal(18, 6))) as included_amount
from rated_usage
where rating_status = 'rated' and subscription_type = 'postpaid'
"""
LINES = """
select
    'C1-2025-06' as bill_id,
    'usage' as kind,
    '2025-06' as usage_month,
    'MAD' as currency,
    cast(3.01 as decimal(18, 3)) as amount
"""
FINAL_LINES = f"select bill_id, kind, usage_month, amount from ({LINES})"
BILLS = """
select 'C1-2025-06' as bill_id, '2025-06' as period, 'draft' as state, cast(3.612 as decimal(18, 3)) as total
"""
NOTED = """
select timestamp '2025-06-30 23:00:00' as purged_before, timestamp '2025-07-02 10:00:00' as landed_until
"""
NO_COSTS = """
select
    '2025-06' as usage_month, 'MAD' as currency, cast(0 as decimal(28, 6)) as rated_cost,
    cast(0 as decimal(28, 6)) as prepaid_cost, cast(0 as decimal(28, 6)) as included_amount,
    cast(0 as decimal(28, 6)) as rounding
"""
WORLD = {
    "landing_cdr": LANDED,
    "rating_cutoff": "select timestamp '2025-06-11 10:00:00' as landed_until",
    "rated_usage": RATED,
    "billed_usage": BILLED,
    "bill_lines": LINES,
    "bills": BILLS,
    "served_bills": "select *, 'MAD' as currency from bills where 1 = 0",
    "served_bill_lines": "select bill_id, kind, usage_month, amount from bill_lines where 1 = 0",
    "totals_usage_totals": """
        select cast(event_time as date) as event_date, rating_status, count(*) as records, sum(cost) as cost
        from rated_usage group by 1, 2
    """,
    "served_purges": f"{NOTED} where 1 = 0",
    "served_purged_records": "select current_date() as landed_on, 'rated' as rating_status, 1L as records where 1 = 0",
    "served_purged_costs": f"{NO_COSTS} where 1 = 0",
    "totals_bill_totals": """
        select period, state, count(*) as bills, sum(total) as total, sum(total) as line_total, 1L as bill_lines
        from bills group by period, state
    """,
}
SELECTED = ("path:models/assurance,resource_type:model", "path:tests/data/assurance")
MODELS = (
    "assurance_daily_totals",
    "assurance_monthly_totals",
    "assurance_served_totals",
    "assurance_offset_gaps",
    "assurance_error_reasons",
    "assurance_suspense",
    "assurance_usage_jumps",
)
EQUATIONS = (
    "received_is_landed_once",
    "normal_is_rated_once",
    "rated_cost_is_accounted_for",
    "postgres_equals_spark",
    "offsets_have_no_gaps",
    "purged_rows_are_noted",
)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return compile_nodes(tmp_path_factory.mktemp("dbt"), *SELECTED)


def build(spark: "SparkSession", compiled: dict[str, str], **broken: str) -> None:
    """Make the world's views, some of them broken, and the assurance models over it."""
    for name, query in WORLD.items():
        view(spark, name, broken.get(name, query))
    for name in MODELS:
        view(spark, name, compiled[name])


def found(spark: "SparkSession", compiled: dict[str, str]) -> dict[str, list["Row"]]:
    """Return the rows of every equation that does not hold."""
    rows = {name: spark.sql(compiled[name]).collect() for name in EQUATIONS}
    return {name: found for name, found in rows.items() if found}


def test_a_sound_world_balances(spark: "SparkSession", compiled: dict[str, str]) -> None:
    build(spark, compiled)
    assert found(spark, compiled) == {}
    month = spark.table("assurance_monthly_totals").collect()[0]
    money = {name: f"{month[name]:.6f}" for name in month.asDict() if name not in ("usage_month", "currency")}
    assert money == {
        "rated_cost": "5.020000",
        "prepaid_cost": "1.004000",
        "included_amount": "1.004000",
        "billed_amount": "0.000000",
        "open_amount": "3.010000",
        "rounding": "-0.002000",
        "difference": "0.000000",
    }
    days = spark.table("assurance_daily_totals").orderBy("landed_on").collect()
    assert [(day["received"], day["normal"], day["error"], day["duplicate"]) for day in days] == [
        (6, 5, 1, 0),
        (4, 2, 1, 1),
    ]
    reasons = spark.table("assurance_error_reasons").orderBy("landed_on", "rank_of_day").collect()
    assert [(row["reason"], row["records"], row["rank_of_day"]) for row in reasons] == [
        ("INVALID_TIMESTAMP", 1, 1),
        ("MISSING_CALLER_ID", 1, 2),
    ] * 2
    waiting = spark.table("assurance_suspense").orderBy("status_reason").collect()
    # 60 s at the average of 5.02 for 300 s, cut to six decimals a unit
    assert [(row["status_reason"], row["records"], f"{row['estimated_value']:.3f}") for row in waiting] == [
        ("NO_CUSTOMER", 1, "1.004"),
        ("NO_RATE", 1, "1.004"),
    ]


@pytest.mark.parametrize(
    ("broken", "caught"),
    [
        (
            {"landing_cdr": f"{LANDED} union all select * from ({LANDED}) where record_id = 'r2'"},
            {"received_is_landed_once": [("2025-06-10", "-1")]},
        ),
        (
            {"rated_usage": f"select * from ({RATED}) where record_id <> 'r6'"},
            {"normal_is_rated_once": [("2025-06-11", "1")]},
        ),
        (
            {"bill_lines": LINES.replace("3.01", "3.00")},
            {"rated_cost_is_accounted_for": [("2025-06", "0.010000")]},
        ),
        (
            {"billed_usage": f"select * from ({BILLED}) where record_id <> 'r1'"},
            {"rated_cost_is_accounted_for": [("2025-06", "1.004000")]},
        ),
        (
            {"totals_usage_totals": WORLD["totals_usage_totals"].replace("sum(cost)", "sum(cost) - 0.000001")},
            {"postgres_equals_spark": [("2025-06-10", "0.000001")]},
        ),
        (
            {"totals_bill_totals": WORLD["totals_bill_totals"].replace("1L as", "2L as")},
            {"postgres_equals_spark": [("2025-06", "0.000000")]},
        ),
        (
            {"landing_cdr": f"select * from ({LANDED}) where offset <> 3 or partition = 0"},
            {"offsets_have_no_gaps": [("cdr", "1")]},
        ),
    ],
    ids=["landed twice", "not rated", "a cent lost", "not billed", "export off", "a line more", "a gap"],
)
def test_what_is_broken_on_purpose_is_caught(
    spark: "SparkSession",
    compiled: dict[str, str],
    broken: dict[str, str],
    caught: dict[str, list[tuple[str, str]]],
) -> None:
    build(spark, compiled, **broken)
    # the day or month is the first column, after the published table's name where there is one
    named = {
        name: sorted((str(row[name == "postgres_equals_spark"]), str(row[-1])) for row in rows)
        for name, rows in found(spark, compiled).items()
    }
    assert named == caught


def test_what_a_stream_lands_beside_a_run_is_left_to_the_next(spark: "SparkSession", compiled: dict[str, str]) -> None:
    """Assurance found it missing from what had been rated before it came, and failed every run beside a busy stream."""
    later = LANDED.replace("range(10)", "range(10, 20)").replace("2025-06-11", "2025-06-12")
    later = later.replace("id in (2, 7)", "id in (12, 17)")
    build(
        spark,
        compiled,
        landing_cdr=f"{LANDED} union all {later}",
        rated_usage=f"select * from ({RATED}) where landed_at <= timestamp '2025-06-11 10:00:00'",
    )
    assert found(spark, compiled) == {}
    assert spark.table("assurance_daily_totals").groupBy().sum("received").collect()[0][0] == 10
    assert spark.table("assurance_error_reasons").groupBy().sum("records").collect()[0][0] == 4


# The whole month was closed and purged: all that is left of it are totals, the final line and emptied rows.
EMPTIED = LANDED.replace("'voice' as record_type", "'purged' as record_type")
PURGED = {
    "landing_cdr": EMPTIED,
    "served_purges": NOTED,
    "rated_usage": f"select * from ({RATED}) where 1 = 0",
    "billed_usage": f"select * from ({BILLED}) where 1 = 0",
    "bill_lines": f"select * from ({LINES}) where 1 = 0",
    "bills": f"select * from ({BILLS}) where 1 = 0",
    "served_bills": "select 'C1-2025-06' as bill_id, '2025-06' as period, 'final' as state, 'MAD' as currency",
    "served_bill_lines": FINAL_LINES,
    "served_purged_records": """
        select cast(day as date) as landed_on, status as rating_status, cast(n as bigint) as records
        from values
            ('2025-06-10', 'rated', 5), ('2025-06-11', 'error', 1), ('2025-06-11', 'unmatched', 1)
            as kept(day, status, n)
    """,
    "served_purged_costs": """
        select
            '2025-06' as usage_month, 'MAD' as currency, cast(5.02 as decimal(28, 6)) as rated_cost,
            cast(1.004 as decimal(28, 6)) as prepaid_cost, cast(1.004 as decimal(28, 6)) as included_amount,
            cast(-0.002 as decimal(28, 6)) as rounding
    """,
}


@pytest.mark.parametrize(
    ("broken", "caught"),
    [
        ({}, {}),
        (
            {"landing_cdr": f"select * from ({EMPTIED}) where record_id <> 'r8'"},
            {"normal_is_rated_once": [("2025-06-11", "-1")]},
        ),
        (
            {"served_bill_lines": FINAL_LINES.replace("3.01", "3.00")},
            {"rated_cost_is_accounted_for": [("2025-06", "0.010000")]},
        ),
        (
            {"served_purges": f"{NOTED} where 1 = 0"},
            {"purged_rows_are_noted": [("2025-06-10", "5"), ("2025-06-11", "2")]},
        ),
    ],
    ids=["sound", "an emptied row lost", "a final line changed", "the note lost"],
)
def test_a_purged_month_is_still_checked(
    spark: "SparkSession",
    compiled: dict[str, str],
    broken: dict[str, str],
    caught: dict[str, list[tuple[str, str]]],
) -> None:
    build(spark, compiled, **{**PURGED, **broken})
    assert {
        name: [(str(row[0]), str(row[-1])) for row in rows] for name, rows in found(spark, compiled).items()
    } == caught


def test_a_gap_that_somebody_answers_for_stays_in_the_table_and_fails_nothing(
    spark: "SparkSession", compiled: dict[str, str], tmp_path: Path
) -> None:
    build(spark, compiled, landing_cdr=f"select * from ({LANDED}) where offset <> 3 or partition = 0")
    (gap,) = spark.table("assurance_offset_gaps").collect()
    place = f"{gap.topic}/{gap.partition}/{gap.first_missing_offset}-{gap.last_missing_offset}"
    accepted = compile_nodes(tmp_path, "offsets_have_no_gaps", "--vars", f"accepted_offset_gaps: [{place}]")
    assert spark.sql(accepted["offsets_have_no_gaps"]).collect() == []
