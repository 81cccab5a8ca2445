"""Kafka producers behind one small interface: kafka-python, and librdkafka where its extra is installed.

Both are idempotent and wait for all replicas, so that a retry neither loses nor repeats nor reorders a message, and
both place a key in the same partition (murmur2, as Java's client does).
"""

import logging
import socket
import time
from collections import deque
from contextlib import AbstractContextManager, suppress
from enum import StrEnum
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self

from ingestion.console import UserError
from ingestion.settings import Settings

LINGER_MS, BATCH_BYTES = 50, 1 << 20
"""How long a batch waits to fill, and how large it may become."""
DELIVERY_TIMEOUT_MS, REQUEST_TIMEOUT_MS = 30_000, 10_000
"""How long a message may take, retries included, and one request of it."""
FIND_TIMEOUT_MS = 5_000
"""How long to look for a broker."""
NEW_TOPIC_SECONDS = 2.0
"""How long brokers may take to learn of a topic that another one has just made."""
LOOK_EVERY = 1_000
"""Messages between two looks at what was acknowledged."""
MOST_PENDING, MOST_PENDING_BYTES = 50_000, 64 << 20
"""Messages, and bytes of them, that may wait for their acknowledgement."""
GONE = "the broker stopped answering"
TOO_LARGE = "the message is larger than the broker takes"


class Client(StrEnum):
    """The Kafka client to send with."""

    KAFKA_PYTHON = "kafka-python"
    LIBRDKAFKA = "librdkafka"


class DeliveryError(Exception):
    """A message that Kafka didn't take, within the time that retries have."""


class Sender(AbstractContextManager["Sender"], Protocol):
    """Sends numbered messages in order.

    Attributes:
        acknowledged: number of the last message acknowledged together with all before it.
    """

    acknowledged: int

    def send(self, number: int, key: bytes | None, value: bytes) -> None:
        """Hand over a message; raise DeliveryError as soon as an earlier one has failed."""

    def finish(self) -> None:
        """Wait until everything handed over is acknowledged; raise DeliveryError where it isn't."""


def open_sender(config: Settings, client: Client) -> Sender:
    """Connect to Kafka.

    Raises:
        UserError: no broker answers, it refuses the login, the topic isn't there, or the client isn't installed.
    """
    logging.getLogger("kafka").addHandler(logging.NullHandler())  # the faults that matter are raised, in one line
    require_topic(config)
    return LibrdkafkaSender(config) if client == Client.LIBRDKAFKA else KafkaPythonSender(config)


def require_topic(config: Settings) -> None:
    """Check that the usage record topic is there, without creating it.

    Raises:
        UserError: it is not, or no broker answers or lets us in.
    """
    from kafka.admin import KafkaAdminClient
    from kafka.errors import KafkaError, KafkaTimeoutError

    try:
        admin = KafkaAdminClient(
            **config.kafka_client(), bootstrap_timeout_ms=FIND_TIMEOUT_MS, request_timeout_ms=REQUEST_TIMEOUT_MS
        )
        try:
            found = False
            begin = time.monotonic()
            while not found and time.monotonic() - begin < NEW_TOPIC_SECONDS:
                found = admin.describe_topics([config.cdr_topic])[0]["error_code"] == 0
                time.sleep(0 if found else 0.2)
        finally:
            admin.close()
    except KafkaTimeoutError:
        raise UserError(_silence(config.kafka_bootstrap_servers)) from None
    except KafkaError as error:
        raise UserError(f"Kafka at {config.kafka_bootstrap_servers} refuses: {error}") from None
    if not found:
        raise UserError(
            f"topic {config.cdr_topic} is not on {config.kafka_bootstrap_servers}: "
            "run `telecom up`, create it, or set TELECOM_CDR_TOPIC"
        )


def _silence(servers: str) -> str:
    """Say why none of the servers answers: kafka-python waits in silence even where one refuses the login."""
    for server in servers.split(","):
        host, port = server.rsplit(":", 1)
        with suppress(OSError, UnicodeError), socket.create_connection((host, int(port)), FIND_TIMEOUT_MS / 1000):
            return (
                f"{server} takes connections, but not as a Kafka client: check KAFKA_SECURITY_PROTOCOL, "
                "KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SSL_CAFILE"
            )
    return f"no Kafka broker answers at {servers}: run `telecom up` or set KAFKA_BOOTSTRAP_SERVERS"


