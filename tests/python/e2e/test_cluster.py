"""The pipeline on a cluster, of which a broker and a worker die on the way, beside the same records on one machine."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos.outcome import Difference, Outcome, compare_refilled, compare_served, read_outcome
from chaos.world import World
from clusters import SPARK_DEFAULTS, kill, standalone_spark, three_brokers
from own_machine import environment_restored, free_port, point_at

from ingestion.settings import Settings, settings

pytestmark = [pytest.mark.stack, pytest.mark.slow]

TRAFFIC = ("--count", "10000", "--seed", "11", "--customers", "300")
ANOMALIES = ("--anomalies", "missing=1,corrupt=1,duplicate=2,disorder=5")


@pytest.fixture
def own_environment() -> Iterator[None]:
    """Put the environment back that the test changes for its commands."""
    with environment_restored():
        yield


def start_and_produce(world: World) -> None:
    """Start what is to be started, make customers and traffic of the same seed, and send it."""
    file = str(world.settings.home / "cdr.json")
    world.telecom("up")
    world.telecom("generate", *TRAFFIC, *ANOMALIES, "--load-customers", "--out", file)
    world.telecom("produce", file)


def one_machine(home: Path) -> Outcome:
    point_at(home)
    world = World(settings())
    try:
        start_and_produce(world)
        world.telecom("run")
        return read_outcome(world)
    finally:
        world.kill_all()


def point_at_cluster(home: Path, shared: Path) -> Settings:
    """Point commands at three brokers and a Spark master, and at storage that the workers share."""
    point_at(home)
    home.mkdir()
    (home / "spark-defaults.conf").write_text(SPARK_DEFAULTS)
    os.environ |= {
        "TELECOM_SERVICES": "postgres,thrift",
        "KAFKA_BOOTSTRAP_SERVERS": ",".join(f"127.0.0.1:{free_port()}" for _ in range(3)),
        "SPARK_MASTER": f"spark://127.0.0.1:{free_port()}",
        "SPARK_CONF_DIR": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "LANDING_PATH": str(shared / "landing"),
        "WAREHOUSE_PATH": str(shared / "warehouse"),
    }
    settings.cache_clear()
    return settings()


def test_a_cluster_that_loses_a_broker_and_a_worker_gives_the_same_bills(own_environment: None, home: Path):
    calm = one_machine(home / "one")
    assert all((calm.landed, *calm.served.values()))

    config = point_at_cluster(home / "many", home / "shared")
    world = World(config)
    with three_brokers(config) as brokers, standalone_spark(config) as workers:
        try:
            start_and_produce(world)
            mediation = world.start("mediate", "--once", "--max-per-batch", "1000")
            mediation.reach(lambda: world.landed() >= 2_000)
            kill(brokers[0])
            assert mediation.end() == 0, mediation.said()[-2000:]
            run = world.start("run")
            run.reach(lambda: world.dbt_began("rated_usage"))
            kill(workers[0])
            assert run.end() == 0, run.said()[-2000:]
            found = read_outcome(world)
            assert compare_refilled(calm, found, world.ends(), config.cdr_topic) == Difference()
            assert compare_served(calm, found) == Difference()
        finally:
            world.kill_all()
