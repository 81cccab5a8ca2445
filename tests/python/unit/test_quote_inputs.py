"""Reading a catalogue and customers for a quote: exact values, and faults named by file, line and field."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from quote_world import CUSTOMER_DEFAULTS, write_catalogue, write_csv

from ingestion.console import UserError
from ingestion.settings import PROJECT_ROOT
from serving.quote_inputs import (
    CUSTOMER_COLUMNS,
    Table,
    catalogue_columns,
    read_catalogue,
    read_customers,
    read_table,
)

COLUMNS = {"key": "string", "price": "decimal(18,6)", "count": "int", "on": "boolean", "day": "date"}
HEADER = "key,price,count,on,day\n"


def read(tmp_path: Path, text: str | bytes) -> Table:
    file = tmp_path / "things.csv"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_table(file, "things", COLUMNS)


def test_values_are_read_as_they_stand(tmp_path: Path) -> None:
    table = read(tmp_path, HEADER + '"a, ""b""\nc",0.10,7,true,2025-06-01\n0044,1e3,-2,F,0001-01-01\n')
    assert table.rows == [
        ('a, "b"\nc', Decimal("0.10"), 7, True, date(2025, 6, 1)),
        ("0044", Decimal(1000), -2, False, date(1, 1, 1)),
    ]
    assert table.lines == [2, 4]


def test_empty_fields_are_null_and_blank_lines_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, HEADER + '\n"",,,,\n\n').rows == [(None,) * 5]


def test_byte_order_mark_line_ends_and_order_of_columns_do_not_matter(tmp_path: Path) -> None:
    table = read(tmp_path, b"\xef\xbb\xbfday, count,on,price,key\r\n2025-06-01,1,0,.5,\xc3\xa9\r\n")
    assert table.rows == [("é", Decimal("0.5"), 1, False, date(2025, 6, 1))]


@pytest.mark.parametrize(
    "text", ["999999999999.999999", "0.000001", "-0.000001", "1.2345670000", " 2.5 ", "+3", "0e99", "12E-6"]
)
def test_decimals_are_exact(tmp_path: Path, text: str) -> None:
    value = read(tmp_path, f"{HEADER}a,{text},,,\n").rows[0][1]
    assert isinstance(value, Decimal)
    assert value == Decimal(text)
    assert value.as_tuple().exponent == -6


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("a,1000000000000,,,", "price: '1000000000000' is not a number of at most 12 digits before the point"),
        ("a,0.0000001,,,", "price: '0.0000001' is not a number of at most 6 decimals"),
        ("a,1_0,,,", "price: '1_0' is not a number"),
        ("a,NaN,,,", "price: 'NaN' is not a number"),
        ("a,\u0661,,,", "price: '\u0661' is not a number"),
        ('a,"1,5",,,', "price: '1,5' is not a number"),
        ("a,,2.5,,", "count: '2.5' is not a whole number of at most 9 digits"),
        ("a,,,maybe,", "on: 'maybe' is not true or false"),
        ("a,,,,01/06/2025", "day: '01/06/2025' is not a date written YYYY-MM-DD"),
        ("a,,,,2025-02-29", "day: '2025-02-29' is not a date written YYYY-MM-DD"),
    ],
)
def test_a_field_that_cannot_be_read_is_named(tmp_path: Path, line: str, fault: str) -> None:
    with pytest.raises(UserError) as error:
        read(tmp_path, f"{HEADER}ok,,,,\n{line}\n")
    assert str(error.value) == f"{tmp_path / 'things.csv'}, line 3, {fault}"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "line 1: missing column key, price, count, on, day"),
        ("key,price,count,on\n", "line 1: missing column day"),
        ("key,price,count,on,day,colour\n", "line 1: unknown column 'colour'"),
        ("key,price,count,on,day,key\n", "line 1: column key comes twice"),
        (f"{HEADER}a,1,2\n", "line 2: 3 fields where the header has 5"),
        (f'{HEADER}"a,1\n', "line 2: this is no CSV"),
        (f"{HEADER}caf\xe9,,,,\n".encode("latin-1"), "is not UTF-8"),
    ],
)
def test_a_file_that_is_no_table_is_named(tmp_path: Path, text: str | bytes, fault: str) -> None:
    with pytest.raises(UserError, match=r"things\.csv") as error:
        read(tmp_path, text)
    assert fault in str(error.value)


def test_the_projects_own_seeds_can_be_read() -> None:
    tables = {table.name: table for table in read_catalogue(PROJECT_ROOT / "seeds")}
    assert set(tables) == {file.stem for file in (PROJECT_ROOT / "seeds").glob("*.csv")}
    assert all(table.rows for table in tables.values())


def test_a_catalogue_that_makes_no_sense_is_read_all_the_same(tmp_path: Path) -> None:
    band = {"time_band": "day", "day_type": "someday", "starts_at": "25:00", "ends_at": "7:00"}
    write_catalogue(tmp_path / "catalogue", {"time_bands": [band]})
    tables = {table.name: table for table in read_catalogue(tmp_path / "catalogue")}
    assert tables["time_bands"].rows == [tuple(band.values())]
    assert tables["holidays"].rows == []


def test_a_time_that_is_none_is_named(tmp_path: Path) -> None:
    write_catalogue(tmp_path / "catalogue", {"time_bands": [{"time_band": "day", "starts_at": "noon"}]})
    with pytest.raises(UserError, match=r"time_bands\.csv, line 2, starts_at: 'noon' is not a time written HH:MM"):
        read_catalogue(tmp_path / "catalogue")


def test_missing_files_are_all_named(tmp_path: Path) -> None:
    write_catalogue(tmp_path / "catalogue", {})
    for name in ("products", "tax_rates"):
        (tmp_path / "catalogue" / f"{name}.csv").unlink()
    with pytest.raises(UserError, match=r"products\.csv, tax_rates\.csv missing"):
        read_catalogue(tmp_path / "catalogue")
    with pytest.raises(UserError, match="no such folder"):
        read_catalogue(tmp_path / "elsewhere")


def test_every_seeds_types_can_be_read() -> None:
    kinds = {kind for columns in catalogue_columns().values() for kind in columns.values()}
    assert kinds == {"string", "decimal(18,6)", "int", "date", "boolean"}


def customers(tmp_path: Path, *rows: dict[str, str], columns: tuple[str, ...] = tuple(CUSTOMER_COLUMNS)) -> Table:
    full = ({key: value for key, value in (CUSTOMER_DEFAULTS | row).items() if key in columns} for row in rows)
    write_csv(tmp_path / "customers.csv", columns, full)
    return read_customers(tmp_path / "customers.csv")


ONE = {"customer_id": "C1", "msisdn": "212612000001", "rate_plan_id": "P"}


def test_a_customer_may_lack_what_postgresql_lets_be_empty(tmp_path: Path) -> None:
    needed = tuple(column for column in CUSTOMER_COLUMNS if column not in ("customer_name", "region", "updated_at"))
    row = dict(zip(CUSTOMER_COLUMNS, customers(tmp_path, ONE, columns=needed).rows[0], strict=True))
    assert (row["activation_date"], row["region"], row["termination_date"]) == (date(2020, 1, 1), None, None)


@pytest.mark.parametrize("text", ["2025-06-01T10:00:00Z", "2025-06-01 11:00:00+01", "2025-06-01 10:00:00"])
def test_updated_at_is_read_as_an_instant(tmp_path: Path, text: str) -> None:
    row = customers(tmp_path, ONE | {"updated_at": text}).rows[0]
    assert row[-1] == datetime(2025, 6, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([ONE | {"msisdn": "+212612000001"}], "line 2, msisdn: '+212612000001' is not a number of 8 to 15 digits"),
        ([ONE | {"segment": "gold"}], "line 2, segment: 'gold' is not one of consumer, student, business, vip"),
        ([ONE | {"rate_plan_id": ""}], "line 2, rate_plan_id: is empty"),
        ([ONE, ONE | {"msisdn": "212612000002"}], "line 3, customer_id: 'C1' is that of line 2 too"),
        ([ONE, ONE | {"customer_id": "C2"}], "line 3, msisdn: '212612000001' is that of line 2 too"),
    ],
)
def test_a_customer_that_postgresql_would_refuse_is_named(
    tmp_path: Path, rows: list[dict[str, str]], fault: str
) -> None:
    with pytest.raises(UserError, match=r"customers\.csv") as error:
        customers(tmp_path, *rows)
    assert fault in str(error.value)
