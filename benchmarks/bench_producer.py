"""What the producer reaches: kafka-python with one and with two processes, beside librdkafka, on one broker.

    python benchmarks/bench_producer.py [--records 200000]

needs the stack (`telecom up`) and the extra `librdkafka`. Each way sends the same generated file to a topic of its
own, through the code that `telecom produce` runs, in turns, and the best of three rounds counts. Processor time stands
beside wall time, as the broker and whatever else the machine does take their share of the latter.
"""

import argparse
import datetime
import importlib.metadata
import multiprocessing
import os
import platform
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ingestion.producer import produce_files, subscriber_key
from ingestion.senders import Client
from ingestion.settings import Settings, settings
from ingestion.traffic.output import write_traffic
from ingestion.traffic.spec import traffic_spec
from ingestion.traffic.stream import Traffic

ROUNDS = 3
PARTITIONS = 4
REPORT = Path(__file__).with_name("producer.md")
WAYS = [(Client.KAFKA_PYTHON, 1), (Client.KAFKA_PYTHON, 2), (Client.LIBRDKAFKA, 1), (Client.LIBRDKAFKA, 2)]


@dataclass(frozen=True)
class Result:
    """Seconds of the clock, and of the processor in the sending processes."""

    wall: float
    processor: float


def split_by_subscriber(file: Path, parts: int, country_code: str) -> list[Path]:
    """Split a file so that each subscriber's lines stay in one part, as two producers must to keep the order."""
    targets = [file.with_name(f"{file.name}.{part}-of-{parts}") for part in range(parts)]
    outputs = [target.open("wb") for target in targets]
    with file.open("rb") as lines:
        for line in lines:
            key = subscriber_key(line, country_code.encode()) or b"0"
            outputs[int(key) % parts].write(line)
    for output in outputs:
        output.close()
    return targets


def send(config: Settings, file: Path, client: Client) -> None:
    produce_files(config, [str(file)], client=client)


def measure(config: Settings, files: list[Path], client: Client) -> Result:
    """Send each file by a process of its own; starting Python is not counted, connecting is."""
    context = multiprocessing.get_context("fork")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    processes = [context.Process(target=send, args=(config, file, client)) for file in files]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        if process.exitcode:
            raise SystemExit(f"{client} failed")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = time.perf_counter() - begin
    return Result(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def run(records: int) -> dict[tuple[Client, int], Result]:
    from kafka.admin import KafkaAdminClient, NewTopic

    config = settings()
    admin = KafkaAdminClient(**config.kafka_client())
    best: dict[tuple[Client, int], Result] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "cdr.json"
        spec = traffic_spec(
            count=records,
            mix="voice=60,data=30,sms=10",
            anomalies="missing=1,corrupt=1,duplicate=1,disorder=5",
            seed=1,
            first_day="2025-06-01",
            last_day="2025-06-30",
            customers=1000,
        )
        write_traffic(Traffic(spec, config.country_code), str(file))
        files = {1: [file], 2: split_by_subscriber(file, 2, config.country_code)}
        for number in range(ROUNDS):
            for client, processes in WAYS:
                topic = f"bench_{client.replace('-', '_')}_{processes}_{number}"
                admin.create_topics([NewTopic(topic, num_partitions=PARTITIONS, replication_factor=1)])
                result = measure(config.model_copy(update={"cdr_topic": topic}), files[processes], client)
                admin.delete_topics([topic])
                key = client, processes
                best[key] = min(best.get(key, result), result, key=lambda one: one.wall)
                print(f"round {number + 1} {client} x{processes}: {records / result.wall:,.0f} lines/s", flush=True)
        size = file.stat().st_size
    admin.close()
    REPORT.write_text(report(records, size, best))
    return best


def report(records: int, size: int, best: dict[tuple[Client, int], Result]) -> str:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("kafka-python", "confluent-kafka"))
    rows = [
        f"| {client} | {processes} | {result.wall:.1f} | {records / result.wall:,.0f} | {result.processor:.1f} "
        f"| {records / result.processor:,.0f} |"
        for (client, processes), result in best.items()
    ]
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return "\n".join(
        [
            "# The producer",
            "",
            f"{records:,} lines of {size / records:.0f} bytes, acks=all, idempotent, lz4, linger 50 ms, 1 MiB batches, "
            f"one broker, {PARTITIONS} partitions; best of {ROUNDS} rounds in turns.",
            f"{datetime.date.today()}, {os.cpu_count()} processors, Python {platform.python_version()}, {versions}; "
            f"load of the machine at the end (1, 5, 15 minutes): {load}.",
            "",
            "| client | processes | seconds | lines/s | processor seconds | lines per processor second |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
            *rows,
            "",
            "`python benchmarks/bench_producer.py` measures it anew. The broker runs on the same processors; where the "
            "load is above their number, others did too, and only the processor seconds say much.",
            "",
        ]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    run(parser.parse_args().records)
