"""Mediation as it is used: a live stream that grows, stops when asked, and gets its errors back by replay."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mediation_process import own_mediation, send, start

from ingestion.replay import open_errors
from ingestion.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.stack, pytest.mark.spark]

PATIENCE = 300
"""Seconds."""


class Zone:
    """A stream with a landing zone, and the processes that work on it."""

    def __init__(self, config: Settings) -> None:
        self.config, self.log = config, Path(config.home, "log")
        self.live: Any = None

    def start(self) -> None:
        self.live = start(self.config, "ingestion.stream_mediation", log=self.log)

    def run(self, module: str, *arguments: str) -> tuple[int, str]:
        log = Path(self.config.home, f"{module}.log")
        log.unlink(missing_ok=True)
        return start(self.config, module, *arguments, log=log).wait(PATIENCE), log.read_text()

    def wait_for(self, words: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while words not in self.log.read_text():
            assert self.live.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.2)

    def stop(self, number: signal.Signals) -> None:
        self.live.send_signal(number)
        assert self.live.wait(PATIENCE) == 0, self.log.read_text()
        assert "Traceback" not in self.log.read_text()

    def messages(self) -> int:
        """Return how many messages the topic got."""
        from kafka import KafkaConsumer, TopicPartition

        consumer = KafkaConsumer(**self.config.kafka_client())
        places = [TopicPartition(self.config.cdr_topic, partition) for partition in range(3)]
        ends = sum(consumer.end_offsets(places).values())
        consumer.close()
        return ends


@pytest.fixture
def zone(stack: Settings, tmp_path: Path) -> Iterator[Zone]:
    zone = Zone(own_mediation(stack, "live", tmp_path, partitions=2))
    yield zone
    if zone.live and zone.live.poll() is None:
        zone.live.kill()


def call(record_id: str, caller: str = "212612345678") -> bytes:
    record = {"record_type": "voice", "timestamp": "2025-06-01T10:00:00Z", "record_id": record_id}
    return json.dumps(record | {"caller_id": caller, "callee_id": "212661000000", "duration_sec": 60}).encode()


def test_a_live_stream_grows_stops_when_asked_and_gets_its_errors_back(zone: Zone, spark: "SparkSession") -> None:
    from kafka.admin import KafkaAdminClient, NewPartitions

    zone.start()
    send(zone.config, [call("a"), call("wrong", caller="12"), call("b")])
    zone.wait_for("batch 0: received 3, normal 2, error 1, duplicate 0")

    code, said = zone.run("ingestion.stream_mediation", "--once")
    assert code != 0
    assert said.count("\n") == 1, said

    admin = KafkaAdminClient(**zone.config.kafka_client())
    admin.create_partitions({zone.config.cdr_topic: NewPartitions(total_count=3)})
    admin.close()
    send(zone.config, [call("c"), call("a")], partition=2)
    zone.wait_for("received 2, normal 1, error 0, duplicate 1")
    zone.stop(signal.SIGTERM)

    code, said = zone.run("ingestion.replay", "--reason", "INVALID_CALLER_ID", "--dry-run")
    assert (code, zone.messages()) == (0, 5), said
    assert zone.config.cdr_topic in said
    code, said = zone.run("ingestion.replay", "--reason", "INVALID_CALLER_ID", "--fix", "caller_id=212612345678")
    assert (code, zone.messages()) == (0, 6), said

    zone.start()
    zone.wait_for("received 1, normal 1, error 0, duplicate 0")
    zone.stop(signal.SIGINT)
    landed = spark.read.format("delta").load(zone.config.landing_table)
    rows = {(row.partition, row.offset): row for row in landed.collect()}
    assert len(rows) == landed.count() == 6
    (resolved,) = (row for row in rows.values() if row.replay_offset is not None)
    assert (resolved.status, resolved.msisdn, resolved.record_id) == ("normal", "212612345678", "wrong")
    assert rows[resolved.replay_partition, resolved.replay_offset].error_reasons == ["INVALID_CALLER_ID"]
    assert open_errors(landed, "INVALID_CALLER_ID").count() == 0
