"""An environment in which commands find a machine of a test's own: a home and ports that nobody else uses."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ingestion.settings import settings

ELSEWHERE = (
    *("PGUSER", "PGPASSWORD", "PGDATABASE", "TELECOM_SERVICES", "DBT_SCHEMA"),
    *("LANDING_PATH", "CHECKPOINT_PATH", "WAREHOUSE_PATH"),
)
"""What would point at somebody else's machine."""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def environment_restored() -> Iterator[None]:
    """Put the environment back that is changed meanwhile, and forget the settings that were read from it."""
    before = dict(os.environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        settings.cache_clear()


def point_at(home: Path) -> None:
    """Point this process and its children at a machine in `home`."""
    for name in ELSEWHERE:
        os.environ.pop(name, None)
    os.environ |= {
        "TELECOM_HOME": str(home),
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(free_port()),
        "SPARK_THRIFT_PORT": str(free_port()),
        "SPARK_MASTER": "local[2]",
    }
    settings.cache_clear()
