"""The one-machine stack, on the servers of the test run."""

import json
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from ingestion.console import UserError
from ingestion.settings import Settings
from stack import machine, processes, thrift

pytestmark = pytest.mark.stack


def test_up_twice_starts_nothing(stack: Settings):
    before = {name: processes.running(stack, name) for name in machine.SERVERS}
    said: list[str] = []
    machine.up(stack, said.append)
    assert {name: processes.running(stack, name) for name in machine.SERVERS} == before
    assert sum("was running" in line for line in said) == 3


def test_status_shows_all_three(stack: Settings):
    states = machine.status(stack)
    assert [state.title for state in states] == ["Kafka", "PostgreSQL", "Spark Thrift"]
    assert all(state.answers and state.pid and Path(state.log).exists() for state in states)


def test_the_server_is_in_utc_and_strict(stack: Settings):
    assert thrift.execute(stack, "select current_timezone()") == [("UTC",)]
    settings = dict(thrift.execute(stack, "set spark.sql.ansi.enabled"))
    assert settings == {"spark.sql.ansi.enabled": "true"}
    extensions = dict(thrift.execute(stack, "set spark.sql.extensions"))
    assert "DeltaSparkSessionExtension" in extensions["spark.sql.extensions"]


def test_spark_reads_postgres_through_its_catalog(stack: Settings):
    with psycopg.connect(**stack.postgres_connection()) as connection:  # type: ignore[arg-type]
        count = connection.execute("select count(*) from customers").fetchone()
    assert thrift.execute(stack, "select count(*) from pg.public.customers") == [count]


def test_a_seed_whose_drop_was_cut_short_can_be_loaded_again(stack: Settings):
    own = stack.model_copy(update={"dbt_schema": "cut_short"})
    table = "create table cut_short.{} (id int) using parquet"
    thrift.execute(
        own, "create database cut_short", table.format("products"), "insert into cut_short.products values (1)"
    )
    left = Path(own.warehouse_root, "cut_short.db", "holidays")
    left.mkdir()
    (left / "part-0.parquet").write_bytes(b"left behind")
    with pytest.raises(UserError, match="LOCATION_ALREADY_EXISTS"):
        thrift.execute(own, table.format("holidays"))
    thrift.clear_dropped_seeds(own)
    thrift.execute(own, table.format("holidays"))
    assert thrift.execute(own, "select * from cut_short.products") == [(1,)]


def test_no_password_in_process_lists_or_logs(stack: Settings):
    secrets = list(json.loads(stack.secrets_file.read_text()).values())
    listed = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    logs = "".join(file.read_text(errors="replace") for file in stack.logs.rglob("*") if file.is_file())
    assert [secret for secret in secrets if secret in listed or secret in logs] == []


def test_everything_listens_on_loopback(stack: Settings):
    for name in machine.SERVERS:
        process = processes.running(stack, name)
        assert process is not None
        family = [process, *process.children(recursive=True)]
        listening = [c.laddr.ip for p in family for c in p.net_connections() if c.status == "LISTEN"]
        assert listening
        assert {ip.removeprefix("::ffff:") for ip in listening} <= {"127.0.0.1", "::1"}, name


def test_env_prints_what_a_shell_can_read(stack: Settings):
    printed = subprocess.run(
        ["sh", "-c", 'eval "$("$0" env)" && echo "$PGPORT $KAFKA_BOOTSTRAP_SERVERS $LANDING_PATH"']
        + [str(Path(sys.executable).with_name("telecom"))],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert printed == [str(stack.pgport), stack.kafka_bootstrap_servers, stack.landing_root]
