"""Landing a batch exactly once. The table is the memory: where to go on is read from it, never from a checkpoint."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from ingestion.console import UserError
from ingestion.landing import LANDING_COLUMNS, create_landing_table
from ingestion.mediation.seen import Keys, SeenKeys, repeats

WRITER = "telecom-mediation"
CATCH_UP_ROWS = 2_000_000
"""Rows whose keys are read at once when the key files are built again."""
ROWS_A_FILE = 50_000
"""A smaller batch becomes one file, whatever the number of partitions it came from."""
COMPACTION = {
    "spark.databricks.delta.optimize.minFileSize": str(64 << 20),
    "spark.databricks.delta.optimize.maxFileSize": str(128 << 20),
}
"""Files of this many bytes are left alone: else every round would write the whole table anew."""
MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Position:
    """Where the landing table stands: the next offset of each (topic, partition), and the last batch."""

    next_offset: dict[tuple[str, int], int] = field(default_factory=dict)
    batch_id: int = -1
    landed_at: datetime = EPOCH


@dataclass(frozen=True)
class Outcome:
    """What a batch brought: counts by status of what it landed, and the offsets that it spanned."""

    received: int
    normal: int
    error: int
    duplicate: int
    spans: dict[tuple[str, int], tuple[int, int]]
    """First and last offset of each (topic, partition), already landed ones included."""


@dataclass(frozen=True)
class _Arrivals:
    """Narrow columns of a judged batch, one row a message, in order of offset and then partition."""

    topic: str
    partition: NDArray[np.int32]
    offset: NDArray[np.int64]
    normal: NDArray[np.bool_]
    keys: Keys

    def new(self, position: Position) -> "_Arrivals":
        """Return those that are not landed yet."""
        following = np.zeros(self.partition.max(initial=-1) + 1, dtype=np.int64)
        for (topic, partition), offset in position.next_offset.items():
            if topic == self.topic and partition < following.size:
                following[partition] = offset
        keep = self.offset >= following[self.partition]
        return _Arrivals(self.topic, self.partition[keep], self.offset[keep], self.normal[keep], self.keys[:, keep])

    def spans(self) -> dict[tuple[str, int], tuple[int, int]]:
        """Return the first and last offset of each partition."""
        spans = {}
        for partition in np.unique(self.partition):
            offsets = self.offset[self.partition == partition]
            spans[self.topic, int(partition)] = (int(offsets.min()), int(offsets.max()))
        return spans


def read_position(landed: DataFrame) -> Position:
    """Return where a landing table stands, by its rows."""
    ends = (
        landed.groupBy("topic", "partition")
        .agg(F.max("offset"), F.max("batch_id"), F.unix_micros(F.max("landed_at")))
        .collect()
    )
    return Position(
        {(topic, partition): offset + 1 for topic, partition, offset, _, _ in ends},
        max((row[3] for row in ends), default=-1),
        EPOCH + max((row[4] for row in ends), default=0) * MICROSECOND,
    )


class Landing:
    """The landing table as its only writer sees it."""

    def __init__(self, spark: SparkSession, path: str, seen_folder: Path) -> None:
        """Open the table, creating it where it is missing, and read where it stands."""
        create_landing_table(spark, path)
        self.spark, self.path = spark, path
        table_id = spark.sql(f"describe detail delta.`{path}`").select("id").collect()[0].id
        self.seen = SeenKeys.open(seen_folder, table_id)
        self.position = read_position(self.rows())
        self._catch_up()

    def rows(self) -> DataFrame:
        """Return the table as it is now."""
        return self.spark.read.format("delta").load(self.path)

    def _catch_up(self) -> None:
        """Bring the key files to where the table is: after a kill by one batch, after their loss by all."""
        if self.seen.covered > self.position.batch_id:
            self.seen = SeenKeys(self.seen.folder, self.seen.table_id)
        normal = self.rows().where((F.col("status") == "normal") & (F.col("batch_id") > self.seen.covered))
        sizes = normal.groupBy("batch_id").count().orderBy("batch_id").collect()
        first, rows = self.seen.covered + 1, 0
        for place, (batch_id, count) in enumerate(sizes):
            rows += count
            if rows >= CATCH_UP_ROWS or place == len(sizes) - 1:
                some = normal.where(F.col("batch_id").between(first, batch_id)).select(*_key_columns()).toArrow()
                self.seen.add(_keys(some["first"], some["second"]), batch_id)
                first, rows = batch_id + 1, 0

    def land(self, judged: DataFrame) -> Outcome:
        """Land what is new of a judged batch in one commit, duplicates marked.

        Args:
            judged: `transform.JUDGED_COLUMNS` of messages of one topic; evaluated twice, so the caller persists it.

        Raises:
            UserError: another writer landed a batch at the same time; nothing of this one is landed.
        """
        arrivals = _collect(judged)
        spans = arrivals.spans()
        new = arrivals.new(self.position)
        duplicate = np.zeros(new.offset.size, dtype=bool)
        duplicate[new.normal] = repeats(new.keys[:, new.normal])
        duplicate[new.normal] |= self.seen.contains(new.keys[:, new.normal])
        fresh = new.normal & ~duplicate
        if new.offset.size:
            self._append(_marked(judged, new, duplicate, self.position), new)
            self.seen.add(new.keys[:, fresh], self.position.batch_id)
        errors = int((~new.normal).sum())
        return Outcome(new.offset.size, int(fresh.sum()), errors, int(duplicate.sum()), spans)

    def _append(self, records: DataFrame, new: _Arrivals) -> None:
        batch_id = self.position.batch_id + 1
        landed_at = max(datetime.now(UTC), self.position.landed_at + MICROSECOND)
        if new.offset.size < ROWS_A_FILE:
            records = records.coalesce(1)
        batch = records.withColumns({"landed_at": F.lit(landed_at), "batch_id": F.lit(batch_id).cast("bigint")})
        writer = batch.select(*LANDING_COLUMNS).write.format("delta").mode("append")
        # batch_id goes on from what the table holds, so a version is never used twice, whatever was lost
        writer.option("txnAppId", WRITER).option("txnVersion", batch_id).save(self.path)
        landed = self.rows().where((F.col("batch_id") == batch_id) & (F.col("landed_at") == F.lit(landed_at)))
        if landed.count() != new.offset.size:
            raise UserError(
                f"another mediation landed batch {batch_id} in {self.path} at the same time: "
                "stop one of the two and run `telecom mediate` again"
            )
        following = {key: last + 1 for key, (_first, last) in new.spans().items()}
        self.position = Position(self.position.next_offset | following, batch_id, landed_at)

    def landed_within(self, spans: dict[tuple[str, int], tuple[int, int]]) -> DataFrame:
        """Return the landed rows of these offsets; file statistics leave out the files of other batches."""
        within = F.lit(False)
        for (topic, partition), (first, last) in spans.items():
            source = (F.col("topic") == topic) & (F.col("partition") == partition)
            within = within | (source & F.col("offset").between(first, last))
        return self.rows().where(within)

    def last_batch(self) -> DataFrame:
        """Return the rows of the batch that was landed last."""
        return self.rows().where(F.col("batch_id") == self.position.batch_id)

    def maintain(self) -> None:
        """Write small files into larger ones, and delete files that no reader has needed for a day."""
        for name, value in COMPACTION.items():
            self.spark.conf.set(name, value)
        self.spark.sql(f"optimize delta.`{self.path}`")
        self.spark.sql(f"vacuum delta.`{self.path}`")


def _collect(judged: DataFrame) -> _Arrivals:
    """Bring the narrow columns of a batch to this process: 29 bytes a message."""
    normal = (F.col("status") == "normal").alias("normal")
    rows = judged.select("topic", "partition", "offset", normal, *_key_columns()).toArrow()
    partition = rows["partition"].to_numpy()
    offset = rows["offset"].to_numpy()
    order = np.lexsort((partition, offset))
    keys = _keys(rows["first"], rows["second"])
    topic = rows["topic"][0].as_py() if rows.num_rows else ""
    is_normal = rows["normal"].to_numpy(zero_copy_only=False)
    return _Arrivals(topic, partition[order], offset[order], is_normal[order], keys[:, order])


def _key_columns() -> tuple[Column, Column]:
    """Return the two hashes, of different seed, that make the 128 bits of a record_id's key."""
    return F.xxhash64("record_id").alias("first"), F.xxhash64(F.lit("2"), "record_id").alias("second")


