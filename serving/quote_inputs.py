"""Reading what a quote is asked about: a catalogue folder and a customers file, exact to the last digit.

Nothing is guessed: a number is a decimal as it was written, `0044` stays text, an empty field is null. What is no
number, date or time is refused with the file, line and field, and a customer that PostgreSQL's checks would refuse. A
catalogue whose values make no sense is read as it is: to name them is the data tests' work.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

import yaml
from jinja2 import Template

from ingestion.console import UserError
from ingestion.settings import PROJECT_ROOT

Cell = str | int | bool | date | datetime | Decimal | None
Columns = Mapping[str, str]
"""Column names with their Spark types, in the order of the table."""

CUSTOMER_COLUMNS: Columns = {
    "customer_id": "string",
    "msisdn": "string",
    "customer_name": "string",
    "subscription_type": "string",
    "segment": "string",
    "rate_plan_id": "string",
    "customer_status": "string",
    "region": "string",
    "activation_date": "date",
    "termination_date": "date",
    "updated_at": "timestamp",
}
OPTIONAL_CUSTOMER_COLUMNS = frozenset({"customer_name", "region", "termination_date", "updated_at"})
"""What PostgreSQL lets be empty, or fills in itself: an absent column is an empty one."""

CHOICES: dict[tuple[str, str], tuple[str, ...]] = {
    ("customers", "subscription_type"): ("prepaid", "postpaid"),
    ("customers", "segment"): ("consumer", "student", "business", "vip"),
    ("customers", "customer_status"): ("active", "suspended", "terminated", "pending"),
}
PATTERNS: dict[tuple[str, str], tuple[str, str]] = {
    ("customers", "msisdn"): (r"[0-9]{8,15}", "a number of 8 to 15 digits with its country code"),
    ("time_bands", "starts_at"): (r"[0-9]{1,2}:[0-9]{2}", "a time written HH:MM"),
    ("time_bands", "ends_at"): (r"[0-9]{1,2}:[0-9]{2}", "a time written HH:MM"),
}
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", re.ASCII)
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
BOOLEANS = {"true": True, "t": True, "yes": True, "y": True, "1": True}
BOOLEANS |= {"false": False, "f": False, "no": False, "n": False, "0": False}


@dataclass(frozen=True)
class Table:
    """Rows of one input, each with a cell for every column, and the line of the file that each began on."""

    name: str
    columns: Columns
    rows: list[tuple[Cell, ...]]
    lines: list[int]


@lru_cache(maxsize=1)
def catalogue_columns() -> dict[str, Columns]:
    """Return the columns of every seed with their Spark types, as `seeds/_seeds.yml` declares them for dbt."""
    declared = yaml.safe_load((PROJECT_ROOT / "seeds" / "_seeds.yml").read_text())["seeds"]
    on_spark = {"target": {"type": "spark"}}
    return {
        seed["name"]: {
            column: Template(kind).render(on_spark) for column, kind in seed["config"]["column_types"].items()
        }
        for seed in declared
    }


def read_catalogue(folder: Path) -> list[Table]:
    """Read a catalogue: one CSV a seed, named as the seed.

    Raises:
        UserError: the folder or a file is missing, or a file, line and field cannot be read.
    """
    seeds = catalogue_columns()
    try:
        if not folder.is_dir():
            raise UserError(f"--catalogue {folder}: there is no such folder")
        missing = [f"{name}.csv" for name in seeds if not (folder / f"{name}.csv").is_file()]
    except OSError as error:
        raise UserError(f"--catalogue {folder}: {error.strerror}") from None
    if missing:
        raise UserError(
            f"--catalogue {folder}: {', '.join(missing)} missing (a catalogue has one CSV for each file of seeds/; "
            "one with nothing in it still has its header)"
        )
    return [read_table(folder / f"{name}.csv", name, columns) for name, columns in seeds.items()]


def read_customers(file: Path) -> Table:
    """Read a customers file: the columns of PostgreSQL's `customers` as CSV, one row a customer.

    Raises:
        UserError: the file is missing, a field cannot be read or is empty, or two rows share a key or a number.
    """
    table = read_table(file, "customers", CUSTOMER_COLUMNS, OPTIONAL_CUSTOMER_COLUMNS)
    seen: dict[tuple[str, Cell], int] = {}
    for line, row in zip(table.lines, table.rows, strict=True):
        for column, value in zip(table.columns, row, strict=True):
            if value is None and column not in OPTIONAL_CUSTOMER_COLUMNS:
                _refuse(file, line, column, "is empty")
            if column in ("customer_id", "msisdn"):
                first = seen.setdefault((column, value), line)
                if first != line:
                    _refuse(file, line, column, f"{value!r} is that of line {first} too")
    return table


def read_table(file: Path, name: str, columns: Columns, optional: frozenset[str] = frozenset()) -> Table:
    """Read one CSV file with a header, in whatever order its columns are; columns in `optional` may be absent.

    Raises:
        UserError: naming file, line and field.
    """
    records = _records(file)
    header_line, header = next(records, (1, []))
    header = [column.strip() for column in header]
    for column in header:
        if column not in columns:
            expected = ", ".join(columns)
            raise UserError(f"{file}, line {header_line}: unknown column {column!r} (the columns are {expected})")
        if header.count(column) > 1:
            raise UserError(f"{file}, line {header_line}: column {column} comes twice")
    absent = [column for column in columns if column not in header and column not in optional]
    if absent:
        raise UserError(f"{file}, line {header_line}: missing column {', '.join(absent)}")
    readers = {column: _reader(name, column, kind) for column, kind in columns.items()}
    table = Table(name, columns, [], [])
    for line, record in records:
        if len(record) != len(header):
            raise UserError(f"{file}, line {line}: {len(record)} fields where the header has {len(header)}")
        texts = dict(zip(header, record, strict=True))
        cells: list[Cell] = []
        for column, read in readers.items():
            text = texts.get(column, "")
            try:
                cells.append(read(text) if text else None)
            except ValueError as error:
                _refuse(file, line, column, f"{text!r} is not {error}")
        table.rows.append(tuple(cells))
        table.lines.append(line)
    return table


def _records(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each record of a CSV file with the line that it begins on; blank lines are none."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.reader(handle, strict=True)
            while True:
                line = reader.line_num + 1
                try:
                    record = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    raise UserError(f"{file}, line {line}: this is no CSV: {error}") from None
                if record:
                    yield line, record
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: byte {error.start + 1} is not UTF-8: save the file as UTF-8") from None
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from None


def _reader(table: str, column: str, kind: str) -> Callable[[str], Cell]:
    """Return what reads a field's text; it raises ValueError with what the text should have been."""
    read = _reader_of_type(kind)
    choices = CHOICES.get((table, column))
    if choices:
        return lambda text: text if text in choices else _not(f"one of {', '.join(choices)}")
    if (table, column) in PATTERNS:
        pattern, meaning = PATTERNS[table, column]
        return lambda text: read(text) if re.fullmatch(pattern, text, re.ASCII) else _not(meaning)
    return read


