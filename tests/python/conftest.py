"""The real parts that tests share: a local Spark session and the whole one-machine stack, each started once."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from own_machine import environment_restored, point_at

from ingestion.settings import Settings, settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A folder for the test run's servers, with a path short enough for everybody, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="telecom-test-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def test_settings(home: Path) -> Iterator[Settings]:
    """The settings of this test run, put into the environment so that child processes have them too."""
    with environment_restored():
        point_at(home)
        os.environ |= {"DBT_TARGET_PATH": str(home / "target"), "DBT_LOG_PATH": str(home / "logs")}
        yield settings()


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
