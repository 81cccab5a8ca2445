"""`dbt --target postgres`: the seeds become the served catalogue at once or not at all, and its contract is tested."""

import csv
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from databases import connect, own_database
from hostile import TEXTS

from ingestion.settings import PROJECT_ROOT, Settings
from stack import thrift

pytestmark = pytest.mark.stack

Dbt = Callable[..., "subprocess.CompletedProcess[str]"]
TABLES = sorted(file.stem for file in (PROJECT_ROOT / "seeds").glob("*.csv"))
PARTS = ("dbt_project.yml", "dbt_project", "macros", "models", "profiles", "seeds", "snapshots", "tests")


@pytest.fixture(scope="module")
def database(stack: Settings) -> Iterator[Settings]:
    with own_database(stack, "catalogue_test") as settings:
        yield settings


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the dbt project whose seeds a test may spoil."""
    folder = tmp_path_factory.mktemp("project")
    for part in PARTS:
        source = PROJECT_ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("python", "__pycache__"))
        else:
            shutil.copy(source, folder / part)
    return folder


@pytest.fixture(scope="module")
def dbt(database: Settings, project: Path) -> Dbt:
    """Run dbt in that copy, on PostgreSQL unless told."""
    own = {"DBT_TARGET_PATH": str(project / "target"), "DBT_LOG_PATH": str(project / "logs")}
    environment = {**os.environ, **database.exports(), **own}

    def run(*arguments: str, target: str = "postgres", schema: str = "telecom") -> "subprocess.CompletedProcess[str]":
        command = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", *arguments]
        folders = ["--target", target, "--project-dir", str(project), "--profiles-dir", str(project / "profiles")]
        return subprocess.run(
            command + folders,
            cwd=project,
            env=environment | {"DBT_SCHEMA": schema},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return run


def counts(database: Settings) -> dict[str, int]:
    with connect(database, "loader") as connection:
        return {
            table: int(connection.execute(f"select count(*) from {table}").fetchone()[0])  # type: ignore[index, arg-type]
            for table in TABLES
        }


def in_files() -> dict[str, int]:
    return {
        table: len((PROJECT_ROOT / "seeds" / f"{table}.csv").read_text(encoding="utf-8").splitlines()) - 1
        for table in TABLES
    }


def test_the_seeds_become_the_served_catalogue_and_again(dbt: Dbt, database: Settings) -> None:
    assert len(TABLES) == 12
    for options in ([], [], ["--full-refresh"]):
        result = dbt("seed", *options)
        assert result.returncode == 0, result.stdout
        assert counts(database) == in_files()


def test_the_contract_of_what_is_served_holds(dbt: Dbt) -> None:
    result = dbt("test")
    assert result.returncode == 0, result.stdout
    passed = set(re.findall(r"PASS (\w+)", result.stdout))
    assert {file.stem for file in (PROJECT_ROOT / "tests/data/catalogue").glob("*.sql")} <= passed
    assert {file.stem for file in (PROJECT_ROOT / "tests/data/served").glob("*.sql")} <= passed


def test_a_run_there_does_nothing(dbt: Dbt, database: Settings) -> None:
    tables = "select table_schema, table_name from information_schema.tables order by 1, 2"
    with connect(database) as connection:
        before = connection.execute(tables).fetchall()
        assert dbt("run").returncode == 0
        assert connection.execute(tables).fetchall() == before


@pytest.mark.parametrize(
    ("seed", "sound", "spoilt", "words"),
    [
        ("rate_plans", "POSTPAID_MAX,Max,MAD,199", "POSTPAID_MAX,Max,MAD,-199", r"monthly_fee.*\n.*POSTPAID_MAX"),
        ("product_rates", "PRO_DATA_HOME,BUSINESS_PRO", "PRO_DATA_HOME,BUSINES_PRO", "BUSINES_PRO"),
        ("holidays", "2025-01-01,", "2025-01-32,", "2025-01-32"),
    ],
    ids=["a check", "a key", "a type"],
)
def test_a_catalogue_with_a_fault_leaves_the_one_before_in_force(
    dbt: Dbt, database: Settings, project: Path, *, seed: str, sound: str, spoilt: str, words: str
) -> None:
    with connect(database) as connection:
        connection.execute("delete from cell_zones")
    before = counts(database)
    file = project / "seeds" / f"{seed}.csv"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(sound, spoilt), encoding="utf-8")
    try:
        result = dbt("seed")
    finally:
        file.write_text(text, encoding="utf-8")
    assert result.returncode == 1
    assert re.search(words, result.stdout), result.stdout
    assert counts(database) == before


def test_what_a_test_finds_is_shown(dbt: Dbt, database: Settings) -> None:
    assert dbt("seed").returncode == 0
    with connect(database) as connection:
        connection.execute("delete from time_bands where time_band = 'holiday'")
        connection.execute("alter table billing_months alter column closed_at type timestamptz(0)")
        result = dbt("test", "--select", "catalogue_references_exist", "served_columns_are_as_declared")
    assert result.returncode == 1
    assert "seeds/promotions.csv, PROMO_EID: unknown time_band holiday" in result.stdout
    assert (
        "served_columns_are_as_declared: table_name billing_months, column_name closed_at, declared_type timestamp, "
        "served_type timestamp(0) with time zone" in result.stdout
    )


def test_names_that_would_be_code_elsewhere_are_text_on_both_sides(
    dbt: Dbt, database: Settings, project: Path, stack: Settings
) -> None:
    file = project / "seeds" / "rate_plans.csv"
    text = file.read_text(encoding="utf-8")
    with file.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    # in as many names as there are plans
    names = [" ".join(TEXTS[start :: len(rows)]) for start in range(len(rows))]
    with file.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, rows[0])
        writer.writeheader()
        writer.writerows(row | {"rate_plan_name": name} for row, name in zip(rows, names, strict=True))
    try:
        for target in ("postgres", "spark"):
            result = dbt(
                "seed", *(("--select", "rate_plans") if target == "spark" else ()), target=target, schema="hostile"
            )
            assert result.returncode == 0, result.stdout
        with connect(database) as connection:
            assert sorted(connection.execute("select rate_plan_name from rate_plans").fetchall()) == sorted(
                (name,) for name in names
            )
        assert sorted(thrift.execute(stack, "select rate_plan_name from hostile.rate_plans")) == sorted(
            (name,) for name in names
        )
    finally:
        file.write_text(text, encoding="utf-8")
        thrift.execute(stack, "drop database if exists hostile cascade")
