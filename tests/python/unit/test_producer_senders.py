"""Both Kafka clients connect by the same settings."""

import pytest
from pydantic import SecretStr

from ingestion.senders import librdkafka_options
from ingestion.settings import Settings

SAME = {
    "security_protocol": "security.protocol",
    "sasl_mechanism": "sasl.mechanism",
    "sasl_plain_username": "sasl.username",
    "sasl_plain_password": "sasl.password",
    "ssl_cafile": "ssl.ca.location",
}
"""kafka-python's names, and librdkafka's."""


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"kafka_security_protocol": "SSL", "kafka_ssl_cafile": "/etc/ca.pem"},
        {
            "kafka_security_protocol": "SASL_SSL",
            "kafka_sasl_mechanism": "SCRAM-SHA-256",
            "kafka_sasl_username": "me",
            "kafka_sasl_password": SecretStr("secret"),
            "kafka_ssl_cafile": "/etc/ca.pem",
        },
    ],
)
def test_librdkafka_gets_what_kafka_python_gets(changed: dict[str, object]) -> None:
    config = Settings().model_copy(update=changed)  # type: ignore[call-arg]
    servers = config.kafka_client().pop("bootstrap_servers")
    expected = {SAME[name]: value for name, value in config.kafka_client().items() if name in SAME}
    expected["bootstrap.servers"] = ",".join(servers)  # type: ignore[call-overload]
    assert librdkafka_options(config) == expected


def test_librdkafka_accepts_these_options() -> None:
    confluent_kafka = pytest.importorskip("confluent_kafka", reason="an optional extra")
    config = Settings().model_copy(  # type: ignore[call-arg]
        update={
            "kafka_security_protocol": "SASL_PLAINTEXT",
            "kafka_sasl_username": "me",
            "kafka_sasl_password": SecretStr("secret"),
        }
    )
    assert confluent_kafka.Producer(librdkafka_options(config)) is not None
