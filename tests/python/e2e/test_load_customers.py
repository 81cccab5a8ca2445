"""Customers in PostgreSQL: loaded by COPY, and left alone where nothing changed."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ingestion.console import UserError
from ingestion.settings import Settings
from ingestion.traffic.catalogue import read_catalogue
from ingestion.traffic.customers import NoDatabaseError, customer_csv, load_customer_file, load_customers
from ingestion.traffic.population import build_population
from ingestion.traffic.stream import SEEDS

pytestmark = pytest.mark.stack

SEED = 4711
"""Customers of this test alone, who are gone after it."""


@pytest.fixture
def rows(stack: Settings) -> Iterator[bytes]:
    population = build_population(read_catalogue(SEEDS, "212"), 200, SEED, "212")
    text = b"".join(customer_csv(population, "fr_FR"))
    ids = [line.split(b",")[0].decode() for line in text.splitlines()[1:]]
    yield text
    with psycopg.connect(**stack.postgres_connection()) as connection:  # type: ignore[arg-type]
        connection.execute("delete from customers where customer_id = any(%s)", [ids])


def versions(config: Settings) -> dict[str, tuple[str, object]]:
    with psycopg.connect(**config.postgres_connection()) as connection:  # type: ignore[arg-type]
        found = connection.execute("select customer_id, customer_name, updated_at from customers").fetchall()
    return {row[0]: (row[1], row[2]) for row in found}


def test_a_second_load_changes_nothing_and_a_changed_row_is_one(stack: Settings, rows: bytes) -> None:
    blocks = [rows[start : start + 1000] for start in range(0, len(rows), 1000)]  # pieces end anywhere
    assert load_customers(stack, blocks, "customers") == (200, 200)
    before = versions(stack)
    assert load_customers(stack, [rows], "customers") == (200, 0)
    assert versions(stack) == before
    lines = rows.decode().splitlines()
    fields = lines[7].split(",")
    lines[7] = ",".join([*fields[:2], "Somebody Else", *fields[3:]])
    assert load_customers(stack, ["\n".join(lines).encode()], "customers") == (200, 1)
    after = versions(stack)
    assert {name for name in after if after[name] != before.get(name)} == {fields[0]}
    assert after[fields[0]][0] == "Somebody Else"
    assert after[fields[0]][1] > before[fields[0]][1]  # type: ignore[operator]


def test_columns_come_in_any_order_and_the_optional_ones_may_be_missing(
    stack: Settings, rows: bytes, tmp_path: Path
) -> None:
    table = [line.split(",") for line in rows.decode().splitlines()[:4]]
    kept = [table[0].index(name) for name in reversed(table[0]) if name not in ("updated_at", "customer_name")]
    file = tmp_path / "customers.csv"
    file.write_text("\n".join(",".join(row[column] for column in kept) for row in table))
    assert load_customer_file(stack, file) == (3, 3)
    assert load_customers(stack, [rows], "customers") == (200, 200)  # the three now get their names


@pytest.mark.parametrize(
    ("row", "column", "value", "fault"),
    [
        (3, "activation_date", "soon", r"activation_date.*line 4|line 4.*activation_date"),
        (3, "segment", "royal", "customers_segment_check"),
        (3, "msisdn", None, r"Key \(msisdn\)"),
    ],
)
def test_a_wrong_file_is_refused_as_a_whole_with_the_place(
    stack: Settings, rows: bytes, tmp_path: Path, row: int, column: str, value: str | None, fault: str
) -> None:
    before = versions(stack)
    table = [line.split(",") for line in rows.decode().splitlines()]
    place = table[0].index(column)
    table[row][place] = table[1][place] if value is None else value
    file = tmp_path / "wrong.csv"
    file.write_text("\n".join(",".join(fields) for fields in table))
    with pytest.raises(UserError, match=fault) as caught:
        load_customer_file(stack, file)
    assert str(file) in str(caught.value)
    assert versions(stack) == before


def test_a_header_that_is_not_a_customers_is_refused(stack: Settings, tmp_path: Path) -> None:
    file = tmp_path / "wrong.csv"
    file.write_text("customer_id,telephone\n1,2\n")
    with pytest.raises(UserError, match=r"wrong.csv, line 1: unknown: telephone; missing: msisdn"):
        load_customer_file(stack, file)


def test_a_server_that_is_not_there_is_named(stack: Settings, rows: bytes) -> None:
    with pytest.raises(NoDatabaseError, match=r"PostgreSQL at 127\.0\.0\.1:1 doesn't answer: run `telecom up`"):
        load_customers(stack.model_copy(update={"pgport": 1}), [rows], "customers")