class KafkaPythonSender:
    """kafka-python, which this project always has."""

    def __init__(self, config: Settings) -> None:
        from kafka import KafkaProducer

        self.acknowledged = 0
        self._topic = config.cdr_topic
        self._pending: deque[tuple[int, int, Any]] = deque()
        self._pending_bytes = 0
        self._producer = KafkaProducer(
            **config.kafka_client(),
            acks="all",
            enable_idempotence=True,
            compression_type="lz4",
            linger_ms=LINGER_MS,
            batch_size=BATCH_BYTES,
            delivery_timeout_ms=DELIVERY_TIMEOUT_MS,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            max_block_ms=DELIVERY_TIMEOUT_MS,
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )

    def send(self, number: int, key: bytes | None, value: bytes) -> None:
        """Hand over a message."""
        from kafka.errors import KafkaError

        try:
            self._pending.append((number, len(value), self._producer.send(self._topic, value, key)))
            self._pending_bytes += len(value)
            # kafka-python itself takes as much as memory holds: without this a slow broker would fill it
            while len(self._pending) > MOST_PENDING or self._pending_bytes > MOST_PENDING_BYTES:
                self._pending[0][2].get(timeout=DELIVERY_TIMEOUT_MS / 1000)
                self._look()
        except KafkaError as error:
            self._look()
            raise DeliveryError(_reason(error)) from None
        if number % LOOK_EVERY == 0:
            self._look()

    def _look(self) -> None:
        while self._pending and self._pending[0][2].is_done:
            number, size, future = self._pending.popleft()
            self._pending_bytes -= size
            if future.exception is not None:
                raise DeliveryError(_reason(future.exception))
            self.acknowledged = number

    def finish(self) -> None:
        """Wait for everything handed over."""
        from kafka.errors import KafkaError

        begin = time.monotonic()
        with suppress(KafkaError):
            # it also fails for a batch that was only split and sent again: each message's own answer is what counts
            self._producer.flush(timeout=DELIVERY_TIMEOUT_MS / 1000)
        while self._pending:
            left = max(0.0, begin + DELIVERY_TIMEOUT_MS / 1000 - time.monotonic())
            with suppress(KafkaError):
                self._pending[0][2].get(timeout=left)
            self._look()
            if left == 0.0 and self._pending:
                raise DeliveryError(GONE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._producer.close()
        else:
            # close() and the destructor would first wait for messages that nobody takes any more, and raise once more
            self._producer._sender.force_close()
            self._producer._closed = True


class LibrdkafkaSender:
    """librdkafka by confluent-kafka, the extra `librdkafka`."""

    def __init__(self, config: Settings) -> None:
        try:
            from confluent_kafka import KafkaError, KafkaException, Producer
        except ImportError:
            raise UserError(
                "--client librdkafka: not installed; pip install 'telecom-usage-pipeline[librdkafka]'"
            ) from None
        self.acknowledged = 0
        self._topic = config.cdr_topic
        self._ahead: set[int] = set()
        self._failure: str | None = None
        self._reasons = {KafkaError._MSG_TIMED_OUT: GONE, KafkaError.MSG_SIZE_TOO_LARGE: TOO_LARGE}
        options = librdkafka_options(config) | {
            "enable.idempotence": True,
            "acks": "all",
            "compression.type": "lz4",
            "linger.ms": LINGER_MS,
            "batch.size": BATCH_BYTES,
            "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
            "request.timeout.ms": REQUEST_TIMEOUT_MS,
            "partitioner": "murmur2_random",
            "message.max.bytes": 1 << 21,
            "queue.buffering.max.messages": MOST_PENDING,
            "queue.buffering.max.kbytes": MOST_PENDING_BYTES >> 10,
            "log_level": 0,
        }
        try:
            self._producer = Producer(options)
        except KafkaException as error:
            raise UserError(f"librdkafka: {error.args[0].str()}") from None

    def send(self, number: int, key: bytes | None, value: bytes) -> None:
        """Hand over a message."""
        while True:
            try:
                self._producer.produce(self._topic, value, key, on_delivery=partial(self._delivered, number))
                break
            except BufferError:
                self._producer.poll(0.1)
        self._producer.poll(0)
        if self._failure:
            raise DeliveryError(self._failure)

    def _delivered(self, number: int, error: Any, _message: object) -> None:
        if error is not None:
            self._failure = self._failure or self._reasons.get(
                error.code(), f"Kafka refuses the message: {error.str()}"
            )
        elif number == self.acknowledged + 1:
            self.acknowledged = number
            while self.acknowledged + 1 in self._ahead:
                self.acknowledged += 1
                self._ahead.remove(self.acknowledged)
        else:
            self._ahead.add(number)

    def finish(self) -> None:
        """Wait for everything handed over."""
        left = self._producer.flush(DELIVERY_TIMEOUT_MS / 1000)
        if self._failure or left:
            raise DeliveryError(self._failure or GONE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind:
            self._producer.purge()


def librdkafka_options(config: Settings) -> dict[str, Any]:
    """Return the connection part of a librdkafka configuration, as `Settings.kafka_client` is kafka-python's."""
    options: dict[str, Any] = {
        "bootstrap.servers": config.kafka_bootstrap_servers,
        "security.protocol": config.kafka_security_protocol,
    }
    if config.kafka_security_protocol.startswith("SASL"):
        options |= {
            "sasl.mechanism": config.kafka_sasl_mechanism,
            "sasl.username": config.kafka_sasl_username,
            "sasl.password": config.kafka_sasl_password.get_secret_value(),
        }
    if config.kafka_ssl_cafile:
        options["ssl.ca.location"] = config.kafka_ssl_cafile
    return options


def _reason(error: BaseException) -> str:
    from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError, RecordListTooLargeError

    if isinstance(error, MessageSizeTooLargeError | RecordListTooLargeError):
        return TOO_LARGE
    if isinstance(error, KafkaTimeoutError):
        return GONE
    return f"Kafka refuses the message: {error}"
