"""Landing: once, whatever comes again; duplicates over everything ever landed; what the topics get."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from ingestion.console import UserError
from ingestion.landing import LANDING_COLUMNS
from ingestion.mediation.land import Landing, Outcome
from ingestion.mediation.topics import messages
from ingestion.mediation.transform import judge

pytestmark = pytest.mark.spark

MESSAGE = "topic string, partition int, offset bigint, timestamp timestamp, value binary"
ARRIVAL = datetime(2026, 1, 1, tzinfo=UTC)
BROKEN = b"{"


def sms(record_id: str, day: int = 1) -> bytes:
    record = {"record_type": "sms", "timestamp": f"2025-06-{day:02}T00:00:00Z", "record_id": record_id}
    return json.dumps(record | {"sender_id": "212612345678", "receiver_id": "112"}).encode()


class Zone:
    """A landing zone of its own, as mediation opens it."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self.spark, self.folder = spark, folder
        self.landing = self.reopened()

    def reopened(self) -> Landing:
        self.landing = Landing(self.spark, str(self.folder / "cdr"), self.folder / "seen")
        return self.landing

    def land(self, *values: bytes | None, partition: int = 0, offset: int = 0) -> Outcome:
        rows = [("cdr", partition, offset + place, ARRIVAL, value) for place, value in enumerate(values)]
        return self.land_rows(rows)

    def land_rows(self, rows: list[tuple[str, int, int, datetime, bytes | None]]) -> Outcome:
        return self.landing.land(judge(self.spark.createDataFrame(rows, MESSAGE), "212"))

    def statuses(self) -> dict[tuple[int, int], str]:
        return {(row.partition, row.offset): row.status for row in self.landing.rows().collect()}


@pytest.fixture
def zone(spark: SparkSession, tmp_path: Path) -> Iterator[Zone]:
    yield Zone(spark, tmp_path)


def test_the_same_record_again_is_a_duplicate_however_far_away(zone: Zone) -> None:
    assert zone.land(sms("a"), sms("b"), sms("a"), BROKEN, BROKEN).duplicate == 1
    zone.land(sms("c"), sms("b"), BROKEN, offset=5)
    zone.reopened()
    zone.land(sms("a"), sms("d"), partition=1)
    # the id decides: another time does not make another record of it
    zone.land(sms("c", day=20), partition=2)
    assert zone.statuses() == {
        (0, 0): "normal",
        (0, 1): "normal",
        (0, 2): "duplicate",
        (0, 3): "error",
        (0, 4): "error",
        (0, 5): "normal",
        (0, 6): "duplicate",
        (0, 7): "error",
        (1, 0): "duplicate",
        (1, 1): "normal",
        (2, 0): "duplicate",
    }


def test_an_error_does_not_make_a_later_record_a_duplicate(zone: Zone) -> None:
    wrong = sms("a").replace(b'"112"', b'"1"')
    zone.land(wrong, wrong, sms("a"))
    assert list(zone.statuses().values()) == ["error", "error", "normal"]


def test_what_is_landed_comes_again_and_changes_nothing(zone: Zone) -> None:
    zone.land(sms("a"), BROKEN)
    before = zone.landing.rows().collect()
    again = zone.land(sms("a"), BROKEN)
    assert (again.received, again.landed) == (0, None)
    assert zone.landing.rows().collect() == before
    # a batch cut another way after a restart: only what is new lands
    zone.reopened()
    outcome = zone.land(BROKEN, sms("b"), offset=1)
    assert (outcome.received, outcome.normal) == (1, 1)
    assert zone.statuses() == {(0, 0): "normal", (0, 1): "error", (0, 2): "normal"}


def test_key_files_that_are_lost_or_behind_are_built_from_the_table(zone: Zone) -> None:
    zone.land(sms("a"))
    shutil.copytree(zone.folder / "seen", zone.folder / "kept")
    zone.land(sms("b"), offset=1)
    for state in ("lost", "behind"):
        shutil.rmtree(zone.folder / "seen")
        if state == "behind":
            shutil.copytree(zone.folder / "kept", zone.folder / "seen")
        assert zone.reopened().seen.covered == 1
    assert zone.land(sms("a"), sms("b"), sms("c"), offset=2).duplicate == 2


def test_batches_are_numbered_and_timed_upwards_over_restarts_and_a_clock_set_back(zone: Zone) -> None:
    zone.land(sms("a"))
    zone.reopened()
    future = datetime(2999, 1, 1, tzinfo=UTC)
    zone.landing.position.landed_at = future
    zone.land(sms("b"), offset=1)
    zone.reopened()
    zone.land(sms("c"), offset=2)
    rows = zone.landing.rows().orderBy("offset").select("batch_id", "landed_at").collect()
    assert [row.batch_id for row in rows] == [0, 1, 2]
    assert rows[0].landed_at < rows[1].landed_at < rows[2].landed_at


def test_a_second_writer_is_noticed_and_lands_nothing(zone: Zone) -> None:
    other = Landing(zone.spark, str(zone.folder / "cdr"), zone.folder / "other")
    zone.land(sms("a"))
    judged = judge(zone.spark.createDataFrame([("cdr", 0, 0, ARRIVAL, sms("a"))], MESSAGE), "212")
    with pytest.raises(UserError, match="another mediation landed batch 0"):
        other.land(judged)
    assert zone.statuses() == {(0, 0): "normal"}


def test_columns_are_those_of_the_table_and_raw_stays_where_it_is_needed(zone: Zone) -> None:
    zone.land(sms("a"), sms("a"), BROKEN, None)
    rows = zone.landing.rows().orderBy("offset").collect()
    assert tuple(rows[0].asDict()) == LANDING_COLUMNS
    assert [row.raw and bytes(row.raw) for row in rows] == [None, sms("a"), BROKEN, None]


def test_maintenance_makes_one_file_of_many_and_changes_no_row(zone: Zone) -> None:
    for offset in range(4):
        zone.land(sms(str(offset)), offset=offset)
    before = sorted(zone.landing.rows().collect())
    zone.landing.maintain()
    assert sorted(zone.landing.rows().collect()) == before
    assert len(zone.landing.rows().inputFiles()) == 1


def sent(landed: DataFrame) -> list[tuple[str, bytes | None, bytes | None, dict[str, str]]]:
    return [
        (row.topic, row.key, row.value, {header.key: header.value.decode() for header in row.headers or ()})
        for row in messages(landed.orderBy("offset"), "clean", "error").collect()
    ]


def test_the_topics_get_what_was_landed_with_its_place(zone: Zone) -> None:
    outcome = zone.land(sms("a"), sms("a"), BROKEN, None)
    assert outcome.landed
    clean, broken, tombstone = sent(outcome.landed)
    assert sent(zone.landing.last_batch()) == [clean, broken, tombstone]
    assert (clean[:2], clean[3]) == (("clean", b"a"), {})
    assert json.loads(clean[2] or b"") == {
        "record_id": "a",
        "record_type": "sms",
        "msisdn": "212612345678",
        "peer_msisdn": "112",
        "event_time": "2025-06-01T00:00:00.000Z",
        "source_topic": "cdr",
        "source_partition": 0,
        "source_offset": 0,
    }
    why = {"error_reasons": "MALFORMED_JSON", "source_topic": "cdr", "source_partition": "0"}
    assert broken == ("error", None, BROKEN, why | {"source_offset": "2"})
    assert tombstone == ("error", None, None, why | {"source_offset": "3"})
