"""The real parts that tests share: a local Spark session and the whole one-machine stack, each started once."""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ingestion.settings import Settings, settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A folder for the test run's servers, with a path short enough for everybody, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="telecom-test-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def test_settings(home: Path) -> Iterator[Settings]:
    """The settings of this test run, put into the environment so that child processes have them too."""
    changed = {
        "TELECOM_HOME": str(home),
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{_free_port()}",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(_free_port()),
        "SPARK_THRIFT_PORT": str(_free_port()),
        "SPARK_MASTER": "local[2]",
        "DBT_TARGET_PATH": str(home / "target"),
        "DBT_LOG_PATH": str(home / "logs"),
    }
    unset = (
        "PGUSER",
        "PGPASSWORD",
        "PGDATABASE",
        "LANDING_PATH",
        "CHECKPOINT_PATH",
        "TELECOM_SERVICES",
        "DBT_SCHEMA",
    )
    before = dict(os.environ)
    for name in unset:
        os.environ.pop(name, None)
    os.environ.update(changed)
    settings.cache_clear()
    yield settings()
    os.environ.clear()
    os.environ.update(before)
    settings.cache_clear()


@pytest.fixture(scope="session")
def spark(test_settings: Settings) -> Iterator["SparkSession"]:
    """A Spark session in this process with Delta and the Kafka connector, in UTC and ANSI mode."""
    from stack.spark import spark_session

    session = spark_session(test_settings, "tests")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def stack(test_settings: Settings) -> Iterator[Settings]:
    """Kafka, PostgreSQL and Spark Thrift, really running, with topics, schema and an empty landing zone."""
    from stack import machine

    machine.up(test_settings, print)
    yield test_settings
    machine.down(test_settings, print)
