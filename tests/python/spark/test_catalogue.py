"""The data tests of the catalogue: nothing to say of the one in `seeds`, and each fault named by seed and id."""

import csv
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import yaml
from compiled import compile_nodes, view

from ingestion.settings import PROJECT_ROOT

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

Row = dict[str, str]
Spoil = Callable[[list[Row]], list[Row]]
SEEDS = {
    seed["name"]: {
        column: "string" if "target.type" in type_ else type_
        for column, type_ in seed["config"]["column_types"].items()
    }
    for seed in yaml.safe_load((PROJECT_ROOT / "seeds" / "_seeds.yml").read_text())["seeds"]
}


def read_seed(name: str) -> list[Row]:
    with (PROJECT_ROOT / "seeds" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def load(spark: "SparkSession", name: str, rows: list[Row]) -> None:
    """Make the rows the view of a seed, with its declared types; an empty text is null, as dbt loads it."""
    types = SEEDS[name]
    values = [tuple(row[column] or None for column in types) for row in rows]
    texts = spark.createDataFrame(values, ", ".join(f"{column} string" for column in types))
    view(spark, name, texts.selectExpr(*[f"cast({column} as {type_}) as {column}" for column, type_ in types.items()]))


@pytest.fixture(scope="module")
def tests(spark: "SparkSession", tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The compiled data tests by name, over the project's own seeds."""
    for name in SEEDS:
        load(spark, name, read_seed(name))
    compiled = compile_nodes(tmp_path_factory.mktemp("dbt"), "tag:catalogue")
    return {name: sql for name, sql in compiled.items() if name.startswith("catalogue_")}


def found(spark: "SparkSession", sql: str) -> list[tuple[str, str, str]]:
    return sorted((row["seed"], row["id"], row["fault"]) for row in spark.sql(sql).collect())


def test_there_is_a_data_test_a_file(tests: dict[str, str]) -> None:
    files = {file.stem for file in (PROJECT_ROOT / "tests" / "data" / "catalogue").glob("*.sql")}
    assert set(tests) == files


def test_the_seeds_are_a_sound_catalogue(spark: "SparkSession", tests: dict[str, str]) -> None:
    assert {name: found(spark, sql) for name, sql in tests.items()} == {name: [] for name in tests}


def change(key: str, **values: str) -> Spoil:
    """Change the rows whose first column is `key`."""
    return lambda rows: [row | values if next(iter(row.values())) == key else row for row in rows]


def copy(key: str, **values: str) -> Spoil:
    """Add a changed copy of the first row whose first column is `key`."""
    return lambda rows: [*rows, next(row for row in rows if next(iter(row.values())) == key) | values]


def drop(**values: str) -> Spoil:
    """Take away the rows that have all the values."""
    return lambda rows: [row for row in rows if any(row[column] != value for column, value in values.items())]


OVER_MIDNIGHT = "ends_at is not after starts_at, and a band over midnight has two rows"
NO_PULSE_ENDS = "where no pulse of the step before it ends"
FAULTS: dict[str, list[tuple[str, Spoil, list[tuple[str, str]]]]] = {
    "catalogue_values_are_possible": [
        (
            "product_rates",
            change("SALAM_SMS_ON_NET", unit_price="-0.3"),
            [("SALAM_SMS_ON_NET", "unit_price is negative")],
        ),
        ("product_rates", change("MAX_SMS_ON_NET", increment="0"), [("MAX_SMS_ON_NET", "increment is not above 0")]),
        (
            "product_rates",
            change("PRO_SMS_ON_NET", rounding_mode="even"),
            [("PRO_SMS_ON_NET", "rounding_mode is even, none of up, half_up, down")],
        ),
        (
            "product_rates",
            change("PLUS_SMS_ON_NET", rounding_scale="7", zone=""),
            [("PLUS_SMS_ON_NET", "zone is missing; rounding_scale is not from 0 to 6")],
        ),
        ("rate_plans", change("POSTPAID_MAX", monthly_fee="-1"), [("POSTPAID_MAX", "monthly_fee is negative")]),
        (
            "rate_plans",
            change("BUSINESS_PRO", currency="dirham"),
            [("BUSINESS_PRO", "currency is not an ISO 4217 code")],
        ),
        (
            "rate_plans",
            change("POSTPAID_START", valid_to="2020-01-01"),
            [("POSTPAID_START", "valid_to is not after valid_from")],
        ),
        ("products", change("DATA_ROAMING", unit="second"), [("DATA_ROAMING", "unit does not fit service_type")]),
        ("destination_prefixes", change("33", prefix="+33"), [("+33", "prefix is not made of digits")]),
        ("time_bands", change("peak", starts_at="20:30"), [("peak/weekday/20:30", OVER_MIDNIGHT)]),
        (
            "time_bands",
            change("holiday", day_type="eid"),
            [("holiday/eid/00:00", "day_type is eid, none of weekday, saturday, sunday, holiday")],
        ),
        (
            "promotions",
            change("PROMO_VIP", discount_percent="101"),
            [("PROMO_VIP", "discount_percent is not from 0 to 100")],
        ),
        ("customer_status_rules", change("pending", reason=""), [("pending", "reason is missing")]),
        ("allowances", change("PRO_DATA", included_units="-1"), [("PRO_DATA", "included_units is negative")]),
        ("discounts", change("DISC_VIP", value="105"), [("DISC_VIP", "value is above 100 percent")]),
        (
            "tax_rates",
            change("TVA_20", applies_to="fees"),
            [("TVA_20", "applies_to is fees, none of voice, sms, data, fee, *")],
        ),
    ],
    "catalogue_keys_are_unique": [
        ("products", copy("DATA_ROAMING"), [("DATA_ROAMING", "is there 2 times")]),
        ("holidays", copy("2025-01-01"), [("2025-01-01", "is there 2 times")]),
        # a plan that ends is no overlap, one that goes on beside its next version is
        ("rate_plans", change("POSTPAID_MAX", valid_to="2025-07-01"), []),
        (
            "rate_plans",
            copy("BUSINESS_PRO", valid_from="2025-07-01"),
            [("BUSINESS_PRO", "overlaps BUSINESS_PRO from 2025-07-01 on (BUSINESS_PRO)")],
        ),
        (
            "product_rates",
            copy("PRO_DATA_HOME", product_rate_id="NEW", valid_from="2025-01-01"),
            [("PRO_DATA_HOME", "overlaps NEW from 2025-01-01 on (BUSINESS_PRO/DATA_NATIONAL/home/*/0.000000)")],
        ),
        (
            "tax_rates",
            copy("TVA_20", tax_id="TVA_19", percent="19"),
            [("TVA_19", "overlaps TVA_20 from 2020-01-01 on (*/*)")],
        ),
    ],
    "catalogue_references_exist": [
        (
            "product_rates",
            change("PRO_DATA_HOME", rate_plan_id="BUSINES_PRO"),
            [("PRO_DATA_HOME", "unknown rate_plan_id BUSINES_PRO")],
        ),
        ("product_rates", change("PRO_DATA_WIFI", product_id="*"), [("PRO_DATA_WIFI", "unknown product_id *")]),
        (
            "product_rates",
            change("MAX_VOICE_FIXED", zone="land", time_band="day"),
            [("MAX_VOICE_FIXED", "unknown zone land; unknown time_band day")],
        ),
        ("promotions", change("PROMO_VIP", zone="moon"), [("PROMO_VIP", "unknown zone moon")]),
        ("allowances", change("PRO_DATA", rate_plan_id="PRO"), [("PRO_DATA", "unknown rate_plan_id PRO")]),
        ("discounts", change("DISC_VIP", rate_plan_id="VIP"), [("DISC_VIP", "unknown rate_plan_id VIP")]),
        ("customer_status_rules", drop(customer_status="suspended"), [("suspended", "has no rule")]),
    ],
    "catalogue_steps_meet_pulses": [
        (
            "product_rates",
            change("PLUS_VOICE_ON_NET_AFTER", from_unit="90"),
            [("PLUS_VOICE_ON_NET_AFTER", f"begins at 90.000000, {NO_PULSE_ENDS}")],
        ),
        (
            "product_rates",
            change("PLUS_VOICE_OFF_NET_AFTER", from_unit="30"),
            [("PLUS_VOICE_OFF_NET_AFTER", f"begins at 30.000000, {NO_PULSE_ENDS}")],
        ),
        # the second pulse of the first step ends here
        ("product_rates", change("PLUS_VOICE_FIXED_AFTER", from_unit="120"), []),
        ("product_rates", change("PRO_DATA_HOME", from_unit="1"), [("PRO_DATA_HOME", "no step begins at 0")]),
        (
            "product_rates",
            change("PLUS_DATA_HOME_AFTER", connect_fee="1", max_charge="9"),
            [("PLUS_DATA_HOME_AFTER", "its steps differ in connect_fee; its steps differ in max_charge")],
        ),
    ],
    "catalogue_hours_have_one_rate": [
        (
            "time_bands",
            drop(time_band="off_peak", starts_at="20:00"),
            [
                (f"PREPAID_SALAM/voice/{zone}", "weekday 20:00 from 2025-01-01 on has no rate (and 1 more such times)")
                for zone in ("fixed", "off_net", "on_net")
            ],
        ),
        (
            "product_rates",
            change("START_DATA_HOME_2020", valid_to="2025-06-01"),
            [("POSTPAID_START/data/home", "holiday 00:00 from 2025-06-01 on has no rate (and 31 more such times)")],
        ),
        (
            "product_rates",
            copy("PRO_DATA_HOME", product_rate_id="NEW", product_id="DATA_ROAMING", valid_from="2025-01-01"),
            [
                (
                    "BUSINESS_PRO/data/home",
                    "holiday 00:00 from 2025-01-01 on has more than one rate (and 31 more such times)",
                )
            ],
        ),
        # without its band's rate the one for any hour is still there
        ("product_rates", drop(product_rate_id="PRO_VOICE_ON_NET_OFFICE"), []),
    ],
}


@pytest.mark.parametrize("test", FAULTS)
def test_each_fault_is_named_and_nothing_else(spark: "SparkSession", tests: dict[str, str], test: str) -> None:
    spoiled = {seed: read_seed(seed) for seed, _, _ in FAULTS[test]}
    for seed, spoil, _ in FAULTS[test]:
        spoiled[seed] = spoil(spoiled[seed])
    for seed, rows in spoiled.items():
        load(spark, seed, rows)
    try:
        faults = found(spark, tests[test])
    finally:
        for seed in spoiled:
            load(spark, seed, read_seed(seed))
    # an hour without a rate is a fault of the rates, whichever file lost it
    rates_only = test == "catalogue_hours_have_one_rate"
    expected = [
        ("product_rates" if rates_only else seed, id_, fault) for seed, _, named in FAULTS[test] for id_, fault in named
    ]
    assert faults == sorted(expected)
