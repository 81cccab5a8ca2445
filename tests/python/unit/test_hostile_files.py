"""Files that people hand in, spoilt in every way: read, or refused in one line that names the file."""

import csv
import gzip
import io
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hostile import ARGUMENTS, mutated
from quote_world import CUSTOMER_DEFAULTS

from ingestion.console import UserError
from ingestion.producer import LineReader
from ingestion.settings import PROJECT_ROOT
from ingestion.traffic.catalogue import read_catalogue as read_traffic_catalogue
from ingestion.traffic.customers import customer_csv
from ingestion.traffic.population import build_population
from serving.quote import read_lines
from serving.quote_inputs import CUSTOMER_COLUMNS, catalogue_columns, read_catalogue, read_customers, read_table

SEEDS = PROJECT_ROOT / "seeds"
TABLES = catalogue_columns() | {"customers": CUSTOMER_COLUMNS}
MUTANTS = 150
CELLS = [text.encode(errors="surrogateescape") for text in ARGUMENTS]


def sound(name: str) -> bytes:
    """Return a few lines of a seed, or a customers file, as they should be."""
    if name != "customers":
        return b"".join((SEEDS / f"{name}.csv").read_bytes().splitlines(keepends=True)[:5])
    row = {"customer_id": "C1", "msisdn": "212612000001", "rate_plan_id": "P"} | CUSTOMER_DEFAULTS
    text = io.StringIO()
    writer = csv.DictWriter(text, CUSTOMER_COLUMNS, restval="")
    writer.writeheader()
    writer.writerow(row)
    return text.getvalue().encode()


def told(file: Path, read: Callable[[], Any]) -> Any:
    """Return what was read, None where it was refused with the file's name in one line."""
    try:
        return read()
    except UserError as fault:
        assert str(file.name) in str(fault)
        assert "\n" not in str(fault)
        return None


@pytest.mark.parametrize("name", TABLES)
def test_a_field_may_hold_anything(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.csv"
    taken = 0
    for column in TABLES[name]:
        for cell in CELLS:
            header = ",".join(TABLES[name]).encode()
            quoted = b'"' + cell.replace(b'"', b'""') + b'"'
            file.write_bytes(header + b"\n" + b",".join(quoted if other == column else b"" for other in TABLES[name]))
            table = told(file, lambda: read_table(file, name, TABLES[name]))
            taken += table is not None
            if table and cell and TABLES[name][column] == "string":
                assert dict(zip(table.columns, table.rows[0], strict=True))[column] == cell.decode()
    assert taken


@pytest.mark.parametrize("name", TABLES)
def test_a_spoilt_file_is_read_or_refused(name: str, tmp_path: Path) -> None:
    file, random, whole = tmp_path / f"{name}.csv", Random(name), sound(name)
    assert told(file, lambda: file.write_bytes(whole) and read_table(file, name, TABLES[name]))
    for _ in range(MUTANTS):
        file.write_bytes(mutated(random, whole))
        told(file, lambda: read_customers(file) if name == "customers" else read_table(file, name, TABLES[name]))


def test_a_number_of_ten_megabytes_is_refused(tmp_path: Path) -> None:
    for place, text in enumerate((b"9" * 10_000_000, b"9" * 100_000)):
        file = tmp_path / f"{place}.csv"
        file.write_bytes(b"holiday_date,holiday_name\n" + text + b",x\n")
        assert told(file, lambda file=file: read_table(file, "holidays", TABLES["holidays"])) is None


def test_a_catalogue_of_folders_and_devices_is_refused(tmp_path: Path) -> None:
    for name in catalogue_columns():
        (tmp_path / f"{name}.csv").mkdir()
    told(tmp_path, lambda: read_catalogue(tmp_path))


@pytest.mark.parametrize("name", ["rate_plans", "destination_prefixes", "cell_zones"])
def test_traffic_is_made_from_a_spoilt_catalogue_or_it_is_refused(name: str, tmp_path: Path) -> None:
    for seed in ("rate_plans", "destination_prefixes", "cell_zones"):
        (tmp_path / f"{seed}.csv").write_bytes((SEEDS / f"{seed}.csv").read_bytes())
    file, random = tmp_path / f"{name}.csv", Random(name)
    whole = file.read_bytes()
    for _ in range(MUTANTS):
        file.write_bytes(mutated(random, whole))
        catalogue = told(file, lambda: read_traffic_catalogue(tmp_path, "212"))
        if catalogue:
            told(file, lambda c=catalogue: list(customer_csv(build_population(c, 3, 1, "212"), "fr_FR")))


def test_lines_are_read_whatever_they_hold(tmp_path: Path) -> None:
    file, packed, random = tmp_path / "cdr.json", tmp_path / "cdr.json.gz", Random(1)
    whole = gzip.compress(b'{"record_type":"voice"}\n' * 50)
    for _ in range(MUTANTS):
        file.write_bytes(mutated(random, b'{"record_type":"voice"}\n' * 3))
        assert b"\n".join(line for block in LineReader([str(file)]).blocks() for line in block) in file.read_bytes()
        told(file, lambda: read_lines(file))
        packed.write_bytes(mutated(random, whole))
        told(packed, lambda: list(LineReader([str(packed)]).blocks()))
