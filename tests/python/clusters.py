"""A Kafka of three brokers and a Spark of one master and two workers: each a process, on ports of its own."""

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pyspark
from kafka.admin import KafkaAdminClient
from own_machine import free_port

from ingestion.settings import Settings
from stack import kafka, processes
from stack.java import java

CLUSTER_ID = "dGhyZWUtYnJva2Vycy0wMA"
WORKERS = ("spark-worker-1", "spark-worker-2")
CORES = 2
"""Cores of a worker: one for the Thrift server's executor, one for mediation's."""
SPARK_DEFAULTS = "spark.cores.max 2\nspark.executor.cores 1\nspark.executor.memory 1g\n"
"""What keeps one application from taking the cluster for itself."""


@contextmanager
def three_brokers(settings: Settings) -> Iterator[list[psutil.Process]]:
    """Run a broker on each bootstrap address, three copies of each message, two of which must be written."""
    ports = [int(address.rsplit(":", 1)[1]) for address in settings.kafka_bootstrap_servers.split(",")]
    controllers = [free_port() for _ in ports]
    voters = ",".join(f"{number}@127.0.0.1:{port}" for number, port in enumerate(controllers, 1))
    names = [f"broker-{number}" for number in range(1, len(ports) + 1)]
    running = []
    try:
        for number, (name, port, controller) in enumerate(zip(names, ports, controllers, strict=True), 1):
            properties = f"""
process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
listeners=BROKER://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
log.dirs={settings.home / name / "data"}
auto.create.topics.enable=false
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
"""
            running.append(kafka.launch(settings, name, properties, CLUSTER_ID))
        processes.wait_until(settings, names[-1], lambda: _brokers(settings) == len(ports), running[-1])
        yield running
    finally:
        for name in names:
            processes.stop(settings, name)


@contextmanager
def standalone_spark(settings: Settings) -> Iterator[list[psutil.Process]]:
    """Run Spark's own cluster manager at the settings' master address, and two workers; give the workers."""
    spark_home = Path(pyspark.__path__[0])
    environment = {
        "SPARK_HOME": str(spark_home),
        "JAVA_HOME": str(Path(java(settings)).resolve().parents[1]),
        "SPARK_DAEMON_MEMORY": "256m",
    }
    page = free_port()

    def start(name: str, role: str, *arguments: str | Path) -> psutil.Process:
        command = [spark_home / "bin" / "spark-class", f"org.apache.spark.deploy.{role}", "--host", "127.0.0.1"]
        return processes.start(settings, name, [*command, *arguments], environment)

    port = settings.spark_master.rsplit(":", 1)[1]
    try:
        master = start("spark-master", "master.Master", "--port", port, "--webui-port", str(page))
        processes.wait_until(settings, "spark-master", _alive_workers(page, 0), master)
        workers = [
            start(
                name,
                "worker.Worker",
                *("--cores", str(CORES), "--memory", "2g", "--webui-port", str(free_port())),
                *("--work-dir", settings.home / name, settings.spark_master),
            )
            for name in WORKERS
        ]
        processes.wait_until(settings, WORKERS[-1], _alive_workers(page, len(WORKERS)), workers[-1])
        yield workers
    finally:
        for name in (*WORKERS, "spark-master"):
            processes.stop(settings, name)


def kill(process: psutil.Process) -> None:
    """Kill a server with its children, and wait until they are gone."""
    family = [process, *process.children(recursive=True)]
    for member in family:
        member.kill()
    psutil.wait_procs(family)


def _brokers(settings: Settings) -> int:
    if not kafka.reachable(settings):
        return 0
    client = KafkaAdminClient(**settings.kafka_client())
    try:
        return len(client.describe_cluster()["brokers"])
    finally:
        client.close()


def _alive_workers(page: int, wanted: int) -> Callable[[], bool]:
    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{page}/json", timeout=5) as response:
                return bool(json.load(response)["aliveworkers"] == wanted)
        except OSError:
            return False

    return answers
