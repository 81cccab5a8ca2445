"""Mediation beside the least that it could do: read Kafka and its JSON, and do nothing with it.

In one run as `telecom mediate --once` takes it, and in 50 batches, whose cost must not grow with what landed before.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from threading import Event

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.frame import Row, Side, Stopwatch, Tally
from benchmarks.plans import is_for_plans, write_plan
from benchmarks.task import Task
from ingestion.mediation.land import Arrivals, Landing
from ingestion.mediation.note import Note
from ingestion.mediation.source import Topic, spark_options
from ingestion.mediation.transform import judge
from ingestion.producer import produce_files
from ingestion.records import field_names
from ingestion.senders import Client
from ingestion.settings import Settings
from ingestion.stream_mediation import MAX_PER_BATCH, SESSION, Mediation
from stack.spark import spark_session

BATCHES, BATCHES_QUICKLY = 50, 20
EARLY, LATE = slice(3, 8), slice(-5, None)
"""The batches whose median stands for the fifth, and for the last."""


@dataclass
class Timed(Mediation):
    """Mediation that notes the seconds of each batch.

    A batch is read while the one before it is landed: only what it takes beyond that one's end counts as its own.
    """

    seconds: list[float] = field(default_factory=list)
    landed_until: float = 0

    def _land(self, judged: DataFrame, arrivals: Arrivals, began: float) -> None:
        """Land a batch, from its reading on."""
        super()._land(judged, arrivals, began)
        ended = time.monotonic()
        self.seconds.append(ended - max(began, self.landed_until))
        self.landed_until = ended


def rows(task: Task) -> Iterator[Row]:
    """Measure mediation of one topic, in a warm session, into a new landing table each time."""
    with task.topics() as config:
        produce_files(config, [str(task.traffic_file())], client=Client.LIBRDKAFKA)
        spark = spark_session(config, "bench-mediate")
        for name, value in SESSION.items():
            spark.conf.set(name, value)
        try:
            if is_for_plans(task):
                write_plan(spark, "mediation", judge(messages(spark, config), config.country_code))
            floor = parse(spark, config, MAX_PER_BATCH)
            yield task.row("mediate, one run", mediation(spark, config, MAX_PER_BATCH, []), floor)
            seconds: list[list[float]] = []
            batches = BATCHES_QUICKLY if task.quick else BATCHES
            size = -(-task.records // batches)
            small, floor = mediation(spark, config, size, seconds), parse(spark, config, size)
            yield task.row(f"mediate, {batches} batches", small, floor, warm_up=not task.quick)
            measured = seconds[-task.rounds :]  # not those of the warm-up
            early, late = ([median(times[some]) for times in measured] for some in (EARLY, LATE))
            yield task.derived(f"micro-batch {batches}, beside micro-batch 5", late, early, size)
        finally:
            spark.stop()


def messages(spark: SparkSession, config: Settings) -> DataFrame:
    """Return the topic's messages with their headers."""
    reader = spark.read.format("kafka").options(**spark_options(config)).option("includeHeaders", "true")
    return reader.option("subscribe", config.cdr_topic).load()


def fields() -> Column:
    """Return the record's fields, read from a message."""
    schema = ", ".join(f"{name} string" for name in field_names())
    return F.from_json(F.col("value").cast("string"), schema).alias("fields")


def parse(spark: SparkSession, config: Settings, size: int) -> Side:
    """Return the floor: a stream of batches of the same size."""

    def floor(stopwatch: Stopwatch) -> Tally:
        with tempfile.TemporaryDirectory(dir=config.home) as folder, stopwatch:
            stream = spark.readStream.format("kafka").options(**spark_options(config))
            stream = stream.option("subscribe", config.cdr_topic).option("startingOffsets", "earliest")
            parsed = stream.option("maxOffsetsPerTrigger", size).load().select("offset", fields())
            counted = parsed.observe("seen", F.count("*").alias("messages"), F.sum("offset").alias("offsets"))
            writer = counted.select("fields.*").writeStream.format("noop").option("checkpointLocation", folder)
            query = writer.trigger(availableNow=True).start()
            query.awaitTermination()
        seen = [batch.observedMetrics["seen"] for batch in query.recentProgress if batch.numInputRows]
        return {name: sum(batch[name] for batch in seen) for name in ("messages", "offsets")}

    return floor


def mediation(spark: SparkSession, config: Settings, max_per_batch: int, seconds: list[list[float]]) -> Side:
    """Return the stage; `seconds` gets the seconds of each batch, a list a round."""

    def mediate(stopwatch: Stopwatch) -> Tally:
        with tempfile.TemporaryDirectory(dir=config.home) as folder:
            there = config.model_copy(update={"checkpoint_path": f"{folder}/checkpoint"})
            with stopwatch:
                landing = Landing(spark, f"{folder}/cdr", Path(folder, "seen"))
                note = Note(spark, there.checkpoint_path)
                timed = Timed(spark, there, Topic.connect(there), landing, note, Event(), max_per_batch)
                timed.wait(timed.start(once=True, interval=0))
            seconds.append(timed.seconds)
            landed = landing.rows().agg(F.count("*").alias("messages"), F.sum("offset").alias("offsets"))
            return dict(landed.collect()[0].asDict())

    return mediate
