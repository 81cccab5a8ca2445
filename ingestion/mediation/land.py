"""Landing a batch exactly once. The table is the memory: where to go on is read from it, never from a checkpoint."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from ingestion.console import UserError
from ingestion.landing import LANDING_COLUMNS, PURGED, create_landing_table
from ingestion.mediation.seen import Keys, SeenKeys, repeats

WRITER = "telecom-mediation"
LAST_COMMIT = "spark.databricks.delta.lastCommitVersionInSession"
"""Where Delta notes the table version of a session's last commit."""
CATCH_UP_ROWS = 2_000_000
"""Rows whose keys are read at once when the key files are built again."""
ROWS_A_FILE = 50_000
"""A smaller batch becomes one file, whatever the number of partitions it came from."""
COMPACTION = {
    "spark.databricks.delta.optimize.minFileSize": str(64 << 20),
    "spark.databricks.delta.optimize.maxFileSize": str(128 << 20),
}
"""Files of this many bytes are left alone: else every round would write the whole table anew."""
PARQUET = {
    f"parquet.enable.dictionary#{column}": "false" for column in ("offset", "record_id", "event_time", "peer_msisdn")
}
"""Values that hardly repeat in a file: a dictionary of them is built for nothing, or makes the file larger."""
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
    landed: DataFrame | None
    """The rows as they were landed, as long as the judged batch is persisted; none where nothing was new."""


@dataclass(frozen=True)
class Arrivals:
    """Narrow columns of a judged batch, one row a message, in order of offset and then partition."""

    topic: str
    partition: NDArray[np.int32]
    offset: NDArray[np.int64]
    normal: NDArray[np.bool_]
    keys: Keys

    def new(self, position: Position) -> "Arrivals":
        """Return those that are not landed yet."""
        following = np.zeros(self.partition.max(initial=-1) + 1, dtype=np.int64)
        for (topic, partition), offset in position.next_offset.items():
            if topic == self.topic and partition < following.size:
                following[partition] = offset
        keep = self.offset >= following[self.partition]
        return Arrivals(self.topic, self.partition[keep], self.offset[keep], self.normal[keep], self.keys[:, keep])

    def following(self) -> dict[tuple[str, int], int]:
        """Return the offset after the last one of each partition."""
        partitions = (int(partition) for partition in np.unique(self.partition))
        return {(self.topic, one): int(self.offset[self.partition == one].max()) + 1 for one in partitions}


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
        table_id = create_landing_table(spark, path)
        self.spark, self.path = spark, path
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

    def land(self, judged: DataFrame, arrivals: Arrivals | None = None) -> Outcome:
        """Land what is new of a judged batch in one commit, duplicates marked.

        Args:
            judged: `transform.JUDGED_COLUMNS` of messages of one topic; evaluated twice, so the caller persists it.
            arrivals: what `collect` brought of it, where that was done before.

        Raises:
            UserError: another writer landed a batch at the same time; nothing of this one is landed.
        """
        arrivals = arrivals or collect(judged)
        new = arrivals.new(self.position)
        duplicate = np.zeros(new.offset.size, dtype=bool)
        duplicate[new.normal] = repeats(new.keys[:, new.normal])
        duplicate[new.normal] |= self.seen.contains(new.keys[:, new.normal])
        fresh = new.normal & ~duplicate
        landed = None
        if new.offset.size:
            records = judged if new.offset.size == arrivals.offset.size else judged.where(_is_new(self.position))
            landed = self._append(_marked(records, new, duplicate), new)
            self.seen.add(new.keys[:, fresh], self.position.batch_id)
        errors = int((~new.normal).sum())
        return Outcome(new.offset.size, int(fresh.sum()), errors, int(duplicate.sum()), landed)

    def _append(self, records: DataFrame, new: Arrivals) -> DataFrame:
        batch_id = self.position.batch_id + 1
        landed_at = max(datetime.now(UTC), self.position.landed_at + MICROSECOND)
        if new.offset.size < ROWS_A_FILE:
            records = records.coalesce(1)
        # joined, not literals: the JVM would compile the code of each batch anew for them
        constants = _frame(records.sparkSession, {"landed_at": [landed_at], "batch_id": [batch_id]})
        batch = records.crossJoin(F.broadcast(constants)).select(*LANDING_COLUMNS)
        writer = batch.write.format("delta").mode("append").options(**PARQUET)
        session = records.sparkSession.conf
        session.unset(LAST_COMMIT)
        # batch_id goes on from what the table holds, so a version is never used twice, whatever was lost
        writer.option("txnAppId", WRITER).option("txnVersion", batch_id).save(self.path)
        if session.get(LAST_COMMIT, None) is None:  # Delta passes over a version that the table has, silently
            raise UserError(
                f"another mediation landed batch {batch_id} in {self.path} at the same time: "
                "stop one of the two and run `telecom mediate` again"
            )
        self.position = Position(self.position.next_offset | new.following(), batch_id, landed_at)
        return batch

    def last_batch(self) -> DataFrame:
        """Return the rows of the batch that was landed last, those that were purged since left out."""
        kept = ~F.col("record_type").eqNullSafe(PURGED)
        return self.rows().where(kept & (F.col("batch_id") == self.position.batch_id))

    def maintain(self) -> None:
        """Write small files into larger ones, and delete files that no reader has needed for a day."""
        for name, value in COMPACTION.items():
            self.spark.conf.set(name, value)
        self.spark.sql(f"optimize delta.`{self.path}`")
        self.spark.sql(f"vacuum delta.`{self.path}`")


