"""What the manifest of a generated file promises is what mediation lands, record by record."""

import json
from collections import Counter, defaultdict, deque
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mediation_process import mediate, own_mediation

from ingestion.producer import produce_files, subscriber_key
from ingestion.settings import Settings
from ingestion.traffic.output import write_traffic
from ingestion.traffic.spec import traffic_spec
from ingestion.traffic.stream import Traffic

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.stack

RECORDS = 200_000
PARTITIONS = 4


def line_of_each_message(config: Settings, lines: list[bytes]) -> dict[tuple[int, int], int]:
    """Return the line number of each (partition, offset).

    Equal lines have equal keys, so they are in one partition, in the order of the file.
    """
    from kafka import KafkaConsumer, TopicPartition

    numbers: dict[bytes, deque[int]] = defaultdict(deque)
    for number, line in enumerate(lines, 1):
        numbers[line].append(number)
    consumer = KafkaConsumer(**config.kafka_client())
    partitions = [TopicPartition(config.cdr_topic, number) for number in range(PARTITIONS)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    found: dict[tuple[int, int], int] = {}
    while len(found) < len(lines):
        for batch in consumer.poll(timeout_ms=10_000).values():
            for message in batch:
                found[message.partition, message.offset] = numbers[message.value].popleft()
    consumer.close()
    return found


def test_the_manifest_and_the_landing_zone_agree_record_by_record(
    stack: Settings, spark: "SparkSession", tmp_path: Path
) -> None:
    config = own_mediation(stack, "truth", tmp_path, PARTITIONS)
    file = tmp_path / "cdr.json"
    spec = traffic_spec(
        count=RECORDS,
        mix="voice=60,data=30,sms=10",
        anomalies="missing=2,corrupt=2,duplicate=2,disorder=5",
        seed=20_25,
        first_day="2025-06-01",
        last_day="2025-06-30",
        customers=1_000,
    )
    write_traffic(Traffic(spec, config.country_code), str(file))
    assert produce_files(config, [str(file)]) == RECORDS
    code, _said, errors = mediate(config)
    assert code == 0, errors

    lines = file.read_bytes().splitlines()
    manifest = json.loads(Path(f"{file}.manifest.json").read_text())
    injected = {entry["line"]: entry for entry in manifest["injected"]}
    line_of = line_of_each_message(config, lines)
    landed = spark.read.format("delta").load(config.landing_table)
    rows = landed.select("partition", "offset", "status", "error_reasons", "msisdn").collect()

    assert len(rows) == len(line_of) == RECORDS
    assert {(row["partition"], row["offset"]) for row in rows} == set(line_of)
    wrong = []
    for row in rows:
        number = line_of[row["partition"], row["offset"]]
        entry = injected.get(number, {"status": "normal", "reasons": []})
        found = (row["status"], sorted(row["error_reasons"] or []))
        if found != (entry["status"], sorted(entry["reasons"])):
            wrong.append((found, entry, lines[number - 1]))
        elif row["status"] == "normal":
            assert row["msisdn"] == (subscriber_key(lines[number - 1], b"212") or b"").decode()
    assert wrong[:10] == []
    assert Counter(row["status"] for row in rows) == manifest["totals"]["status"]
