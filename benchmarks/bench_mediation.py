"""What mediation costs beside the least that it could: Kafka, from_json, noop; and whether a batch's cost grows.

    python benchmarks/bench_mediation.py [--records 1000000] [--rounds 3]

needs the stack's Kafka (`telecom up`). The floor and mediation take the same topic in turns, in one Spark session, and
every round of mediation lands in a new table. Processor seconds of the JVM stand beside wall seconds, since other work
on the machine takes its share of the latter. Then the topic goes in 50 batches, and batch 5 is compared with batch 50.
"""

import argparse
import os
import platform
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from threading import Event
from typing import Any

import psutil
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from ingestion.mediation.land import Landing
from ingestion.mediation.note import Note
from ingestion.mediation.source import Topic, spark_options
from ingestion.records import field_names
from ingestion.senders import Client, open_sender
from ingestion.settings import Settings, settings
from ingestion.stream_mediation import SESSION, Mediation
from ingestion.traffic.output import send_traffic
from ingestion.traffic.spec import traffic_spec
from ingestion.traffic.stream import Traffic
from stack.spark import spark_session

REPORT = Path(__file__).with_name("mediation.md")
PARTITIONS = 4
BATCHES = 50
LIMIT = 3.5
"""Mediation takes at most this many times the floor."""


@dataclass(frozen=True)
class Cost:
    """Seconds of the clock, and of the processors in the JVM."""

    wall: float
    processor: float


@dataclass
class Timed(Mediation):
    """Mediation that notes the seconds of each batch."""

    seconds: list[float] = field(default_factory=list)

    def process(self, batch: Any, spark_batch_id: int) -> None:
        began = time.monotonic()
        super().process(batch, spark_batch_id)
        self.seconds.append(time.monotonic() - began)


def measure(work: Callable[[], object]) -> Cost:
    jvm = next(child for child in psutil.Process().children(recursive=True) if child.name() == "java")
    before, began = jvm.cpu_times(), time.monotonic()
    work()
    wall, after = time.monotonic() - began, jvm.cpu_times()
    return Cost(wall, after.user + after.system - before.user - before.system)


def floor(spark: SparkSession, config: Settings) -> None:
    """Read the topic and its JSON, and do nothing with it."""
    schema = ", ".join(f"{name} string" for name in field_names())
    messages = spark.read.format("kafka").options(**spark_options(config)).option("subscribe", config.cdr_topic).load()
    fields = messages.select(F.from_json(F.col("value").cast("string"), schema).alias("fields")).select("fields.*")
    fields.write.format("noop").mode("overwrite").save()


def mediate(spark: SparkSession, config: Settings, max_per_batch: int) -> list[float]:
    """Take the topic into a new landing table; return the seconds of each batch."""
    with tempfile.TemporaryDirectory() as folder:
        landing = Landing(spark, f"{folder}/cdr", Path(folder, "seen"))
        note = Note(spark, f"{folder}/checkpoint")
        there = config.model_copy(update={"checkpoint_path": f"{folder}/checkpoint"})
        timed = Timed(spark, there, Topic.connect(there), landing, note, Event())
        timed.wait(timed.start(once=True, interval=0, max_per_batch=max_per_batch))
        return timed.seconds


@contextmanager
def filled_topics(config: Settings, records: int) -> Iterator[Settings]:
    """Make topics of this run's own, the first with generated traffic, and delete them afterwards."""
    from kafka.admin import KafkaAdminClient, NewTopic

    run = uuid.uuid4().hex[:8]
    names = [f"bench-{run}-{name}" for name in ("cdr", "clean", "error")]
    ours = config.model_copy(update=dict(zip(("cdr_topic", "clean_topic", "error_topic"), names, strict=True)))
    admin = KafkaAdminClient(**config.kafka_client())
    admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
    try:
        spec = traffic_spec(
            count=records,
            mix="voice=60,data=30,sms=10",
            anomalies="missing=1,corrupt=1,duplicate=1,disorder=5",
            seed=1,
            first_day="2025-06-01",
            last_day="2025-06-30",
            customers=10_000,
        )
        with open_sender(ours, Client.KAFKA_PYTHON) as sender:
            send_traffic(Traffic(spec, config.country_code), sender, config.country_code)
        yield ours
    finally:
        admin.delete_topics(names)
        admin.close()


def report(records: int, floors: list[Cost], ours: list[Cost], batches: list[float], load: float) -> str:
    rows = [
        f"| {place} | {floor.wall:.1f} | {our.wall:.1f} | {our.wall / floor.wall:.1f} | "
        f"{floor.processor:.1f} | {our.processor:.1f} | {our.processor / floor.processor:.1f} |"
        for place, (floor, our) in enumerate(zip(floors, ours, strict=True), start=1)
    ]
    early, late = median(batches[3:8]), median(batches[-5:])
    return "\n".join(
        [
            "# Mediation",
            "",
            f"`python benchmarks/bench_mediation.py --records {records}`, {PARTITIONS} partitions, "
            f"{os.cpu_count()} cores, {platform.platform(terse=True)}, load average before the run {load:.1f}.",
            "Seconds; the first round warms the JVM.",
            "",
            "| round | floor | mediation | times | floor, processor | mediation, processor | times |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
            f"The same records in {len(batches)} batches: batch 5 (median of 4 to 8) {early:.2f} s, "
            f"batch {len(batches)} (median of the last five) {late:.2f} s.",
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max-per-batch", type=int, default=250_000)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    with filled_topics(settings(), arguments.records) as config:
        spark = spark_session(config, "bench-mediation")
        for name, value in SESSION.items():
            spark.conf.set(name, value)
        floors, ours = [], []
        for _round in range(arguments.rounds):
            floors.append(measure(lambda: floor(spark, config)))
            ours.append(measure(lambda: mediate(spark, config, arguments.max_per_batch)))
        batches = mediate(spark, config, arguments.records // BATCHES)
        spark.stop()
    text = report(arguments.records, floors, ours, batches, load)
    REPORT.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
