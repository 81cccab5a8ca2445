"""Faults that are no kills: each is told in one line that says what to do, and nothing is lost by it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mediation_process import mediate, own_mediation, send

from ingestion.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TELECOM = Path(sys.executable).with_name("telecom")
pytestmark = [pytest.mark.stack, pytest.mark.spark]


def calls(first: int, count: int) -> list[bytes]:
    """Return voice records whose numbers do not compress, so that they take room."""
    return [
        json.dumps(
            {
                "record_type": "voice",
                "timestamp": f"2025-06-01T{number % 24:02}:00:00Z",
                "caller_id": f"2126{number * 7_919 % 100_000_000:08}",
                "callee_id": f"2126{number * 104_729 % 100_000_000:08}",
                "duration_sec": number % 3_600,
            }
        ).encode()
        for number in range(first, first + count)
    ]


def landed_offsets(spark: "SparkSession", config: Settings) -> list[int]:
    rows = spark.read.format("delta").load(config.landing_table).orderBy("offset").select("offset").collect()
    return [row.offset for row in rows]


def one_line(said: str) -> str:
    """Return the one line that a failing command says."""
    lines = [line for line in said.splitlines() if line.startswith("telecom:")]
    assert "Traceback" not in said, said[-3000:]
    assert len(lines) == 1, said[-3000:]
    return lines[0]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("only who may mount can make a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_disk_that_is_full_while_landing(stack: Settings, spark: "SparkSession", small_disk: Path):
    config = own_mediation(stack, "full_disk", small_disk.parent / "home")
    config = config.model_copy(update={"landing_path": str(small_disk)})
    send(config, calls(0, 40_000))
    code, _, said = mediate(config)
    assert code == 1
    assert "No space left on device" in one_line(said)
    assert landed_offsets(spark, config) == []
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    assert mediate(config)[0] == 0
    assert landed_offsets(spark, config) == list(range(40_000))


def test_messages_that_left_kafka_unread(stack: Settings, spark: "SparkSession", tmp_path: Path):
    from kafka import TopicPartition
    from kafka.admin import KafkaAdminClient

    config = own_mediation(stack, "retention", tmp_path)
    send(config, calls(0, 10))
    assert mediate(config)[0] == 0
    send(config, calls(10, 10))
    admin = KafkaAdminClient(**config.kafka_client())
    admin.delete_records({TopicPartition(config.cdr_topic, 0): 14})
    admin.close()
    code, _, said = mediate(config)
    assert code == 1
    assert "4 messages of retention_cdr partition 0" in one_line(said)
    assert "offsets 10 to 13" in one_line(said)
    assert landed_offsets(spark, config) == list(range(10))
    code, _, said = mediate(config, "--skip-lost")
    assert (code, "offsets 10 to 13): skipped" in said) == (0, True)
    assert landed_offsets(spark, config) == [*range(10), *range(14, 20)]


def test_a_second_run_beside_a_run_is_refused(stack: Settings):
    from ingestion.locks import alone

    with alone(stack, "run"):
        second = subprocess.run([TELECOM, "run"], capture_output=True, text=True, check=False, env=os.environ)
    assert second.returncode == 1
    assert "another `telecom run`, `telecom close` or `telecom purge` is at work" in one_line(second.stderr)