def collect(judged: DataFrame) -> Arrivals:
    """Bring the narrow columns of a batch to this process: 29 bytes a message."""
    normal = (F.col("status") == "normal").alias("normal")
    rows = judged.select("topic", "partition", "offset", normal, *_key_columns()).toArrow()
    partition = rows["partition"].to_numpy()
    offset = rows["offset"].to_numpy()
    order = np.lexsort((partition, offset))
    keys = _keys(rows["first"], rows["second"])
    topic = rows["topic"][0].as_py() if rows.num_rows else ""
    is_normal = rows["normal"].to_numpy(zero_copy_only=False)
    return Arrivals(topic, partition[order], offset[order], is_normal[order], keys[:, order])


def _key_columns() -> tuple[Column, Column]:
    """Return the two hashes, of different seed, that make the 128 bits of a record_id's key."""
    return F.xxhash64("record_id").alias("first"), F.xxhash64(F.lit("2"), "record_id").alias("second")


def _keys(first: object, second: object) -> Keys:
    return np.stack([column.to_numpy().view(np.uint64) for column in (first, second)])  # type: ignore[attr-defined]


def _marked(records: DataFrame, new: Arrivals, duplicate: NDArray[np.bool_]) -> DataFrame:
    """Return new records with duplicates marked as such, raw bytes kept where they are needed."""
    columns = {"partition": new.partition[duplicate], "offset": new.offset[duplicate]}
    marks = _frame(records.sparkSession, columns).withColumn("repeated", F.lit(True))
    marked = records.join(F.broadcast(marks), ["partition", "offset"], "left")
    status = F.when(F.coalesce("repeated", F.lit(False)), "duplicate").otherwise(F.col("status"))
    return marked.withColumns({"status": status, "raw": F.when(status != "normal", F.col("raw"))})


def _frame(spark: SparkSession, columns: dict[str, object]) -> DataFrame:
    import pyarrow as pa

    return spark.createDataFrame(pa.table(columns))


def _is_new(position: Position) -> Column:
    """Return whether a message is beyond what is landed of its partition."""
    new = F.lit(True)
    for (topic, partition), offset in position.next_offset.items():
        landed = (F.col("topic") == topic) & (F.col("partition") == partition) & (F.col("offset") < offset)
        new = new & ~landed
    return new
