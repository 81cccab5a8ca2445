"""What a stage is asked to measure, and the traffic that several stages begin with."""

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.frame import Cost, Row, Side, measure
from ingestion.settings import Settings
from ingestion.traffic.output import write_traffic
from ingestion.traffic.spec import traffic_spec
from ingestion.traffic.stream import Traffic

CUSTOMERS = 10_000
"""Subscribers of the generated traffic."""
BILLED, BILLED_QUICKLY = 100_000, 10_000
"""Customers of the world that is rated and billed."""
MIX = "voice=60,data=30,sms=10"
ANOMALIES = "missing=1,corrupt=1,duplicate=1,disorder=5"


@dataclass(frozen=True)
class Task:
    """One stage at one size.

    Attributes:
        settings: the benchmark's own machine.
        records: how many records to take.
        rounds: how many rounds to measure.
        quick: whether it is more important to be done soon than to be right.
        tell: gets a line after each round.
    """

    settings: Settings
    records: int
    rounds: int
    quick: bool
    tell: Callable[[str], None] = print

    def row(  # noqa: PLR0913 - each is of some stage
        self,
        stage: str,
        ours: Side,
        floor: Side | None = None,
        *,
        warm_up: bool = True,
        records: int | None = None,
        is_throughput: bool = True,
    ) -> Row:
        """Measure a stage in turns with its floor.

        Args:
            stage: name of the row.
            ours: the stage.
            floor: the least that could do the same, where there is such a thing.
            warm_up: whether both are run once unmeasured first.
            records: how many records a round takes, if not the task's.
            is_throughput: whether seconds are those in which the records are done.
        """
        load = os.getloadavg()[0]
        floors = {f"floor of {stage}": floor} if floor else {}
        costs = self.measure(floors | {stage: ours}, warm_up=warm_up)
        return Row(
            stage, records or self.records, costs[stage], costs.get(f"floor of {stage}", []), load, is_throughput
        )

    def measure(self, sides: Mapping[str, Side], *, warm_up: bool) -> dict[str, list[Cost]]:
        """Measure sides in turns; return the costs of each."""
        return measure(self.settings, sides, self.rounds, warm_up=warm_up, tell=self.tell)

    @property
    def customers(self) -> int:
        """How many customers are billed."""
        return BILLED_QUICKLY if self.quick else BILLED

    def derived(self, stage: str, ours: list[float], floors: list[float], records: int) -> Row:
        """Return the row of seconds that were noted while something else was measured."""
        costs = [Cost(one) for one in ours], [Cost(one) for one in floors]
        return Row(stage, records, *costs, os.getloadavg()[0], is_throughput=False)

    def traffic(self) -> Traffic:
        """Return the run of the generator that all stages before rating take."""
        spec = traffic_spec(
            count=self.records,
            mix=MIX,
            anomalies=ANOMALIES,
            seed=1,
            first_day="2025-06-01",
            last_day="2025-06-30",
            customers=CUSTOMERS,
        )
        return Traffic(spec, self.settings.country_code)

    def traffic_file(self) -> Path:
        """Return the file with the generated records, which the first stage to ask for it makes."""
        file = self.settings.home / f"traffic-{self.records}.json"
        if not file.exists():
            part = file.with_suffix(".part")
            write_traffic(self.traffic(), str(part))
            part.rename(file)
        return file

    @contextmanager
    def topics(self) -> Iterator[Settings]:
        """Make three empty topics that nobody else has, and delete them in the end."""
        from kafka.admin import KafkaAdminClient, NewTopic

        from stack.kafka import PARTITIONS

        run = uuid.uuid4().hex[:8]
        names = {f"{kind}_topic": f"bench_{run}_{kind}" for kind in ("cdr", "clean", "error")}
        admin = KafkaAdminClient(**self.settings.kafka_client())
        admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names.values()])
        try:
            yield self.settings.model_copy(update=names)
        finally:
            admin.delete_topics(list(names.values()))
            admin.close()