def _keys(first: object, second: object) -> Keys:
    return np.stack([column.to_numpy().view(np.uint64) for column in (first, second)])  # type: ignore[attr-defined]


def _marked(judged: DataFrame, new: _Arrivals, duplicate: NDArray[np.bool_], position: Position) -> DataFrame:
    """Return the new records of a batch with duplicates marked as such, raw bytes kept where they are needed."""
    records = judged.where(_is_new(position, new.topic))
    repeated = F.lit(False)
    if duplicate.any():
        import pyarrow as pa

        columns = {"partition": new.partition[duplicate], "offset": new.offset[duplicate]}
        marks = judged.sparkSession.createDataFrame(pa.table(columns)).withColumn("repeated", F.lit(True))
        records = records.join(F.broadcast(marks), ["partition", "offset"], "left")
        repeated = F.coalesce("repeated", F.lit(False))
    status = F.when(repeated, "duplicate").otherwise(F.col("status"))
    return records.withColumns({"status": status, "raw": F.when(status != "normal", F.col("raw"))})


def _is_new(position: Position, topic: str) -> Column:
    """Return whether a message is beyond what is landed of its partition."""
    new = F.lit(True)
    for (landed_topic, partition), offset in position.next_offset.items():
        if landed_topic == topic:
            new = new & ((F.col("partition") != partition) | (F.col("offset") >= offset))
    return new
