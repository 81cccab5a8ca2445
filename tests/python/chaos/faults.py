"""What strikes whom, and when. A fault is a command at work, the moment that is waited for, and the blow.

Moments are what anybody can see from outside: messages in a topic, commits of the landing table, dbt's log, data files,
a session of PostgreSQL that waits. Where a moment would be over too soon, the harness holds it open with a lock on the
table that comes next.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg
from psycopg import sql

from chaos.world import POLL_SECONDS, ChaosError, Command, World
from ingestion.locks import alone, at_work
from ingestion.settings import Service

Moment = Callable[[World], bool]
Blow = Callable[[World, Command], str]
"""Strikes, and returns what became of the command at work: killed, failed (in one line) or went on."""

BATCH = 2_000
"""Messages a batch while mediation is struck, so that there are several of them."""
RUN = ("run",)
PRODUCE = ("produce", "{file}")
MEDIATE = ("mediate", "--once", "--max-per-batch", str(BATCH))


@dataclass(frozen=True)
class Fault:
    """One blow.

    Attributes:
        name: what a person would call it.
        work: the arguments of `telecom` for the command at work; `{file}` stands for the file of records.
        moment: when it is struck.
        blow: what happens then.
        held: a table of PostgreSQL that is locked until the blow has fallen.
    """

    name: str
    work: tuple[str, ...]
    moment: Moment
    blow: Blow
    held: str | None = None


@dataclass(frozen=True)
class Stage:
    """Faults that follow each other in one home, with one undisturbed `telecom run` at the end.

    Attributes:
        name: the stage.
        faults: in the order in which they strike.
        refills: the stage fills a topic of its own, which gets lines twice, instead of the one the calm run read.
        lands_first: everything is landed before the first fault.
    """

    name: str
    faults: tuple[Fault, ...]
    refills: bool = False
    lands_first: bool = False


# moments


def filled(messages: int) -> Moment:
    """The topic has at least so many messages."""
    return lambda world: world.in_topic() >= messages


def landed_more() -> Moment:
    """The landing table has got another batch since this was asked first."""
    before: list[int] = []

    def moment(world: World) -> bool:
        rows = world.landed()
        before[:] = before or [rows]
        return rows > before[0]

    return moment


def feeding() -> Moment:
    """The clean topic has got messages since this was asked first."""
    before: list[int] = []

    def moment(world: World) -> bool:
        messages = world.in_topic(world.settings.clean_topic)
        before[:] = before or [messages]
        return messages > before[0]

    return moment


def building(node: str) -> Moment:
    """Dbt has begun a node."""
    return lambda world: world.dbt_began(node)


def writing(table: str) -> Moment:
    """Data files of a table of dbt's are appearing."""
    before: list[set[object]] = []

    def moment(world: World) -> bool:
        files: set[object] = {*world.data_files(table)}
        before[:] = before or [files]
        return bool(files - before[0])

    return moment


def dropped(table: str) -> Moment:
    """The data files of a table of dbt's were there and are gone."""
    before: list[bool] = []

    def moment(world: World) -> bool:
        there = bool(world.data_files(table))
        before[:] = before or [there]
        return before == [True] and not there

    return moment


def waiting_for(table: str) -> Moment:
    """A session waits for the lock that the harness holds on a table."""
    schema, name = table.split(".")

    def moment(world: World) -> bool:
        with suppress(psycopg.Error), world.administrator() as connection:
            query = "select 1 from pg_locks where not granted and relation = %s::regclass"
            return connection.execute(query, (f"{schema}.{name}",)).fetchone() is not None
        return False

    return moment


# blows


def kill_it(world: World, command: Command) -> str:
    """Kill the command with its children."""
    command.kill()
    return "killed"


def kill_dbt(world: World, command: Command) -> str:
    """Kill dbt alone; the command has to say so in one line."""
    command.kill_dbt()
    return _must_fail(command)


def kill_run_alone(world: World, command: Command) -> str:
    """Kill the command and leave its dbt at work: until that ends, no second run may begin."""
    command.process.kill()
    command.process.wait()
    world.try_a_second_run()
    while at_work(world.settings, "run"):
        time.sleep(POLL_SECONDS)
    return "killed"


def bounce(name: Service) -> Blow:
    """Kill a server under the command and start it again at once: the command lives through it, or ends in one line."""

    def blow(world: World, command: Command) -> str:
        world.kill_server(name)
        command.must_be_at_work()
        world.telecom("up")
        return "failed" if command.end() else "went on"

    return blow


