"""Records as a bad line, disk or sender leaves them, by the thousand: each counted once, judged as by the oracle."""

import json
from collections import Counter
from datetime import date
from fractions import Fraction
from pathlib import Path
from random import Random

import mediation_oracle as oracle
import pytest
from hostile import TEXTS, mutated
from pyspark.sql import SparkSession

from ingestion.mediation.land import Landing
from ingestion.mediation.transform import judge
from ingestion.records import field_names, reason_codes
from ingestion.traffic.spec import TrafficSpec
from ingestion.traffic.stream import Traffic

pytestmark = pytest.mark.spark

MESSAGE = "topic string, partition int, offset bigint, timestamp timestamp, value binary"
COLUMNS = ("msisdn", "peer_msisdn", "duration_sec", "session_duration_sec", "data_volume_mb", "cell_id", "technology")
VALUES = (
    *("9" * 1_100, "0." + "9" * 1_100, "1" * 500, "1e-999999", "9" * 100_000, "[[[[1]]]]", '{"a":{"a":1,"a":2}}'),
    *("null", "true", "-0", "-0.0", "1E3", "204.0", "86400", "86401", '"\\u0000"', '"\\ud800"', '"\\ud83d\\ude00"'),
    *('"0612345678"', '"+212612345678"', '"00212612345678"', '"117"', '"2025-06-13T05:14:34Z\\n"', '"\\u0661"'),
    *('"' + "1" * 200_000 + '"', '"' + "x" * 200_000 + '"', '"0001-01-01T00:00:00+05:00"', '"2025-06-13T25:00:00Z"'),
    *(json.dumps(text) for text in TEXTS),
    *(json.dumps(text, ensure_ascii=False) for text in TEXTS),
)


def generated(lines: int) -> list[bytes]:
    """Return records as the generator makes them, faults included."""
    shares = (Fraction(60, 100), Fraction(30, 100), Fraction(10, 100))
    spec = TrafficSpec(lines, shares, (Fraction(1, 20),) * 4, 7, date(2025, 6, 1), date(2025, 6, 30), 50)
    return b"".join(chunk.data for chunk in Traffic(spec, "212").chunks()).split(b"\n")[:-1]


def rewritten(random: Random, line: bytes) -> bytes:
    """Return a record with a field of its own or another one, once more, elsewhere or with another value."""
    try:
        fields = [(name, json.dumps(value)) for name, value in json.loads(line).items()]
    except ValueError:
        return line
    name = random.choice([*field_names(), "unknown", "caller_id ", "Caller_id", "", "a" * 200])
    fields.insert(random.randrange(len(fields) + 1), (name, random.choice(VALUES)))
    if random.random() < 0.7:  # in place of the one that is there, not beside it
        fields = list(dict(fields).items())
    colon, comma = random.choice((":", ": ", " :", "\t:\n")), random.choice((",", ", ", "\r\n,"))
    return ("{" + comma.join(f"{json.dumps(name)}{colon}{value}" for name, value in fields) + "}").encode()


def spoilt(count: int) -> list[bytes]:
    """Return `count` messages: generated records that were rewritten, mutated or both; some are left as they are."""
    random, lines = Random(11), generated(count)
    changes = (rewritten, rewritten, mutated, mutated, lambda random, line: mutated(random, rewritten(random, line)))
    return [random.choice((*changes, lambda _random, line: line))(random, line) for line in lines]


def check(spark: SparkSession, folder: Path, count: int) -> None:
    messages = spoilt(count)
    rows = [("cdr", offset % 3, offset, oracle.ARRIVAL, value) for offset, value in enumerate(messages)]
    judged = judge(spark.createDataFrame(rows, MESSAGE).repartition(4), "212")
    found = {row.offset: row for row in judged.collect()}
    assert sorted(found) == list(range(count))
    for offset, line in enumerate(messages):
        row = found[offset]
        reasons, values = oracle.judge(line)
        assert bytes(row.raw) == line
        assert set(row.error_reasons) == reasons, line
        assert row.status == ("error" if row.error_reasons else "normal")
        assert len(set(row.error_reasons)) == len(row.error_reasons)
        assert set(row.error_reasons) <= set(reason_codes())
        for column in COLUMNS if "MALFORMED_JSON" not in reasons else ():
            assert row[column] == values.get(column), (column, line)
        assert (row.status == "error") or (row.record_id and row.event_time)
    statuses = Counter(row.status for row in found.values())
    assert min(statuses["normal"], statuses["error"]) > count / 10

    outcome = Landing(spark, str(folder / "cdr"), folder / "seen").land(judged)
    landed = spark.read.format("delta").load(str(folder / "cdr"))
    assert {(row.partition, row.offset) for row in landed.collect()} == {(offset % 3, offset) for offset in found}
    assert landed.count() == outcome.received == count
    assert (outcome.error, outcome.normal + outcome.duplicate) == (statuses["error"], statuses["normal"])


def test_two_thousand_spoilt_messages(spark: SparkSession, tmp_path: Path) -> None:
    check(spark, tmp_path, 2_000)


@pytest.mark.slow
def test_fifty_thousand_spoilt_messages(spark: SparkSession, tmp_path: Path) -> None:
    check(spark, tmp_path, 50_000)
