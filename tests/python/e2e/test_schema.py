"""PostgreSQL's schema: applied once and again, refused when tampered with, and what each role may see and do."""

import hashlib
import hmac
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from databases import CUSTOMER, USAGE_COLUMNS, connect, own_database, usage_rows

from ingestion.console import UserError
from ingestion.settings import Settings
from serving import schema

pytestmark = pytest.mark.stack

RATE = """
insert into product_rates values
('R1', 'PLAN', 'VOICE', 'on_net', '*', 0, 0.5, 60, 60, 60, 0, null, 'half_up', 4, '2024-01-01', null)
"""
BILL = """
insert into bills values ('C1-2025-06', 'C1', '2025-06', 'draft', 'MAD', 10, 1, 1.8, 10.8, '{}', null, 'd')
"""


@pytest.fixture(scope="module")
def database(stack: Settings) -> Iterator[Settings]:
    with own_database(stack, "schema_test") as settings, connect(settings) as connection:
        connection.execute(CUSTOMER)
        connection.execute("insert into products values ('VOICE', 'Calls', 'voice', 'second')")
        connection.execute("insert into rate_plans values ('PLAN', 'Plan', 'MAD', 0, 0, '2024-01-01', null)")
        connection.execute(f"insert into usage_records ({USAGE_COLUMNS}) {usage_rows(1, 3)}")
        yield settings


def test_applied_again_changes_nothing_even_at_the_same_time(database: Settings) -> None:
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(schema.apply_schema, [database] * 3)) == [[], [], []]


