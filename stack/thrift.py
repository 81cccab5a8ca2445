"""The Spark Thrift server that dbt talks to, with Delta tables and PostgreSQL as the catalog `pg`."""

import ipaddress
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pyspark
from pyhive import hive
from pyhive.exc import Error as HiveError
from thrift.Thrift import TException

from ingestion.console import UserError
from ingestion.landing import create_table_sql
from ingestion.locks import at_work
from ingestion.settings import PROJECT_ROOT, Settings
from stack import processes
from stack.java import java
from stack.spark import spark_properties

NAME = "thrift"
SERVER_CLASS = "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"


def execute(settings: Settings, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements on the Thrift server and return the rows of the last one.

    Raises:
        UserError: the server cannot be reached or refuses a statement.
    """
    try:
        connection = hive.connect(settings.spark_thrift_host, settings.spark_thrift_port, username="telecom")
        try:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()
    except (HiveError, TException, OSError) as error:
        address = f"{settings.spark_thrift_host}:{settings.spark_thrift_port}"
        raise UserError(f"Spark Thrift at {address}: {str(error)[:300]}") from None


def answers(settings: Settings) -> bool:
    """Return whether the server runs a statement."""
    if not processes.port_open(settings.spark_thrift_host, settings.spark_thrift_port):
        return False
    try:
        return execute(settings, "select 1") == [(1,)]
    except UserError:
        return False


def start(settings: Settings) -> None:
    """Start the server and wait until it answers.

    Raises:
        UserError: the port is taken, the address is public, or the server died or stayed silent.
    """
    host, port = settings.spark_thrift_host, settings.spark_thrift_port
    _require_private(host)
    processes.require_free_port(host, port, "Spark Thrift", "SPARK_THRIFT_PORT")
    home = settings.home / "thrift"
    home.mkdir(parents=True, exist_ok=True)
    properties = home / "spark-defaults.conf"
    _write_private(properties, "".join(f"{key} {value}\n" for key, value in _server_properties(settings).items()))
    spark_home = Path(pyspark.__path__[0])
    command: list[str | Path] = [spark_home / "bin" / "spark-submit", "--properties-file", properties]
    # what a cluster's administrator has put into SPARK_CONF_DIR counts here as it does for mediation
    command += ["--load-spark-defaults"]
    command += ["--class", SERVER_CLASS, "spark-internal"]
    command += [
        "--hiveconf",
        f"hive.server2.thrift.port={port}",
        "--hiveconf",
        f"hive.server2.thrift.bind.host={host}",
        # nobody is told apart here, and acting for somebody makes each look into the metastore open it anew
        "--hiveconf",
        "hive.server2.enable.doAs=false",
    ]
    java_home = Path(java(settings)).resolve().parents[1]
    environment = {"SPARK_HOME": str(spark_home), "JAVA_HOME": str(java_home), "SPARK_LOCAL_IP": host}
    process = processes.start(settings, NAME, command, environment)
    processes.wait_until(settings, NAME, lambda: answers(settings), process)
    if not at_work(settings, "run"):  # its dbt comes back to the new server and makes the tables that it dropped
        clear_dropped_seeds(settings)


def clear_dropped_seeds(settings: Settings) -> None:
    """Delete folders of seeds whose table is gone: one that was killed while it dropped a table leaves them behind.

    No table can be made in a folder that is not empty. Of dbt's tables seeds alone are ever dropped, and what they hold
    is in their CSV files. No dbt may be at work: it would lose a table that it makes just now.
    """
    folder = Path(settings.warehouse_root, f"{settings.dbt_schema}.db")
    left = [folder / file.stem for file in (PROJECT_ROOT / "seeds").glob("*.csv") if (folder / file.stem).exists()]
    if not left:
        return
    schema = settings.dbt_schema
    tables = execute(settings, f"create database if not exists {schema}", f"show tables in {schema}")
    known = {name for _, name, _ in tables}
    for place in left:
        if place.name not in known:
            shutil.rmtree(place)


def ensure_landing(settings: Settings) -> None:
    """Register the landing zone as `landing.cdr`, creating an empty table where nothing landed yet."""
    path = settings.landing_table
    execute(
        settings,
        create_table_sql(path),
        "create database if not exists landing",
        f"create table if not exists landing.cdr using delta location '{path}'",
    )


def _require_private(host: str) -> None:
    """Refuse an address that strangers could reach, since the Thrift server asks nobody for a password."""
    try:
        addresses = {ipaddress.ip_address(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError as error:
        raise UserError(f"SPARK_THRIFT_HOST={host} is no address of this machine: {error}") from None
    if any(address.is_unspecified or not address.is_private for address in addresses):
        raise UserError(
            f"SPARK_THRIFT_HOST={host} can be reached from outside and the Thrift server asks nobody for a password: "
            "use 127.0.0.1 or an address of a private network"
        )


def _server_properties(settings: Settings) -> dict[str, str]:
    metastore = settings.home / "metastore"
    jdbc = f"jdbc:postgresql://{settings.pghost}:{settings.pgport}/{settings.pgdatabase}"
    options = f"?reWriteBatchedInserts=true&stringtype=unspecified&sslmode={settings.pgsslmode}"
    if settings.pgsslrootcert:
        options += f"&sslrootcert={settings.pgsslrootcert}"
    properties = spark_properties(settings) | {
        "spark.app.name": "telecom-thrift",
        "spark.driver.memory": "2g",
        # a run of dbt generates some hundred classes; of the usual 100 none is left when the next run asks for it
        "spark.sql.codegen.cache.maxEntries": "1000",
        # executors on other machines have to find the driver, which is this server
        "spark.driver.bindAddress": settings.spark_thrift_host,
        "spark.driver.host": settings.spark_thrift_host,
        "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={metastore};create=true",
        "spark.sql.catalog.pg": "org.apache.spark.sql.execution.datasources.v2.jdbc.JDBCTableCatalog",
        "spark.sql.catalog.pg.url": jdbc + options,
        "spark.sql.catalog.pg.user": settings.postgres_user("loader"),
        "spark.sql.catalog.pg.password": settings.postgres_password("loader"),
        "spark.sql.catalog.pg.driver": "org.postgresql.Driver",
        "spark.sql.catalog.pg.batchsize": "10000",
    }
    derby_log = f"-Dderby.stream.error.file={settings.logs / 'derby.log'}"
    properties["spark.driver.extraJavaOptions"] += f" {derby_log}"
    return properties


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
