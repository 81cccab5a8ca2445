"""The producer against a real broker, by both clients."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestion.console import UserError
from ingestion.producer import IncompleteError, produce_files
from ingestion.senders import Client, open_sender
from ingestion.settings import Settings
from ingestion.traffic.output import send_traffic, write_traffic
from ingestion.traffic.spec import traffic_spec
from ingestion.traffic.stream import Traffic

pytestmark = pytest.mark.stack

CLIENTS = [
    Client.KAFKA_PYTHON,
    pytest.param(
        Client.LIBRDKAFKA,
        marks=pytest.mark.skipif(
            not pytest.importorskip("importlib.util").find_spec("confluent_kafka"), reason="an optional extra"
        ),
    ),
]


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Client:
    return Client(request.param)


@pytest.fixture
def topic(stack: Settings, request: pytest.FixtureRequest) -> Iterator[Settings]:
    """A topic of this test's own, which takes messages of 100 kB at most."""
    from kafka.admin import KafkaAdminClient, NewTopic

    name = "producer_" + "".join(letter if letter.isalnum() else "_" for letter in request.node.name)
    admin = KafkaAdminClient(**stack.kafka_client())
    limits = {"max.message.bytes": "100000", "compression.type": "producer"}
    admin.create_topics([NewTopic(name, num_partitions=3, replication_factor=1, topic_configs=limits)])
    yield stack.model_copy(update={"cdr_topic": name})
    admin.delete_topics([name])
    admin.close()


def messages(config: Settings) -> list[tuple[int, int, bytes | None, bytes]]:
    """Return partition, offset, key and value of everything in the topic."""
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(**config.kafka_client(), auto_offset_reset="earliest", consumer_timeout_ms=3000)
    partitions = [TopicPartition(config.cdr_topic, number) for number in range(3)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    wanted, found = sum(consumer.end_offsets(partitions).values()), []
    while len(found) < wanted:
        for batch in consumer.poll(timeout_ms=3000).values():
            found += [(message.partition, message.offset, message.key, message.value) for message in batch]
    consumer.close()
    return sorted(found)


def test_a_subscribers_lines_arrive_once_in_order_and_byte_for_byte(
    topic: Settings, client: Client, tmp_path: Path
) -> None:
    file = tmp_path / "cdr.json"
    lines = [b'{"user_id":"2126121993%02d", "n": %d}  \r' % (number % 40, number) for number in range(5000)]
    file.write_bytes(b"\n".join(lines) + b"\n")
    assert produce_files(topic, [str(file)], client=client) == 5000
    found = messages(topic)
    assert sorted(value for _, _, _, value in found) == sorted(lines)
    place = {line: number for number, line in enumerate(lines)}
    for subscriber in {key for _, _, key, _ in found}:
        own = [(partition, value) for partition, _, key, value in found if key == subscriber]
        assert len({partition for partition, _ in own}) == 1
        assert [place[value] for _, value in own] == sorted(place[value] for _, value in own)


def test_both_clients_put_a_subscriber_in_the_same_partition(topic: Settings, tmp_path: Path) -> None:
    pytest.importorskip("confluent_kafka", reason="an optional extra")
    file = tmp_path / "cdr.json"
    file.write_bytes(b"".join(b'{"user_id":"2126121993%02d"}\n' % number for number in range(50)))
    for client in Client:
        produce_files(topic, [str(file)], client=client)
    partitions: dict[bytes | None, set[int]] = {}
    for partition, _, key, _ in messages(topic):
        partitions.setdefault(key, set()).add(partition)
    assert len(partitions) == 50
    assert all(len(places) == 1 for places in partitions.values())


def test_a_generated_run_is_the_same_in_kafka_as_in_a_file(topic: Settings, tmp_path: Path) -> None:
    spec = traffic_spec(
        count=3000,
        mix="voice=60,data=30,sms=10",
        anomalies="corrupt=5,duplicate=5",
        seed=1,
        first_day="2025-06-01",
        last_day="2025-06-30",
        customers=50,
    )
    write_traffic(Traffic(spec, "212"), str(tmp_path / "cdr.json"))
    with open_sender(topic, Client.KAFKA_PYTHON) as sender:
        send_traffic(Traffic(spec, "212"), sender, "212")
    lines = (tmp_path / "cdr.json").read_bytes().splitlines()
    assert sorted(value for _, _, _, value in messages(topic)) == sorted(lines)


def test_a_line_larger_than_the_topic_takes_is_told(topic: Settings, client: Client, tmp_path: Path) -> None:
    import random

    file = tmp_path / "cdr.json"
    file.write_bytes(b"small\n" + random.Random(1).randbytes(300_000).hex().encode() + b"\n")
    with pytest.raises(IncompleteError, match=r"larger than the broker takes.*go on with --from-line") as caught:
        produce_files(topic, [str(file)], client=client)
    assert caught.value.acknowledged <= 1


def test_a_topic_that_does_not_exist_is_named_and_not_created(stack: Settings, client: Client, tmp_path: Path) -> None:
    from kafka.admin import KafkaAdminClient

    (tmp_path / "cdr.json").write_bytes(b"a\n")
    nowhere = stack.model_copy(update={"cdr_topic": "nobody_made_this"})
    with pytest.raises(UserError, match="topic nobody_made_this is not on"):
        produce_files(nowhere, [str(tmp_path / "cdr.json")], client=client)
    admin = KafkaAdminClient(**stack.kafka_client())
    assert "nobody_made_this" not in admin.list_topics()
    admin.close()


def test_a_broker_that_is_not_there_is_named(stack: Settings, client: Client, tmp_path: Path) -> None:
    (tmp_path / "cdr.json").write_bytes(b"a\n")
    silent = stack.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    with pytest.raises(UserError, match=r"no Kafka broker answers at 127\.0\.0\.1:1: run `telecom up`"):
        produce_files(silent, [str(tmp_path / "cdr.json")], client=client)


def test_a_broker_that_lets_nobody_in_is_not_called_silent(stack: Settings, client: Client, tmp_path: Path) -> None:
    (tmp_path / "cdr.json").write_bytes(b"a\n")
    locked = stack.model_copy(update={"kafka_security_protocol": "SASL_PLAINTEXT", "kafka_sasl_username": "me"})
    with pytest.raises(UserError, match=r"takes connections, but not as a Kafka client: check KAFKA_SECURITY_PROTOCOL"):
        produce_files(locked, [str(tmp_path / "cdr.json")], client=client)
