"""The customers that traffic comes from follow from the seed and fit the catalogue."""

import csv
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from ingestion.console import UserError
from ingestion.traffic.catalogue import read_catalogue
from ingestion.traffic.customers import CUSTOMER_COLUMNS, customer_csv, write_customers
from ingestion.traffic.population import build_population, plans_for
from ingestion.traffic.stream import SEEDS


def customers(count: int = 3000, seed: int = 1, locale: str = "fr_FR") -> list[dict[str, str]]:
    population = build_population(read_catalogue(SEEDS, "212"), count, seed, "212")
    text = b"".join(customer_csv(population, locale)).decode()
    return list(csv.DictReader(text.splitlines()))


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    return customers()


def test_columns_and_keys_are_the_contracts(rows: list[dict[str, str]]) -> None:
    assert tuple(rows[0]) == CUSTOMER_COLUMNS
    assert len({row["customer_id"] for row in rows}) == len({row["msisdn"] for row in rows}) == len(rows) == 3000
    assert all(len(row["msisdn"]) == 12 for row in rows)


def test_every_kind_of_customer_is_there(rows: list[dict[str, str]]) -> None:
    count = {column: Counter(row[column] for row in rows) for column in rows[0]}
    assert set(count["subscription_type"]) == {"prepaid", "postpaid"}
    assert set(count["segment"]) == {"consumer", "student", "business", "vip"}
    assert set(count["customer_status"]) == {"active", "suspended", "terminated", "pending"}
    assert count["customer_status"]["active"] > 2600
    assert min(count["customer_status"].values()) > 10
    assert {row["rate_plan_id"] for row in rows} == set(read_catalogue(SEEDS, "212").rate_plan_ids)
    assert len(count["region"]) > 10
    assert len(count["customer_name"]) > 2000


def test_plans_fit_the_subscription_and_the_segment(rows: list[dict[str, str]]) -> None:
    for row in rows:
        assert ("PREPAID" in row["rate_plan_id"]) == (row["subscription_type"] == "prepaid")
        assert ("BUSINESS" in row["rate_plan_id"]) == (row["segment"] == "business")


def test_a_catalogue_without_a_fitting_plan_still_has_subscribers() -> None:
    assert plans_for(("GOLD", "SILVER"), "business", prepaid=True) == [0, 1]
    assert plans_for(("PREPAID_A",), "vip", prepaid=False) == [0]
    assert plans_for(("PREPAID_A", "STUDENT_B", "C"), "student", prepaid=False) == [1]
    assert plans_for(("PREPAID_A", "STUDENT_B", "C"), "consumer", prepaid=False) == [2]


def test_dates_make_sense(rows: list[dict[str, str]]) -> None:
    for row in rows:
        activation = date.fromisoformat(row["activation_date"])
        assert (row["termination_date"] != "") == (row["customer_status"] == "terminated")
        if row["termination_date"]:
            assert date.fromisoformat(row["termination_date"]) >= activation
        assert row["updated_at"] == f"{row['termination_date'] or row['activation_date']}T00:00:00Z"


def test_a_smaller_population_is_the_beginning_of_a_larger_one(rows: list[dict[str, str]]) -> None:
    assert customers(700) == rows[:700]


def test_another_seed_is_other_people_with_other_keys(rows: list[dict[str, str]]) -> None:
    other = customers(seed=2)
    assert not {row["customer_id"] for row in rows} & {row["customer_id"] for row in other}


def test_names_follow_the_locale() -> None:
    japanese = customers(20, locale="ja_JP")
    assert any(ord(letter) > 0x3000 for row in japanese for letter in row["customer_name"])
    with pytest.raises(UserError, match="--locale nowhere: unknown"):
        customers(20, locale="nowhere")


def test_numbers_run_out_with_a_message(tmp_path: Path) -> None:
    for seed in ("rate_plans", "cell_zones"):
        (tmp_path / f"{seed}.csv").write_bytes((SEEDS / f"{seed}.csv").read_bytes())
    (tmp_path / "destination_prefixes.csv").write_text("prefix,zone,description\n2126121234,on_net,a hundred numbers\n")
    small = read_catalogue(tmp_path, "212")
    assert len(set(build_population(small, 85, 1, "212").numbers.tolist())) == 95
    with pytest.raises(UserError, match="--customers 95: .* no more than 100 numbers"):
        build_population(small, 95, 1, "212")


@pytest.mark.parametrize(
    ("seed", "text", "fault"),
    [
        ("rate_plans", None, "rate_plans.csv: No such file"),
        ("rate_plans", "rate_plan_id\n", "no rate plan"),
        ("destination_prefixes", "prefix,zone\n33,europe\n", "on_net"),
        ("cell_zones", "cell_prefix,zone\nROAM_,roaming\n", "nobody lives anywhere"),
        ("cell_zones", "prefix,zone\nROAM_,roaming\n", "column cell_prefix is missing"),
    ],
)
def test_a_catalogue_that_traffic_cannot_be_made_from_is_named(
    tmp_path: Path, seed: str, text: str | None, fault: str
) -> None:
    for name in ("rate_plans", "cell_zones", "destination_prefixes"):
        (tmp_path / f"{name}.csv").write_bytes((SEEDS / f"{name}.csv").read_bytes())
    if text is None:
        (tmp_path / f"{seed}.csv").unlink()
    else:
        (tmp_path / f"{seed}.csv").write_text(text)
    with pytest.raises(UserError, match=fault):
        read_catalogue(tmp_path, "212")


def test_a_csv_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    population = build_population(read_catalogue(SEEDS, "212"), 1, 1, "212")
    with pytest.raises(UserError, match="--customers-out .*: No such file or directory"):
        write_customers(population, tmp_path / "nowhere" / "customers.csv", "fr_FR")
