"""One home with the whole stack in it: its commands, its servers, what can be observed of both, and copies of it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from ingestion.console import UserError
from ingestion.settings import PROJECT_ROOT, Service, Settings
from stack import kafka, processes

TELECOM = Path(sys.executable).with_name("telecom")
PATIENCE = 1_200
"""Seconds until a command must have come to the moment that is waited for, or to its end."""
POLL_SECONDS = 0.02
SERVERS: tuple[Service, ...] = ("kafka", "postgres", "thrift")


class ChaosError(UserError):
    """What should have happened did not: a command that failed, a moment that never came."""


class Command:
    """A `telecom` command at work, with its children in a process group of their own."""

    def __init__(self, world: "World", arguments: tuple[str, ...]) -> None:
        self.line = f"telecom {' '.join(arguments)}"
        self.log = world.settings.home.with_name("chaos.log")
        environment = {**os.environ, "TELECOM_CDR_TOPIC": world.settings.cdr_topic}
        with self.log.open("ab") as log:
            log.write(f"\n--- {self.line}\n".encode())
            log.flush()
            self._began = log.tell()
            self.process = subprocess.Popen(
                [TELECOM, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=PROJECT_ROOT,
                env=environment,
            )

    def said(self) -> str:
        """Return what the command has printed so far."""
        with self.log.open("rb") as log:
            log.seek(self._began)
            return log.read().decode(errors="replace")

    def reach(self, moment: Callable[[], bool]) -> None:
        """Wait for a moment, which must come before the command ends."""
        deadline = time.monotonic() + PATIENCE
        while not moment():
            self.must_be_at_work()
            if time.monotonic() > deadline:
                raise ChaosError(f"`{self.line}` did not come so far in {PATIENCE} s: {self.said()[-600:]}")
            time.sleep(POLL_SECONDS)

    def must_be_at_work(self) -> None:
        """Make sure that the command has not ended: a fault that strikes nobody proves nothing."""
        if self.process.poll() is not None:
            raise ChaosError(f"`{self.line}` ended before it was struck: {self.said()[-600:]}")

    def end(self) -> int:
        """Wait for the command's end and return its exit code; a failure is told in a line, without a traceback."""
        code = self.process.wait(PATIENCE)
        said = self.said()
        if "Traceback (most recent call last)" in said:
            raise ChaosError(f"`{self.line}` ended in a traceback: {said[-2000:]}")
        if code and not any(line.startswith("telecom: ") for line in said.splitlines()):
            raise ChaosError(f"`{self.line}` ended with code {code} and does not say why: {said[-600:]}")
        return code

    def kill(self) -> None:
        """Kill the command with all its children, which must still be at work."""
        self.must_be_at_work()
        os.killpg(self.process.pid, signal.SIGKILL)
        if self.process.wait() != -signal.SIGKILL:
            raise ChaosError(f"`{self.line}` ended before it could be killed: {self.said()[-600:]}")

    def kill_dbt(self) -> None:
        """Kill the dbt that the command runs, and nothing else."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.Error):
                if "dbt.cli.main" in child.cmdline():
                    child.kill()
                    return
        raise ChaosError(f"`{self.line}` runs no dbt that could be killed")


class World:
    """The stack of one home."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._commands: list[Command] = []

    def start(self, *arguments: str) -> Command:
        """Start a command in the background; dbt's log begins anew with it."""
        (self.settings.logs / "dbt.log").unlink(missing_ok=True)
        self._commands.append(Command(self, arguments))
        return self._commands[-1]

    def telecom(self, *arguments: str) -> str:
        """Run a command that has to succeed, and return what it printed."""
        command = self.start(*arguments)
        if command.end() != 0:
            raise ChaosError(f"`{command.line}` failed: {command.said()[-1500:]}")
        return command.said()

    def try_a_second_run(self) -> None:
        """Type `telecom run` while a run is at work: it has to be refused."""
        second = Command(self, ("run",))
        if second.end() == 0 or "another `telecom run`" not in second.said():
            raise ChaosError(f"a second `telecom run` was not refused: {second.said()[-600:]}")

    def kill_server(self, name: Service) -> None:
        """Kill a server's process, and no child of it: those have to notice by themselves."""
        process = processes.running(self.settings, name)
        if process is None:
            raise ChaosError(f"{name} does not run, so it cannot be killed")
        process.kill()
        while processes.running(self.settings, name):
            time.sleep(POLL_SECONDS)

    def kill_all(self) -> None:
        """Kill what runs of the three servers, and commands that are still at work."""
        for command in self._commands:
            if command.process.poll() is None:
                command.kill()
        self._commands.clear()
        for name in SERVERS:
            if processes.running(self.settings, name):
                self.kill_server(name)

    def save(self, copy: Path) -> None:
        """Stop the servers and copy the home."""
        self.telecom("down")
        _copy(self.settings.home, copy)

    def restore(self, copy: Path) -> None:
        """Put the copy of a home into the place of this one, whose servers are killed, and start them."""
        self.kill_all()
        _wait_until_gone(self.settings.home)
        shutil.rmtree(self.settings.home)
        _copy(copy, self.settings.home)
        self.telecom("up")

    # what can be observed from outside

    def ends(self, topic: str | None = None) -> dict[int, int]:
        """Return where each partition of a topic ends, by default of usage records; nothing while no broker answers."""
        if not kafka.reachable(self.settings):
            return {}
        try:
            consumer = KafkaConsumer(**self.settings.kafka_client(), request_timeout_ms=5_000)
            try:
                name = topic or self.settings.cdr_topic
                ends = consumer.end_offsets([TopicPartition(name, number) for number in range(kafka.PARTITIONS)])
                return {place.partition: int(end) for place, end in ends.items()}
            finally:
                consumer.close()
        except KafkaError:
            return {}

    def in_topic(self, topic: str | None = None) -> int:
        """Return how many messages a topic has, by default that of usage records."""
        return sum(self.ends(topic).values())

    def landed(self) -> int:
        """Return how many rows the landing table's log of commits has."""
        rows = 0
        for commit in Path(self.settings.landing_table, "_delta_log").glob("*[0-9].json"):
            with suppress(ValueError, OSError):
                actions = [json.loads(line) for line in commit.read_text().splitlines()]
                rows += sum(json.loads(a["add"]["stats"])["numRecords"] for a in actions if "add" in a)
        return rows

    def served(self) -> int | None:
        """Return how many usage records PostgreSQL serves, None while it does not answer."""
        try:
            with self.administrator() as connection:
                row = connection.execute("select count(*) from usage_records").fetchone()
                return int(row[0]) if row else None
        except psycopg.Error:
            return None

    def dbt_began(self, node: str) -> bool:
        """Return whether dbt has begun a node in the command at work."""
        try:
            log = (self.settings.logs / "dbt.log").read_text(errors="replace")
        except OSError:
            return False
        return re.search(rf" START [a-z_ ]+ telecom\.{node} ", log) is not None

    def data_files(self, table: str) -> set[Path]:
        """Return the data files of one of dbt's tables, committed or not."""
        folder = Path(self.settings.warehouse_root, f"{self.settings.dbt_schema}.db", table)
        return set(folder.rglob("*.parquet"))

    def administrator(self) -> psycopg.Connection:
        """Open a session of PostgreSQL's superuser, in the pipeline's database."""
        login = {"user": "telecom_admin", "password": self.settings.secret("admin")}
        return psycopg.connect(**self.settings.postgres_connection() | login, autocommit=True)  # type: ignore[arg-type]


def _copy(source: Path, target: Path) -> None:
    """Copy a folder with the owners of its files: PostgreSQL starts on nobody else's."""
    subprocess.run(["cp", "--archive", source, target], check=True)


def _wait_until_gone(home: Path) -> None:
    """Wait until no process works in a home any more: PostgreSQL's children outlive it for a moment."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if not any(str(home) in (process.info["cwd"] or "") for process in psutil.process_iter(["cwd"])):
            return
        time.sleep(0.1)
    raise ChaosError(f"something still works in {home}")