def _reader_of_type(kind: str) -> Callable[[str], Cell]:
    readers: dict[str, Callable[[str], Cell]] = {
        "string": str,
        "int": _read_int,
        "boolean": _read_boolean,
        "date": _read_date,
        "timestamp": _read_timestamp,
    }
    if kind in readers:
        return readers[kind]
    declared = re.fullmatch(r"decimal\(([0-9]+), *([0-9]+)\)", kind)
    if declared is None:
        raise NotImplementedError(
            f"seeds/_seeds.yml declares the type {kind}, which serving/quote_inputs.py cannot read"
        )
    precision, scale = int(declared[1]), int(declared[2])
    return lambda text: _read_decimal(text, precision, scale)


def _read_decimal(text: str, precision: int, scale: int) -> Decimal:
    if not NUMBER.fullmatch(text.strip()):
        _not("a number")
    number = Decimal(text.strip())
    if number and number.adjusted() >= precision - scale:
        _not(f"a number of at most {precision - scale} digits before the point")
    exact = number.quantize(Decimal(1).scaleb(-scale))
    return exact if exact == number else _not(f"a number of at most {scale} decimals")


def _read_int(text: str) -> int:
    number = _read_decimal(text, 18, 6)
    if number != int(number) or abs(number) >= 2**31:
        _not("a whole number of at most 9 digits")
    return int(number)


def _read_boolean(text: str) -> bool:
    value = BOOLEANS.get(text.strip().lower())
    return _not("true or false") if value is None else value


def _read_date(text: str) -> date:
    try:
        return date.fromisoformat(text.strip()) if DATE.fullmatch(text.strip()) else _not("a date written YYYY-MM-DD")
    except ValueError:
        return _not("a date written YYYY-MM-DD")


def _read_timestamp(text: str) -> datetime:
    """Read an instant; one without a zone is UTC, as PostgreSQL's `copy` under `timezone=UTC` writes it."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # the first hours of the year 1, east of Greenwich, are no time in UTC
        return _not("a time written as ISO 8601")


def _not(expected: str) -> NoReturn:
    raise ValueError(expected)


def _refuse(file: Path, line: int, column: str, fault: str) -> NoReturn:
    raise UserError(f"{file}, line {line}, {column}: {fault}")
