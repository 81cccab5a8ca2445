"""The one-machine stack as a whole: up, status, down, and what a command needs of it."""

import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from ingestion.console import UserError
from ingestion.settings import Service, Settings
from stack import kafka, postgres, processes, thrift
from stack.jars import jar_folder
from stack.java import java
from stack.secrets import ensure_secrets

FREE_DISK_MIB = 1024
DATA_FOLDERS = (
    *("kafka", "postgres", "thrift", "metastore", "warehouse"),
    *("landing", "checkpoint", "seen", "demo", "target", "logs", "run"),
)


@dataclass(frozen=True)
class Server:
    """One of the three servers: how people call it, where it is, how it is asked, started and stopped."""

    title: str
    variables: str
    address: Callable[[Settings], str]
    answers: Callable[[Settings], bool]
    start: Callable[[Settings], None]
    stop: Callable[[Settings], bool]


SERVERS: dict[Service, Server] = {
    "kafka": Server(
        "Kafka",
        "KAFKA_BOOTSTRAP_SERVERS",
        lambda settings: settings.kafka_bootstrap_servers,
        kafka.answers,
        kafka.start,
        lambda settings: processes.stop(settings, "kafka"),
    ),
    "postgres": Server(
        "PostgreSQL",
        "PGHOST, PGPORT, PGUSER, PGPASSWORD",
        lambda settings: f"{settings.pghost}:{settings.pgport}/{settings.pgdatabase}",
        postgres.answers,
        postgres.start,
        postgres.stop,
    ),
    "thrift": Server(
        "Spark Thrift",
        "SPARK_THRIFT_HOST, SPARK_THRIFT_PORT",
        lambda settings: f"{settings.spark_thrift_host}:{settings.spark_thrift_port}",
        thrift.answers,
        thrift.start,
        lambda settings: processes.stop(settings, "thrift"),
    ),
}


@dataclass(frozen=True)
class State:
    """What `status` says of one server; memory in MiB, and only of a process that this stack started."""

    title: str
    address: str
    answers: bool
    pid: int | None
    memory_mib: int | None
    log: str


def up(settings: Settings, report: Callable[[str], None]) -> None:
    """Start what is not running, wait until all answer, and create topics, schema and landing table.

    Typed twice, it starts nothing and changes nothing. `report` gets a line for each thing done.

    Raises:
        UserError: something cannot be started or reached; the line says what and where its log is.
    """
    java(settings)
    ensure_secrets(settings)
    _require_disk(settings)
    if "kafka" in settings.services or "thrift" in settings.services:
        jar_folder(settings, "spark")
    with ThreadPoolExecutor(len(SERVERS)) as pool:
        starting = {pool.submit(_ensure, settings, name): name for name in SERVERS}
        for done in as_completed(starting):
            report(done.result())
    from serving.schema import apply_schema

    created = kafka.ensure_topics(settings)
    report(f"Kafka topics: {', '.join(created)} created" if created else "Kafka topics: all there")
    apply_schema(settings)
    thrift.ensure_landing(settings)
    report(f"Landing zone: {settings.landing_table}")


def status(settings: Settings) -> list[State]:
    """Return the state of each server."""
    states = []
    for name, server in SERVERS.items():
        process = processes.running(settings, name)
        states.append(
            State(
                server.title,
                server.address(settings),
                server.answers(settings),
                process.pid if process else None,
                processes.resident_mib(process) if process else None,
                str(processes.log_file(settings, name)) if name in settings.services else "run elsewhere",
            )
        )
    return states


def down(settings: Settings, report: Callable[[str], None]) -> None:
    """Stop the servers that `up` started, the reader before what it reads; their data stay."""
    for name in ("thrift", "kafka", "postgres"):
        server = SERVERS[name]
        report(f"{server.title}: stopped" if server.stop(settings) else f"{server.title}: was not running")


def purge(settings: Settings) -> None:
    """Forget everything that the stack kept in its home: data, logs and passwords.

    A landing zone or warehouse that LANDING_PATH or WAREHOUSE_PATH put elsewhere is not touched.
    """
    for folder in DATA_FOLDERS:
        shutil.rmtree(settings.home / folder, ignore_errors=True)
    settings.secrets_file.unlink(missing_ok=True)


def require(settings: Settings, names: Iterable[Service]) -> None:
    """Make sure that the servers a command needs answer.

    Raises:
        UserError: one or more do not; the one line names each and says how to start it.
    """
    missing = [SERVERS[name] for name in names if not SERVERS[name].answers(settings)]
    if missing:
        places = " and ".join(f"{server.title} at {server.address(settings)}" for server in missing)
        raise UserError(f"no answer from {places}: run `telecom up`, or set {'; '.join(s.variables for s in missing)}")


def _ensure(settings: Settings, name: Service) -> str:
    server = SERVERS[name]
    where = f"{server.title} at {server.address(settings)}"
    if name not in settings.services:
        require(settings, [name])
        return f"{where}: answers (run elsewhere)"
    if processes.running(settings, name):
        if server.answers(settings):
            return f"{where}: was running"
        server.stop(settings)  # alive but deaf: nothing else would ever bring it back
    server.start(settings)
    return f"{where}: started"


def _require_disk(settings: Settings) -> None:
    free = shutil.disk_usage(settings.home).free >> 20
    if free < FREE_DISK_MIB:
        raise UserError(
            f"only {free} MiB free below {settings.home}: the stack needs {FREE_DISK_MIB} MiB; "
            "free some space or set TELECOM_HOME to a larger disk"
        )
