"""Mediation as a process, on topics and a landing zone of a test's own: a session in here would end the tests' one."""

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from ingestion.settings import Settings


def own_mediation(stack: Settings, name: str, home: Path, partitions: int = 1) -> Settings:
    """Return the settings of a landing zone below `home`, with three topics called after `name`."""
    topics = {f"{kind}_topic": f"{name}_{kind}" for kind in ("cdr", "clean", "error")}
    admin = KafkaAdminClient(**stack.kafka_client())
    admin.create_topics([NewTopic(topic, partitions, 1) for topic in topics.values()])
    admin.close()
    own = {"home": home, "landing_path": str(home / "landing"), "checkpoint_path": str(home / "checkpoint")}
    return stack.model_copy(update=topics | own)


def environment_of(config: Settings) -> dict[str, str]:
    """Return the environment in which a command takes these settings for its own."""
    return os.environ | {
        "TELECOM_HOME": str(config.home),
        "KAFKA_BOOTSTRAP_SERVERS": config.kafka_bootstrap_servers,
        "TELECOM_CDR_TOPIC": config.cdr_topic,
        "TELECOM_CLEAN_TOPIC": config.clean_topic,
        "TELECOM_ERROR_TOPIC": config.error_topic,
        "LANDING_PATH": config.landing_path,
        "CHECKPOINT_PATH": config.checkpoint_path,
        "SPARK_MASTER": "local[2]",
    }


def mediate(config: Settings, *arguments: str, more: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Take what is in the topic; return the exit code, what was printed, and the errors without the JVM's warnings."""
    result = subprocess.run(
        [sys.executable, "-m", "ingestion.stream_mediation", "--once", *arguments],
        env=environment_of(config) | dict(more or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    errors = [line for line in result.stderr.splitlines() if not line.startswith(("WARNING", "Picked up"))]
    return result.returncode, result.stdout, "\n".join(errors)


def start(config: Settings, module: str, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
    """Start a module of the pipeline in a process group of its own; what it says goes to the end of `log`."""
    command = [sys.executable, "-m", module, *arguments]
    with log.open("ab") as output:
        environment = environment_of(config)
        return subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)


def send(config: Settings, lines: Iterable[bytes], partition: int = 0) -> None:
    """Put lines into a partition of the usage record topic, in order."""
    producer = KafkaProducer(**config.kafka_client())
    for line in lines:
        producer.send(config.cdr_topic, line, partition=partition)
    producer.close()
