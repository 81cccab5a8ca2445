"""A landing table whose log of commits is damaged: told in one line, and mended as docs/operations.md says."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ingestion.console import UserError
from ingestion.landing import create_landing_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


def test_a_damaged_commit_is_named_and_can_be_taken_away(spark: "SparkSession", tmp_path: Path):
    table = str(tmp_path / "cdr")
    create_landing_table(spark, table)
    for offset in (0, 1):
        spark.sql(f"insert into delta.`{table}` (topic, partition, offset) values ('a', 0, {offset})")
    last = max(Path(table, "_delta_log").glob("*[0-9].json"))
    last.write_bytes(last.read_bytes()[:100])
    checksums = [last.with_name(f".{last.name}.crc"), last.with_suffix(".crc")]
    checksums[0].unlink()
    # another process would not have the table's state in memory
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]
    with pytest.raises(UserError, match=rf"{last.name}.*docs/operations\.md"):
        create_landing_table(spark, table)
    last.rename(tmp_path / last.name)
    checksums[1].unlink()
    create_landing_table(spark, table)
    assert [row.offset for row in spark.read.format("delta").load(table).select("offset").collect()] == [0]
