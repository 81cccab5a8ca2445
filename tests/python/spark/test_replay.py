"""Which errors are open: those whose every landing, first and replayed, is an error."""

from datetime import UTC, datetime

import pytest
from pyspark.sql import SparkSession

from ingestion.landing import LANDING_SCHEMA
from ingestion.replay import open_errors

pytestmark = pytest.mark.spark

COLUMNS = [column.split()[0] for column in LANDING_SCHEMA.replace("(18,6)", "").split(",")]


def row(
    offset: int,
    status: str,
    *reasons: str,
    first: int | None = None,
    partition: int = 0,
    record_type: str | None = None,
) -> tuple[object, ...]:
    values: dict[str, object] = {
        "topic": "cdr",
        "partition": partition,
        "offset": offset,
        "landed_at": datetime(2026, 1, 1, 0, 0, offset, tzinfo=UTC),
        "status": status,
        "error_reasons": list(reasons),
        "raw": f"raw {offset}".encode(),
        "record_type": record_type,
    }
    if first is not None:
        values |= {"replay_topic": "cdr", "replay_partition": 0, "replay_offset": first}
    return tuple(values.get(column) for column in COLUMNS)


def test_an_error_is_open_until_a_landing_of_it_is_none(spark: SparkSession) -> None:
    landed = spark.createDataFrame(
        [
            row(0, "error", "MISSING_TIMESTAMP", "INVALID_CALLER_ID"),
            row(1, "error", "INVALID_CALLER_ID"),
            row(2, "error", "INVALID_CALLER_ID"),
            row(3, "error", "INVALID_CALLER_ID"),
            row(4, "error", "MALFORMED_JSON"),
            row(5, "normal"),
            row(6, "error", "INVALID_CALLER_ID", record_type="purged"),
            # 1 became normal; 2 the copy of a record that is there; 3 is still an error, for another reason
            row(10, "normal", first=1, partition=1),
            row(11, "duplicate", first=2),
            row(12, "error", "INVALID_CALLER_ID", first=3),
            row(13, "error", "INVALID_DURATION_SEC", first=3),
        ],
        LANDING_SCHEMA,
    )

    def found(reason: str) -> list[tuple[int, bytes]]:
        return [(row.first_offset, bytes(row.raw)) for row in open_errors(landed, reason).collect()]

    assert found("INVALID_CALLER_ID") == [(0, b"raw 0")]
    assert found("INVALID_DURATION_SEC") == [(3, b"raw 13")]
    assert found("MALFORMED_JSON") == [(4, b"raw 4")]
    assert found("MISSING_USER_ID") == []
