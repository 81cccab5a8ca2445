"""A Kafka broker of one node (KRaft) from its own jars, and the topics of the pipeline on any cluster."""

import subprocess
import uuid
from contextlib import suppress
from pathlib import Path

import psutil
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from ingestion.console import UserError
from ingestion.settings import Settings
from stack import processes
from stack.jars import class_path
from stack.java import java

NAME = "kafka"
PARTITIONS = 4
LOG_CONFIG = Path(__file__).with_name("kafka-log4j2.properties")
JVM = ("-Xmx384m", "-Xms128m", "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={LOG_CONFIG}")


def address(settings: Settings) -> tuple[str, int]:
    """Return host and port of the first bootstrap server."""
    return _addresses(settings)[0]


def reachable(settings: Settings) -> bool:
    """Return whether a bootstrap server accepts connections: of a cluster, any one is enough."""
    return any(processes.port_open(*place) for place in _addresses(settings))


def answers(settings: Settings) -> bool:
    """Return whether the cluster answers a metadata request."""
    if not reachable(settings):
        return False
    try:
        client = KafkaAdminClient(**settings.kafka_client(), request_timeout_ms=5000, client_id="telecom-health")
        try:
            client.list_topics()
        finally:
            client.close()
    except KafkaError:
        return False
    return True


def start(settings: Settings) -> None:
    """Start the broker on the first bootstrap address and wait until it answers.

    Raises:
        UserError: the port is taken, or the broker died or stayed silent.
    """
    host, port = address(settings)
    processes.require_free_port(host, port, "Kafka", "KAFKA_BOOTSTRAP_SERVERS")
    process = launch(settings, NAME, _server_properties(settings.home / NAME, host, port))
    processes.wait_until(settings, NAME, lambda: answers(settings), process)


def launch(settings: Settings, name: str, properties: str, cluster: str = "", *options: str) -> psutil.Process:
    """Start a broker in the folder `name` of the home; its storage is formatted where it is new.

    Args:
        settings: whose home, Java and jars are used.
        name: the server's, under which its process and its log are found.
        properties: the text of its server.properties; `log.dirs` is the folder `data` beside it.
        cluster: the cluster's id, by default one that follows from the folder.
        options: more options of Kafka's `format`.

    Raises:
        UserError: the storage cannot be formatted.
    """
    home = settings.home / name
    home.mkdir(parents=True, exist_ok=True)
    file = home / "server.properties"
    file.write_text(properties)
    jvm = [java(settings), *JVM, "-cp", class_path(settings, "kafka")]
    if not (home / "data" / "meta.properties").exists():
        cluster = cluster or uuid.uuid5(uuid.NAMESPACE_URL, str(home)).hex[:22]
        formatted = subprocess.run(
            [*jvm, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", file, *options],
            capture_output=True,
            text=True,
            check=False,
        )
        if formatted.returncode != 0:
            last = (formatted.stderr or formatted.stdout).strip().splitlines()[-1:]
            raise UserError(f"Kafka could not format {home / 'data'}: {' '.join(last)}")
    return processes.start(settings, name, [*jvm, "kafka.Kafka", file])


def ensure_topics(settings: Settings) -> list[str]:
    """Create the three topics where they are missing; return the names of those created.

    Raises:
        UserError: the cluster refuses to create a topic.
    """
    created = []
    try:
        client = KafkaAdminClient(**settings.kafka_client(), client_id="telecom-topics")
        try:
            wanted = {settings.cdr_topic, settings.clean_topic, settings.error_topic}
            for topic in sorted(wanted - set(client.list_topics())):
                with suppress(TopicAlreadyExistsError):
                    client.create_topics([NewTopic(topic, num_partitions=PARTITIONS, replication_factor=-1)])
                    created.append(topic)
        finally:
            client.close()
    except KafkaError as error:
        raise UserError(f"Kafka at {settings.kafka_bootstrap_servers} did not create the topics: {error}") from None
    return created


def _addresses(settings: Settings) -> list[tuple[str, int]]:
    parts = [server.rsplit(":", 1) for server in settings.kafka_bootstrap_servers.split(",")]
    return [(host, int(port)) for host, port in parts]


def _server_properties(home: Path, host: str, port: int) -> str:
    """Return the configuration of a broker that keeps everything and takes records up to 8 MiB."""
    controller = _controller_port(port)
    return "\n".join(
        [
            "process.roles=broker,controller",
            "node.id=1",
            f"controller.quorum.voters=1@{host}:{controller}",
            f"listeners=BROKER://{host}:{port},CONTROLLER://{host}:{controller}",
            f"advertised.listeners=BROKER://{host}:{port}",
            "listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name=BROKER",
            "controller.listener.names=CONTROLLER",
            f"log.dirs={home / 'data'}",
            "auto.create.topics.enable=false",
            "default.replication.factor=1",
            "offsets.topic.replication.factor=1",
            "offsets.topic.num.partitions=4",
            "transaction.state.log.replication.factor=1",
            "transaction.state.log.min.isr=1",
            "group.initial.rebalance.delay.ms=0",
            "log.retention.ms=-1",
            "message.max.bytes=8388608",
            "replica.fetch.max.bytes=8388608",
            "",
        ]
    )


def _controller_port(port: int) -> int:
    """Return the port of the controller's listener, far from where a second broker would be put."""
    return port + 1000 if port + 1000 <= 65535 else port - 1000