def test_a_file_that_changed_after_it_was_applied_is_named(
    database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "schema"
    shutil.copytree(schema.SCHEMA_FOLDER, folder)
    with (folder / "002_catalogue.sql").open("a") as file:
        file.write("-- tampered\n")
    monkeypatch.setattr(schema, "SCHEMA_FOLDER", folder)
    with pytest.raises(UserError, match=r"serving/schema/002_catalogue\.sql changed"):
        schema.apply_schema(database)


def test_a_new_file_is_applied_once_and_a_broken_one_not_at_all(
    database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "schema"
    shutil.copytree(schema.SCHEMA_FOLDER, folder)
    (folder / "900_new.sql").write_text("create table first_thing (id int); create table second_thing (id nonsense);")
    monkeypatch.setattr(schema, "SCHEMA_FOLDER", folder)
    with pytest.raises(UserError, match="nonsense"):
        schema.apply_schema(database)
    (folder / "900_new.sql").write_text("create table first_thing (id int);")
    assert schema.apply_schema(database) == ["900_new"]
    assert schema.apply_schema(database) == []
    with connect(database) as connection:
        connection.execute("drop table first_thing")
        connection.execute("delete from schema_versions where version = '900_new'")


def test_no_password_reaches_the_servers_log(stack: Settings, database: Settings) -> None:
    administrator = database.postgres_connection() | {"user": "telecom_admin", "password": stack.secret("admin")}
    with psycopg.connect(**administrator, autocommit=True) as connection:
        connection.execute("alter database schema_test set log_statement = 'all'")
        schema.apply_schema(database)
        connection.execute("alter database schema_test reset log_statement")
    log = (stack.logs / "postgres.log").read_text(errors="replace")
    assert "alter role" in log
    for name in ("owner", "loader", "reader", "pseudonym"):
        assert stack.secret(name) not in log


@pytest.mark.parametrize(
    "statement",
    [
        "update customers set customer_name = 'x'",
        "delete from usage_records",
        f"insert into usage_records ({USAGE_COLUMNS}) {usage_rows(9, 9)}",
        "update usage_records set cost = 0",
        "insert into rate_plans values ('Q', 'Q', 'MAD', 0, 0, '2024-01-01', null)",
        "truncate bills",
        "delete from export.usage_records",
        "select * from private.pseudonym_key",
        "select * from staged.usage_records",
        "insert into publications (run_id, usage_records, bills, bill_lines) values ('x', 0, 0, 0)",
        "create table mine (id int)",
    ],
)
def test_the_loader_only_inserts_through_the_export_views(database: Settings, statement: str) -> None:
    with connect(database, "loader") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


def test_the_loader_reads_what_rating_needs(database: Settings) -> None:
    with connect(database, "loader") as connection:
        for table in ("customers", "products", "rate_plans", "product_rates", "billing_months", "bills"):
            connection.execute(f"select count(*) from {table}")


def test_the_reader_sees_no_subscriber_number_in_clear(database: Settings) -> None:
    numbers = ("212612000001", "212612000002", "212633000009")
    with connect(database) as owner:
        views = [
            row[0]
            for row in owner.execute("select table_name from information_schema.views where table_schema = 'reporting'")
        ]
        assert len(views) >= 7
        owner.execute("update usage_records set peer_msisdn = '150' where record_id = 'r3'")
    with connect(database, "reader") as reader:
        for view in views:
            rows = str(reader.execute(f"select * from reporting.{view}").fetchall())
            assert not any(number in rows for number in numbers)
            assert "Amal" not in rows
        key = hashlib.sha256(database.secret("pseudonym").encode()).digest()
        expected = [hmac.new(key, number.encode(), "sha256").hexdigest() for number in numbers]
        seen = reader.execute("select subscriber, peer from reporting.usage_records order by record_id").fetchall()
        assert seen == [(expected[0], expected[2]), (expected[0], expected[2]), (expected[0], "150")]
        for table in ("customers", "usage_records", "bills", "private.pseudonym_key", "export.usage_records"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(f"select * from {table}")


@pytest.mark.parametrize(
    "statement",
    [
        "insert into customers (customer_id, msisdn, subscription_type, segment, rate_plan_id, customer_status, "
        "activation_date) values ('C9', '212612000001', 'prepaid', 'vip', 'P', 'active', '2024-01-01')",
        "update customers set segment = 'gold'",
        "update customers set termination_date = '2020-01-01'",
        "insert into billing_months values ('2025-06-02', now())",
        RATE.replace("'PLAN'", "'NOWHERE'"),
        RATE.replace("'VOICE'", "'NOTHING'"),
        RATE.replace("0.5, 60", "-0.5, 60"),
        RATE.replace("60, 60, 60", "60, 60, 0"),
        RATE.replace("'2024-01-01', null", "'2024-01-01', '2024-01-01'"),
        RATE.replace("half_up", "banker"),
        "insert into promotions values ('P', 'P', 'NOWHERE', '*', '*', '*', '*', 5, 1, '2024-01-01', null)",
        "insert into time_bands values ('b', 'weekday', '20:00', '08:00')",
        "insert into time_bands values ('b', 'weekday', '8:00', '20:00')",
        "delete from products",
        "delete from rate_plans",
        "update usage_records set customer_id = 'NOBODY'",
        "update usage_records set cost = cost + 0.000001",
        "update usage_records set rating_status = 'rejected'",
        "update usage_records set rating_status = 'free'",
        "delete from customers where customer_id = 'C1'",
        BILL.replace("10.8, '{}'", "10.9, '{}'"),
        BILL.replace("'C1', '2025-06'", "'NOBODY', '2025-06'"),
        BILL.replace("'2025-06', 'draft'", "'June', 'draft'"),
        "insert into bill_lines values ('no bill', 1, 'fee', 'Fee', null, null, 1, 1, 0, 0, 0, 1, '2025-06')",
    ],
)
def test_postgres_itself_refuses_what_breaks_the_contract(database: Settings, statement: str) -> None:
    with connect(database, autocommit=False) as connection:
        connection.execute(RATE)
        with pytest.raises(psycopg.errors.IntegrityError):
            connection.execute(statement)
            connection.execute("set constraints all immediate")
        connection.rollback()


def test_a_tariff_is_replaced_whole_within_a_transaction(database: Settings) -> None:
    with connect(database) as connection:
        connection.execute(RATE)
        with connection.transaction():
            connection.execute("delete from rate_plans")
            connection.execute("delete from products")
            connection.execute(
                "insert into rate_plans values ('PLAN', 'Plan', 'MAD', 9, 0, '2024-01-01', '2025-01-01')"
            )
            connection.execute("insert into rate_plans values ('PLAN', 'Plan', 'MAD', 10, 0, '2025-01-01', null)")
            connection.execute("insert into products values ('VOICE', 'Calls', 'voice', 'second')")
        assert connection.execute("select count(*) from rate_plans").fetchone() == (2,)
        connection.execute("delete from product_rates")


def test_a_customers_version_is_dated_even_by_an_update_that_forgot_to(database: Settings) -> None:
    read = "select updated_at from customers where customer_id = 'C2'"
    with connect(database) as connection:
        before = connection.execute(read).fetchone()
        connection.execute("update customers set segment = segment where customer_id = 'C2'")
        assert connection.execute(read).fetchone() == before
        connection.execute("update customers set segment = 'vip' where customer_id = 'C2'")
        after = connection.execute(read).fetchone()
        assert after is not None and before is not None and after > before
        connection.execute(
            "update customers set segment = 'student', updated_at = '2030-01-01' where customer_id = 'C2'"
        )
        assert str(connection.execute(read).fetchone()[0]).startswith("2030-01-01")


def test_a_final_bill_cannot_change(database: Settings) -> None:
    with connect(database) as connection:
        connection.execute(BILL)
        connection.execute("update bills set state = 'final', issued_at = now()")
        for statement in ("update bills set total = total", "delete from bills"):
            with pytest.raises(psycopg.errors.RaiseException, match="C1-2025-06 of 2025-06 is final"):
                connection.execute(statement)
