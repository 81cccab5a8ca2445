"""A Kafka that takes nobody without TLS and SCRAM, and a PostgreSQL that does the same, with certificates made here."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import trustme
from cryptography.hazmat.primitives import serialization

from ingestion.settings import Settings
from stack import kafka, postgres, processes
from stack.secrets import ensure_secrets

USER, UNESCAPED = "telecom-pipeline", "of-the-test-on-secured-servers"
PASSWORD = f'Kafka "secret" \\ {UNESCAPED}'
"""With characters that have to be escaped on their way into a JAAS configuration; its end is the same in any form."""


class Certificates:
    """An authority, and a certificate of it for 127.0.0.1, as PEM files."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        authority = trustme.CA()
        leaf = authority.issue_cert("127.0.0.1", "localhost")
        self.authority = folder / "authority.pem"
        self.chain = folder / "server.pem"
        self.key = folder / "server.key"
        self.both = folder / "server-with-key.pem"
        authority.cert_pem.write_to_path(self.authority)
        chain = b"".join(part.bytes() for part in leaf.cert_chain_pems)
        key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
        # Kafka reads no other form than this one
        pkcs8 = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        for file, content in ((self.chain, chain), (self.key, pkcs8), (self.both, pkcs8 + chain)):
            file.touch(mode=0o600)
            file.write_bytes(content)


@contextmanager
def secured_kafka(settings: Settings, certificates: Certificates) -> Iterator[None]:
    """Run a broker on the settings' address that asks for SASL_SSL with SCRAM-SHA-512."""
    host, port = kafka.address(settings)
    escaped = PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
    login = "org.apache.kafka.common.security.scram.ScramLoginModule required"
    jaas = f'{login} username="{USER}" password="{escaped}";'.replace("\\", "\\\\")
    properties = f"""
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{port + 1}
listeners=BROKER://{host}:{port},CONTROLLER://{host}:{port + 1}
listener.security.protocol.map=BROKER:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.broker.scram-sha-512.sasl.jaas.config={jaas}
ssl.keystore.type=PEM
ssl.keystore.location={certificates.both}
ssl.truststore.type=PEM
ssl.truststore.location={certificates.authority}
log.dirs={settings.home / kafka.NAME / "data"}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
"""
    scram = f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"
    process = kafka.launch(settings, kafka.NAME, properties, "c2VjdXJlZC1rYWZrYS0wMA", "--add-scram", scram)
    try:
        processes.wait_until(settings, kafka.NAME, lambda: kafka.answers(settings), process)
        yield
    finally:
        processes.stop(settings, kafka.NAME)


def tls_binaries() -> Path | None:
    """Return the folder of a PostgreSQL server of this machine that knows TLS; the one of the wheel does not."""
    servers = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    found = shutil.which("postgres") or (servers[-1] if servers else None)
    return Path(found).resolve().parent if found else None


@contextmanager
def secured_postgres(settings: Settings, certificates: Certificates, binaries: Path) -> Iterator[None]:
    """Run a server on the settings' address that takes nobody without TLS and a SCRAM password."""
    ensure_secrets(settings)
    here = settings.model_copy(update={"pgsslmode": "prefer", "pgsslrootcert": "", "services": ("postgres",)})
    with patch.object(postgres, "binary", binaries.joinpath):
        postgres.start(here)
        postgres.stop(here)
        data = settings.home / "postgres"
        with (data / "postgresql.conf").open("a") as file:
            file.write(f"ssl = on\nssl_cert_file = '{certificates.chain}'\nssl_key_file = '{certificates.key}'\n")
        (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        postgres.start(here)
        try:
            yield
        finally:
            postgres.stop(here)


def environment_of(settings: Settings, certificates: Certificates) -> dict[str, str]:
    """Return the environment in which a command reaches both servers, and starts a Thrift server of its own."""
    return os.environ | {
        "TELECOM_HOME": str(settings.home),
        "TELECOM_SERVICES": "thrift",
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_USERNAME": USER,
        "KAFKA_SASL_PASSWORD": PASSWORD,
        "KAFKA_SSL_CAFILE": str(certificates.authority),
        "PGHOST": "127.0.0.1",
        "PGPORT": str(settings.pgport),
        "PGPASSWORD": settings.secret("owner"),
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": str(certificates.authority),
        "SPARK_THRIFT_PORT": str(settings.spark_thrift_port),
    }
