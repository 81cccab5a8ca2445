"""What mediation says of a batch, and of a stream that failed at a moment that cannot be caused from outside."""

from typing import Any

import pytest
from kafka.errors import KafkaTimeoutError

from ingestion.mediation.source import Topic
from ingestion.settings import settings
from ingestion.stream_mediation import _cause


class Consumer:
    """A consumer of two partitions that ends at offsets 10 and 20, or whose broker went just now."""

    def __init__(self, *, gone: bool) -> None:
        self.gone = gone

    def partitions_for_topic(self, _topic: str) -> set[int]:
        """Return the partitions, which a consumer knows without a broker."""
        return {0, 1}

    def end_offsets(self, partitions: list[Any]) -> dict[Any, int]:
        """Return the ends, or fail as the real one does."""
        if self.gone:
            raise KafkaTimeoutError("Failed to get offsets by timestamps in 10000 ms")
        return {one: 10 * (one.partition + 1) for one in partitions}


@pytest.mark.parametrize(("gone", "lag"), [(False, 23), (True, None)])
def test_lag_is_unknown_while_no_broker_answers(gone: bool, lag: int | None) -> None:
    """A broker that goes between landing and the status line ended mediation by a traceback."""
    topic = Topic(settings(), Consumer(gone=gone))  # type: ignore[arg-type]
    assert topic.lag({0: 7}) == lag


def test_a_failure_in_python_is_told_as_itself() -> None:
    """Spark wraps what a batch raises in Python into lines of Java, of which the last said nothing."""
    full = OSError(28, "No space left on device")
    assert _cause(RuntimeError("Query failed"), full) == "OSError: [Errno 28] No space left on device"
    spark = RuntimeError("Query failed\nCaused by: java.lang.IllegalStateException: offsets are gone\n at x")
    assert _cause(spark, None) == "offsets are gone"
