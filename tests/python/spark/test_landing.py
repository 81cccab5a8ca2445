"""A landing table whose log of commits is damaged: told in one line, and mended as docs/operations.md says."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ingestion.console import UserError
from ingestion.landing import create_landing_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


def landed(spark: "SparkSession", table: str, *offsets: int) -> None:
    """Make a landing table with a commit for each offset."""
    create_landing_table(spark, table)
    for offset in offsets:
        spark.sql(f"insert into delta.`{table}` (topic, partition, offset) values ('a', 0, {offset})")


def refused(spark: "SparkSession", table: str, damaged: Path) -> None:
    """See that a process which does not have the table's state in memory names what is damaged."""
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]
    with pytest.raises(UserError, match=rf"{damaged.name}.*docs/operations\.md"):
        create_landing_table(spark, table)


def offsets_in(spark: "SparkSession", table: str) -> list[int]:
    create_landing_table(spark, table)
    return sorted(row.offset for row in spark.read.format("delta").load(table).select("offset").collect())


def test_a_damaged_commit_is_named_and_can_be_taken_away(spark: "SparkSession", tmp_path: Path):
    table = str(tmp_path / "cdr")
    landed(spark, table, 0, 1)
    last = max(Path(table, "_delta_log").glob("*[0-9].json"))
    last.write_bytes(last.read_bytes()[:100])
    checksums = [last.with_name(f".{last.name}.crc"), last.with_suffix(".crc")]
    checksums[0].unlink()
    refused(spark, table, last)
    last.rename(tmp_path / last.name)
    checksums[1].unlink()
    assert offsets_in(spark, table) == [0]


def test_a_damaged_checkpoint_is_named_and_can_be_taken_away(spark: "SparkSession", tmp_path: Path):
    table = str(tmp_path / "cdr")
    landed(spark, table, 0, 1)
    jvm: Any = spark._jvm
    jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, table).checkpoint()
    (checkpoint,) = Path(table, "_delta_log").glob("*.checkpoint*.parquet")
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    checkpoint.with_name(f".{checkpoint.name}.crc").unlink()
    refused(spark, table, checkpoint)
    for file in (checkpoint, checkpoint.with_name("_last_checkpoint"), checkpoint.with_name("._last_checkpoint.crc")):
        file.rename(tmp_path / file.name)
    assert offsets_in(spark, table) == [0, 1]
