"""Feeding the clean and the error topic from what was landed. At least once: a killed run sends its batch again.

Each message says which landed row it is, so that a consumer can skip what it has: `source_topic`, `source_partition`
and `source_offset` are fields of the clean messages and headers of the errors.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ingestion.mediation.source import spark_options
from ingestion.records import (
    REASONS_HEADER,
    SOURCE_OFFSET_HEADER,
    SOURCE_PARTITION_HEADER,
    SOURCE_TOPIC_HEADER,
)
from ingestion.settings import Settings

CLEAN_FIELDS = (
    "record_id",
    "record_type",
    "msisdn",
    "peer_msisdn",
    "event_time",
    "duration_sec",
    "data_volume_mb",
    "session_duration_sec",
    "cell_id",
    "technology",
)
SOURCES = {
    "topic": SOURCE_TOPIC_HEADER,
    "partition": SOURCE_PARTITION_HEADER,
    "offset": SOURCE_OFFSET_HEADER,
}
LARGEST_MESSAGE = 8 * 1024 * 1024
"""Bytes. The producer's own limit; the broker's and the topic's `max.message.bytes` decide."""


def messages(landed: DataFrame, clean_topic: str, error_topic: str) -> DataFrame:
    """Return what the two topics get of landed rows: topic, key, value, headers. Duplicates go nowhere.

    A normal record is JSON keyed by its record_id, without headers; an error is its raw bytes, with its reasons as one.
    """
    normal = F.col("status") == "normal"
    clean = F.to_json(F.struct(*CLEAN_FIELDS, *(F.col(name).alias(header) for name, header in SOURCES.items())))
    sources = [_header(header, F.col(name).cast("string")) for name, header in SOURCES.items()]
    why = _header(REASONS_HEADER, F.concat_ws(",", "error_reasons"))
    return landed.where(F.col("status").isin("normal", "error")).select(
        F.when(normal, F.lit(clean_topic)).otherwise(F.lit(error_topic)).alias("topic"),
        F.when(normal, F.col("record_id").cast("binary")).alias("key"),
        F.when(normal, clean.cast("binary")).otherwise(F.col("raw")).alias("value"),
        F.when(~normal, F.array(why, *sources)).alias("headers"),
    )


def feed(landed: DataFrame, settings: Settings) -> None:
    """Send landed rows to the two topics and wait until Kafka has them."""
    writer = messages(landed, settings.clean_topic, settings.error_topic).write.format("kafka")
    writer.options(**spark_options(settings), **PRODUCER).option("includeHeaders", "true").save()


PRODUCER = {
    "kafka.compression.type": "lz4",
    "kafka.linger.ms": "50",
    "kafka.batch.size": str(256 * 1024),
    "kafka.max.request.size": str(LARGEST_MESSAGE),
}


def _header(name: str, value: object) -> object:
    return F.struct(F.lit(name).alias("key"), value.cast("binary").alias("value"))  # type: ignore[attr-defined]
