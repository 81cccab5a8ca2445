"""The benchmark's own machine: a home and ports of its own, the servers that a stage needs, a description."""

import datetime
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from ingestion.settings import PROJECT_ROOT, Service, Settings, settings
from stack import processes
from stack.jars import locked
from stack.java import java
from stack.machine import SERVERS
from stack.postgres import binary
from stack.secrets import ensure_secrets

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "python"))
from own_machine import point_at

PACKAGES = ("pyspark", "dbt-core", "numpy", "kafka-python", "confluent-kafka")
ARTIFACTS = ("kafka_2.13", "delta-spark_4.2_2.13")


@contextmanager
def own_machine() -> Iterator[Settings]:
    """Point this process and its children at a new home, and stop what was started there in the end."""
    with tempfile.TemporaryDirectory(prefix="telecom-bench-", ignore_cleanup_errors=True) as home:
        point_at(Path(home))
        ensure_secrets(settings())
        try:
            yield settings()
        finally:
            serve(settings(), [])


def serve(config: Settings, needed: Iterable[Service]) -> None:
    """Have just these servers run."""
    for name, server in SERVERS.items():
        runs = processes.running(config, name) is not None
        if name in needed and not runs:
            server.start(config)
        elif name not in needed and runs:
            server.stop(config)


def commit() -> str:
    """Return the day and the commit at work, with a + where files differ from it."""

    def git(*arguments: str) -> str:
        result = subprocess.run(["git", *arguments], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
        return result.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no")
    return f"{datetime.date.today()} {git('rev-parse', '--short', 'HEAD')}{'+' if changed else ''}"


def header(config: Settings) -> list[str]:
    """Return lines that say on what the figures were measured."""
    memory = psutil.virtual_memory().total / 2**30
    printed = subprocess.run([java(config), "-version"], capture_output=True, text=True, check=True).stderr
    runtime = re.search(r'version "([^"]+)"', printed)
    postgres = subprocess.run([binary("postgres"), "--version"], capture_output=True, text=True, check=True).stdout
    versions = [f"Python {platform.python_version()}", f"Java {runtime[1] if runtime else '?'}"]
    versions += [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    versions += [
        f"{jar.artifact} {jar.version}" for jar in locked() if jar.artifact in ARTIFACTS and jar.user != "kafka"
    ]
    versions += [f"broker {jar.version}" for jar in locked() if jar.artifact == ARTIFACTS[0] and jar.user == "kafka"]
    versions.append(f"PostgreSQL {postgres.split()[-1]}")
    return [
        f"{_processor()}, {os.cpu_count()} processors, {memory:.0f} GiB, {platform.platform(terse=True)}; Spark on "
        f"`{config.spark_master}`.",
        f"{', '.join(versions)}.",
    ]


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return found[1] if found else platform.processor()