def kill_everything(world: World, command: Command) -> str:
    """Kill the command and all three servers, as a power cut would, and start them again."""
    command.kill()
    world.kill_all()
    world.telecom("up")
    return "killed"


def refuse_postgres(world: World, command: Command) -> str:
    """Let PostgreSQL refuse connections, and close those that there are, until the command has ended."""
    database = sql.Identifier(world.settings.pgdatabase)
    login = {"user": "telecom_admin", "password": world.settings.secret("admin"), "dbname": "postgres"}
    with psycopg.connect(**world.settings.postgres_connection() | login, autocommit=True) as connection:  # type: ignore[arg-type]
        connection.execute(sql.SQL("alter database {} allow_connections false").format(database))
        try:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s",
                (world.settings.pgdatabase,),
            )
            return _must_fail(command)
        finally:
            connection.execute(sql.SQL("alter database {} allow_connections true").format(database))


def _must_fail(command: Command) -> str:
    if command.end() == 0:
        raise ChaosError(f"`{command.line}` says that all is well: {command.said()[-600:]}")
    return "failed"


@contextmanager
def held(world: World, table: str | None) -> Iterator[None]:
    """Hold a table of PostgreSQL, so that whoever wants to write to it waits."""
    if table is None:
        yield
        return
    connection = world.administrator()
    connection.autocommit = False
    try:
        connection.execute(sql.SQL("lock table {} in share mode").format(sql.Identifier(*table.split("."))))
        yield
    finally:
        with suppress(psycopg.Error):
            connection.close()


@contextmanager
def mediation_at_rest(world: World, stage: Stage) -> Iterator[None]:
    """Keep mediation's lock where everything is landed already, so that a run does not start it once more."""
    if not stage.lands_first:
        yield
        return
    with alone(world.settings, "mediation"):
        yield


def export_fault(name: str, table: str, blow: Blow) -> Fault:
    """Return a fault that strikes while the export waits for a table."""
    return Fault(name, RUN, waiting_for(table), blow, held=table)


def stages(count: int) -> tuple[Stage, ...]:
    """Return the matrix for a file of `count` records."""
    return (
        Stage(
            "intake",
            (
                Fault("producer killed at its first messages", (*PRODUCE, "--rate", "2000"), filled(1), kill_it),
                Fault("producer killed in the middle", (*PRODUCE, "--rate", "2000"), filled(count // 2), kill_it),
                Fault("Kafka killed under the producer", (*PRODUCE, "--rate", "1000"), filled(count), bounce("kafka")),
            ),
            refills=True,
        ),
        Stage(
            "mediation",
            (
                Fault("mediation killed when a batch is landed", MEDIATE, landed_more(), kill_it),
                Fault("mediation killed while it feeds the topics", MEDIATE, feeding(), kill_it),
                Fault("Kafka killed under mediation", MEDIATE, landed_more(), bounce("kafka")),
            ),
        ),
        Stage(
            "rating",
            (
                Fault("dbt killed at the seeds", RUN, building("product_rates"), kill_dbt),
                Fault("PostgreSQL refuses connections", RUN, building("customers_snapshot"), refuse_postgres),
                Fault("Thrift killed when it dropped a seed", RUN, dropped("product_rates"), bounce("thrift")),
                Fault("Thrift killed while rates are prepared", RUN, writing("rate_cards"), bounce("thrift")),
                Fault("Thrift killed while usage is rated", RUN, writing("rated_usage"), bounce("thrift")),
                Fault("run killed, its rating left to Thrift", RUN, writing("rated_usage"), kill_it),
                Fault("dbt killed at the bills", RUN, building("bill_lines"), kill_dbt),
                Fault("run killed alone, its dbt goes on", RUN, building("rated_usage"), kill_run_alone),
            ),
            lands_first=True,
        ),
        Stage(
            "export",
            (
                export_fault("PostgreSQL killed while usage is exported", "staged.usage_records", bounce("postgres")),
                export_fault("Thrift killed while usage is exported", "staged.usage_records", bounce("thrift")),
                export_fault("run killed while bills are exported", "staged.bills", kill_it),
                export_fault("all killed while a run is published", "public.bills", kill_everything),
                export_fault("PostgreSQL killed while a run is published", "public.bills", bounce("postgres")),
                export_fault("dbt killed while a run is published", "public.bills", kill_dbt),
            ),
            lands_first=True,
        ),
    )
