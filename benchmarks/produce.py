"""Sending a file's lines to Kafka, beside what librdkafka's own client takes for the same messages from memory."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.frame import Row, Side, Stopwatch, Tally
from benchmarks.task import Task
from ingestion.mediation.source import Topic
from ingestion.producer import produce_files, subscriber_key
from ingestion.senders import BATCH_BYTES, LINGER_MS, Client, librdkafka_options
from ingestion.settings import Settings


def rows(task: Task) -> Iterator[Row]:
    """Measure `telecom produce FILE` with either client, without Python's start."""
    file = task.traffic_file()

    def floor(stopwatch: Stopwatch) -> Tally:
        messages = keyed_lines(file, task.settings.country_code)
        with task.topics() as config:
            with stopwatch:
                send(config, messages)
            return in_topic(config)

    def ours(client: Client) -> Side:
        def produce(stopwatch: Stopwatch) -> Tally:
            with task.topics() as config:
                with stopwatch:
                    produce_files(config, [str(file)], client=client)
                return in_topic(config)

        return produce

    for client in Client:
        yield task.row(f"produce, {client}", ours(client), floor)


def keyed_lines(file: Path, country_code: str) -> list[tuple[bytes | None, bytes]]:
    """Return the messages that the producer makes of a file."""
    code = country_code.encode()
    return [(subscriber_key(line, code), line) for line in file.read_bytes().splitlines()]


def send(config: Settings, messages: list[tuple[bytes | None, bytes]]) -> None:
    """Send messages with the guarantees of `ingestion.senders`: in order, each once, on all replicas."""
    from confluent_kafka import Message, Producer

    failures: list[object] = []

    def failed(error: object, _message: Message) -> None:
        failures.append(error)

    producer = Producer(
        librdkafka_options(config)
        | {
            "enable.idempotence": True,
            "acks": "all",
            "compression.type": "lz4",
            "linger.ms": LINGER_MS,
            "batch.size": BATCH_BYTES,
            "partitioner": "murmur2_random",
            "delivery.report.only.error": True,
            "on_delivery": failed,
        }
    )
    for key, value in messages:
        while True:
            try:
                producer.produce(config.cdr_topic, value, key)
                break
            except BufferError:
                producer.poll(0.1)
    left = producer.flush()
    if failures or left:
        raise RuntimeError(f"{len(failures)} messages failed, {left} are left")


def in_topic(config: Settings) -> Tally:
    """Return how many messages each partition of the usage record topic has; those without a key lie anywhere."""
    topic = Topic.connect(config)
    try:
        return {"messages": sum(topic.ends().values())}
    finally:
        topic.consumer.close()
