"""The landing zone: one Delta table of every record received, once, found by (topic, partition, offset)."""

import re
from typing import TYPE_CHECKING

from ingestion.console import UserError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LANDING_SCHEMA = """
topic string, partition int, offset bigint,
ingested_at timestamp, landed_at timestamp, batch_id bigint,
status string, error_reasons array<string>,
record_id string, record_type string, msisdn string, peer_msisdn string, event_time timestamp,
duration_sec bigint, data_volume_mb decimal(18,6), session_duration_sec bigint,
cell_id string, technology string,
raw binary,
replay_topic string, replay_partition int, replay_offset bigint
""".strip()
"""Columns of the landing table as Spark DDL.

`ingested_at` is Kafka's message time; `landed_at` is one value a batch, greater than every one before it; `raw`
holds the bytes received wherever status is not `normal`; `replay_*` name the first landing of a replayed error.
"""

LANDING_COLUMNS = tuple(column.split()[0] for column in LANDING_SCHEMA.replace("(18,6)", "").split(","))
"""Names of the landing table's columns, in order."""

PURGED = "purged"
"""The `record_type` of a row that `telecom purge` emptied."""

PURGE_KEEPS = (
    *("topic", "partition", "offset", "ingested_at", "landed_at", "batch_id", "status", "error_reasons"),
    *("record_id", "event_time", "replay_topic", "replay_partition", "replay_offset"),
)
"""What an emptied row keeps: its place, so that nothing is landed again, and what its copies are known by."""

TABLE_PROPERTIES = {
    # raw bytes have no minimum worth keeping, and columns behind it are never searched by file
    "delta.dataSkippingStatsColumns": "partition,offset,landed_at,batch_id,status,event_time",
    "delta.checkpointInterval": "20",
    "delta.logRetentionDuration": "interval 7 days",
    "delta.deletedFileRetentionDuration": "interval 1 days",
}


def create_table_sql(path: str) -> str:
    """Return the statement that creates the empty landing table at `path` where there is none."""
    properties = ", ".join(f"'{name}' = '{value}'" for name, value in TABLE_PROPERTIES.items())
    return f"create table if not exists delta.`{path}` ({LANDING_SCHEMA}) using delta tblproperties ({properties})"


def create_landing_table(spark: "SparkSession", path: str) -> str:
    """Create the empty landing table at `path`, or leave the one that is there as it is; return the table's id.

    Raises:
        UserError: the folder refuses it, or there is a table whose log of commits cannot be read.
    """
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        spark.sql(create_table_sql(path))
        # a table that exists is not looked into by the first statement
        return str(spark.sql(f"describe detail delta.`{path}`").collect()[0].id)
    except (Py4JJavaError, PySparkException) as error:
        condition = re.search(r"\[[A-Z_.]+\] [^\n]*", str(error))
        reason = condition[0] if condition else str(error).splitlines()[0]
        raise UserError(
            f"the landing table {path} cannot be opened: {reason}; nothing was changed, and docs/operations.md says "
            "under 'A damaged landing table' what to do"
        ) from None
