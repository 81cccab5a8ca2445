"""Mediation killed at five points, its checkpoint deleted: the landing zone is what an undisturbed run gives."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mediation_process import own_mediation, start

from ingestion.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

pytestmark = [pytest.mark.stack, pytest.mark.spark, pytest.mark.slow]

MESSAGES = 1_800
PARTITIONS = 3
MAX_PER_BATCH = "300"
PATIENCE = 600
"""Seconds until a run must have come to the point where it is to be killed."""


class Run:
    """A real `telecom mediate --once`, in a home of its own."""

    def __init__(self, settings: Settings) -> None:
        self.log = Path(settings.landing_path).with_suffix(".log")
        self.began = self.log.stat().st_size if self.log.exists() else 0
        arguments = ("--once", "--max-per-batch", MAX_PER_BATCH)
        self.process = start(settings, "ingestion.stream_mediation", *arguments, log=self.log)

    def said(self) -> str:
        return self.log.read_bytes()[self.began :].decode(errors="replace")

    def finish(self) -> None:
        assert self.process.wait(PATIENCE) == 0, self.said()

    def kill_when(self, reached: Callable[["Run"], bool]) -> None:
        """Kill the process and its JVM as soon as a point is reached, which must be before it ends."""
        deadline = time.monotonic() + PATIENCE
        while not reached(self):
            assert self.process.poll() is None, f"ended before it could be killed: {self.said()}"
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.005)
        os.killpg(self.process.pid, signal.SIGKILL)
        assert self.process.wait() == -signal.SIGKILL


def line(number: int) -> bytes:
    """Return a message: good ones of three types, near and far copies, old ones, and broken ones."""
    if number % 50 == 7:
        return b'{"record_type":"voice"'
    if number % 50 == 9:
        return json.dumps({"record_type": "sms", "sender_id": "12"}).encode()
    if number % 10 == 3 and number > 700:
        return line(number - 700)
    if number % 10 == 4:
        return line(number - 2)
    subject = f"2126{number:08}"
    record = {"timestamp": f"20{20 + number % 6}-0{1 + number % 9}-01T00:00:00Z", "record_type": "data"}
    record |= {"user_id": subject, "data_volume_mb": number / 8}
    if number % 3 == 0:
        record["record_id"] = f"given-{number % 900}"
    return json.dumps(record).encode()


def fill(config: Settings) -> None:
    from kafka import KafkaProducer

    producer = KafkaProducer(**config.kafka_client())
    for number in range(MESSAGES):
        producer.send(config.cdr_topic, line(number), partition=number % PARTITIONS)
    producer.close()


def end_of(settings: Settings, topic: str) -> int:
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(**settings.kafka_client())
    ends = consumer.end_offsets([TopicPartition(topic, partition) for partition in range(PARTITIONS)])
    consumer.close()
    return sum(ends.values())


def landed(spark: "SparkSession", settings: Settings) -> list["Row"]:
    table = spark.read.format("delta").load(settings.landing_table)
    return table.drop("landed_at").orderBy("topic", "partition", "offset").collect()


def sources_in(spark: "SparkSession", settings: Settings, topic: str) -> set[tuple[int, int]]:
    """Return partition and offset of the landed rows of a topic, by a clean message's fields or an error's headers."""
    from ingestion.mediation.source import spark_options

    messages = (
        spark.read.format("kafka")
        .options(**spark_options(settings))
        .options(subscribe=topic, startingOffsets="earliest", includeHeaders="true")
        .load()
    )
    found = set()
    for row in messages.select("value", "headers").collect():
        place = {header.key: bytes(header.value).decode() for header in row.headers or ()} or json.loads(row.value)
        found.add((int(place["source_partition"]), int(place["source_offset"])))
    return found


def test_killed_at_any_point_the_landing_zone_and_the_topics_miss_nothing(
    stack: Settings, spark: "SparkSession", tmp_path: Path
) -> None:
    for name in ("calm", "killed"):
        (tmp_path / name).mkdir()
    calm = own_mediation(stack, "calm", tmp_path / "calm", PARTITIONS)
    fill(calm)
    killed = own_mediation(stack, "killed", tmp_path / "killed", PARTITIONS)
    killed = killed.model_copy(update={"cdr_topic": calm.cdr_topic})
    log, checkpoint = Path(killed.landing_table) / "_delta_log", Path(killed.checkpoint_path)

    def commits() -> int:
        return len(list(log.glob("*[0-9].json")))

    def fed() -> str:
        note = checkpoint / "fed"
        return note.read_text() if note.exists() else ""

    # the table is there, the first batch is not: before the landing write
    Run(killed).kill_when(lambda _run: commits() == 1)
    assert commits() == 1
    # the first batch is committed: between landing and topics
    Run(killed).kill_when(lambda _run: commits() == 2)
    assert fed() == ""
    # the topics get the second batch: in the middle of feeding, or just after
    before = end_of(killed, killed.clean_topic)
    Run(killed).kill_when(lambda _run: end_of(killed, killed.clean_topic) > before and commits() >= 3)
    # a batch is through with everything: between two batches
    Run(killed).kill_when(lambda run: "batch" in run.said())
    # the key files of another batch are being written, the checkpoint is lost with the kill
    keys = killed.home / "seen" / "seen.json"
    stamp = keys.stat().st_mtime_ns
    Run(killed).kill_when(lambda _run: keys.stat().st_mtime_ns != stamp)
    for left in sorted(checkpoint.rglob("*"), reverse=True):
        left.rmdir() if left.is_dir() else left.unlink()
    Run(killed).finish()
    Run(killed).finish()
    Run(calm).finish()

    rows = landed(spark, killed)
    assert len(rows) == MESSAGES
    statuses = {status: sum(row.status == status for row in rows) for status in ("normal", "error", "duplicate")}
    assert min(statuses.values()) > 50
    calm_rows = landed(spark, calm)
    assert [row.asDict() | {"batch_id": 0} for row in rows] == [row.asDict() | {"batch_id": 0} for row in calm_rows]
    for status, topic in (("normal", killed.clean_topic), ("error", killed.error_topic)):
        assert sources_in(spark, killed, topic) == {(row.partition, row.offset) for row in rows if row.status == status}
