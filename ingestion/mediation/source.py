"""Where the stream begins: the topic's offsets as Kafka has them, and the landing table's word on what is next."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from ingestion.console import UserError, err
from ingestion.settings import Settings

if TYPE_CHECKING:
    from kafka import KafkaConsumer

TIMEOUT_MS = 10_000

Offsets = dict[int, int]
"""An offset of each partition."""


@dataclass
class Topic:
    """What Kafka says about the usage record topic."""

    settings: Settings
    consumer: "KafkaConsumer"

    @classmethod
    def connect(cls, settings: Settings) -> Self:
        """Connect to Kafka.

        Raises:
            UserError: no broker answers, or the topic is not there.
        """
        from kafka import KafkaConsumer
        from kafka.errors import KafkaError

        try:
            consumer = KafkaConsumer(**settings.kafka_client(), request_timeout_ms=TIMEOUT_MS, client_id="mediation")
            if settings.cdr_topic not in consumer.topics():
                raise UserError(
                    f"topic {settings.cdr_topic} is not at {settings.kafka_bootstrap_servers}: run `telecom up`"
                )
        except KafkaError:
            raise UserError(
                f"no Kafka at {settings.kafka_bootstrap_servers}: run `telecom up` or set KAFKA_BOOTSTRAP_SERVERS"
            ) from None
        return cls(settings, consumer)

    def beginnings(self) -> Offsets:
        """Return the first offset that Kafka still has."""
        return self._by_partition(self.consumer.beginning_offsets(self._partitions()))

    def ends(self) -> Offsets:
        """Return the offset that the next message will get."""
        return self._by_partition(self.consumer.end_offsets(self._partitions()))

    def lag(self, following: Offsets) -> int | None:
        """Return how many messages wait, or None while no broker says so.

        Args:
            following: the next offset of each partition; one that is missing was not read at all.
        """
        from kafka.errors import KafkaError

        try:
            return sum(end - following.get(partition, 0) for partition, end in self.ends().items())
        except KafkaError:
            return None

    def starting_offsets(self, landed: dict[tuple[str, int], int], *, skip_lost: bool = False) -> str:
        """Return where to begin, as Spark's `startingOffsets`: after what was landed, or at the beginning.

        Args:
            landed: the next offset of each (topic, partition) of the landing table.
            skip_lost: begin after messages that left Kafka before they were landed, instead of refusing.

        Raises:
            UserError: messages between what was landed and what Kafka has are gone, or the topic is another one.
        """
        name, ends, starts = self.settings.cdr_topic, self.ends(), {}
        for partition, beginning in self.beginnings().items():
            following = landed.get((name, partition), beginning)
            if following < beginning:
                lost = (
                    f"{beginning - following} messages of {name} partition {partition} left Kafka before they were "
                    f"landed (offsets {following} to {beginning - 1})"
                )
                if not skip_lost:
                    raise UserError(f"{lost}: restore them, or go on without them by `telecom mediate --skip-lost`")
                err.print(f"{lost}: skipped", soft_wrap=True)
                following = beginning
            if following > ends[partition]:
                raise UserError(
                    f"{name} partition {partition} ends at offset {ends[partition]}, but the landing zone has it up to "
                    f"{following - 1}: the topic was made anew; set TELECOM_CDR_TOPIC to a new name, or LANDING_PATH"
                )
            starts[str(partition)] = following
        return json.dumps({name: starts})

    def _partitions(self) -> list[object]:
        from kafka import TopicPartition

        partitions = self.consumer.partitions_for_topic(self.settings.cdr_topic) or ()
        return [TopicPartition(self.settings.cdr_topic, partition) for partition in sorted(partitions)]

    @staticmethod
    def _by_partition(offsets: dict[object, int]) -> Offsets:
        return {place.partition: offset for place, offset in offsets.items()}  # type: ignore[attr-defined]


def spark_options(settings: Settings) -> dict[str, str]:
    """Return the connection options of Spark's Kafka source and sink."""
    options = {
        "kafka.bootstrap.servers": settings.kafka_bootstrap_servers,
        "kafka.security.protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_security_protocol.startswith("SASL"):
        module = "plain.PlainLoginModule" if settings.kafka_sasl_mechanism == "PLAIN" else "scram.ScramLoginModule"
        password = settings.kafka_sasl_password.get_secret_value()
        login = "".join(
            f' {key}="{_escaped(value)}"'
            for key, value in (("username", settings.kafka_sasl_username), ("password", password))
        )
        options["kafka.sasl.mechanism"] = settings.kafka_sasl_mechanism
        # Spark's Kafka connector redacts this option in its logs
        options["kafka.sasl.jaas.config"] = f"org.apache.kafka.common.security.{module} required{login};"
    if settings.kafka_ssl_cafile:
        options |= {
            "kafka.ssl.truststore.type": "PEM",
            "kafka.ssl.truststore.location": settings.kafka_ssl_cafile,
        }
    return options


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
