"""Mediation as a stream: from the usage record topic to the landing zone, then to the clean and the error topic.

`python -m ingestion.stream_mediation` or `telecom mediate`.

Spark's checkpoint of the stream lives as long as the process. What survives is the landing table, which says where to
go on, and a note of the last batch that both topics got (docs/decisions/0020-the-landing-table-is-the-checkpoint.md).
"""

import re
import signal
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from ingestion.console import UserError, out, run_command
from ingestion.locks import alone
from ingestion.runlog import log_event, logged, seconds_since
from ingestion.settings import Settings, settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming import StreamingQuery

    from ingestion.mediation.land import Arrivals, Landing, Outcome
    from ingestion.mediation.note import Note
    from ingestion.mediation.source import Topic

MAX_PER_BATCH = 262_144
"""Messages a batch at most, unless told otherwise: about 100 MB of executors' memory, for two at a time.

Of a million messages, four batches of a round 250,000 would leave a fifth one of the few that Spark rounds off.
"""
LONGEST_INTERVAL, MOST_PER_BATCH = 86_400.0, 1_000_000_000
"""Seconds, and messages, that a person may ask for: beyond them Spark cannot read its own options."""
OPTIMISE_EVERY = 100
"""Batches between two rounds of maintenance."""

SESSION = {
    # a generated method of more than 8,000 bytes is never compiled by the JVM, which made parsing three times slower
    "spark.sql.codegen.hugeMethodLimit": "8000",
    # cut into pieces as small as Spark's own default, the code takes a tenth more processor time
    "spark.sql.codegen.methodSplitThreshold": "8192",
    # a batch is kept for seconds: to compress it took longer than to land it
    "spark.sql.inMemoryColumnarStorage.compressed": "false",
}


@dataclass
class Mediation:
    """One run of mediation: what it reads, where it lands, and how it stops."""

    spark: "SparkSession"
    config: Settings
    topic: "Topic"
    landing: "Landing"
    note: "Note"
    stopping: Event
    max_per_batch: int
    failure: Exception | None = None
    _under_way: "Future[None] | None" = None
    """The last batch: judged, and being landed and fed, or done with."""
    _beside: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "landing"))

    def process(self, judged: "DataFrame", _spark_batch_id: int) -> None:
        """Judge a micro-batch, and have it landed: while Spark goes on to the next one, where a next one waits.

        Spark then takes a batch for done before it is landed. That is no promise: the landing table is the checkpoint.
        """
        from pyspark import StorageLevel

        from ingestion.mediation.land import collect

        if self.stopping.is_set():
            return  # unlanded, so the next run begins here
        began = time.monotonic()
        judged.persist(StorageLevel.MEMORY_AND_DISK)
        try:
            arrivals = collect(judged)
            self._finish()  # of two batches that are not both landed and fed, a start would not know
        except Exception as error:
            self.failure = error
            judged.unpersist()
            raise
        self._under_way = self._beside.submit(self._land, judged, arrivals, began)
        if arrivals.offset.size < self.max_per_batch // 2:
            # nothing waits behind a batch that is far from full: to read on beside it would only keep it from landing
            self._finish()

    def _finish(self) -> None:
        """Wait until the last batch is landed and fed; raises what went wrong with it."""
        if self._under_way:
            self._under_way.result()

    def _land(self, judged: "DataFrame", arrivals: "Arrivals", began: float) -> None:
        """Land a batch of judged records and feed the topics from what was landed."""
        from ingestion.mediation.topics import feed

        try:
            outcome = self.landing.land(judged, arrivals)
            if outcome.landed:
                feed(outcome.landed, self.config)
                self._note_fed()
                out.print(self._status_line(outcome, time.monotonic() - began), soft_wrap=True)
                self._log(outcome, seconds_since(began))
        except Exception as error:
            self.failure = error
            raise
        finally:
            judged.unpersist()
        if self.landing.position.batch_id % OPTIMISE_EVERY == OPTIMISE_EVERY - 1:
            self.landing.maintain()

    def feed_unfed(self) -> None:
        """Feed the topics with the last landed batch, unless a note says that they have it."""
        from ingestion.mediation.topics import feed

        batch_id = self.landing.position.batch_id
        if batch_id >= 0 and self.note.read() != str(batch_id):
            feed(self.landing.last_batch(), self.config)
            self._note_fed()

    def start(self, *, once: bool, interval: float, skip_lost: bool = False) -> "StreamingQuery":
        """Start the stream where the landing table says that it goes on."""
        from ingestion.mediation.source import spark_options
        from ingestion.mediation.transform import judge

        checkpoint = f"{self.config.checkpoint_root}/mediation"
        self.note.delete_beside("mediation")
        messages = (
            self.spark.readStream.format("kafka")
            .options(**spark_options(self.config))
            .option("subscribe", self.config.cdr_topic)
            .option(
                "startingOffsets", self.topic.starting_offsets(self.landing.position.next_offset, skip_lost=skip_lost)
            )
            .option("failOnDataLoss", "true")
            .option("includeHeaders", "true")
            .option("maxOffsetsPerTrigger", self.max_per_batch)
            .load()
        )
        # judged before foreachBatch: there the plan would be built and analysed anew for each batch
        writer = judge(messages, self.config.country_code).writeStream.foreachBatch(self.process)
        writer = writer.option("checkpointLocation", f"{checkpoint}/{uuid.uuid4()}")
        if once:
            return writer.trigger(availableNow=True).start()
        return writer.trigger(processingTime=f"{round(interval * 1000)} milliseconds").start()

    def wait(self, query: "StreamingQuery") -> None:
        """Wait for the stream's end, or for a request to stop, which lets the batch at work finish.

        Raises:
            UserError: the stream failed; the line says why.
        """
        try:
            while not query.awaitTermination(0.5):
                # where no message comes any more, nothing else would notice that the last batch failed
                failed = self._under_way and self._under_way.done() and self._under_way.exception()
                if (failed or self.stopping.is_set()) and not query.status["isTriggerActive"]:
                    query.stop()
            self._finish()
        except Exception as error:
            self._beside.shutdown()  # a batch that is being landed is landed and fed all the same
            if isinstance(self.failure, UserError):
                raise self.failure from None
            raise UserError(f"mediation stopped: {_cause(error, self.failure)}; nothing landed is lost") from None

    def _note_fed(self) -> None:
        self.note.write(str(self.landing.position.batch_id))

    def _status_line(self, outcome: "Outcome", seconds: float) -> str:
        position = self.landing.position
        lag = self.topic.lag({place: offset for (_, place), offset in position.next_offset.items()})
        return (
            f"batch {position.batch_id}: received {outcome.received:,}, normal {outcome.normal:,}, "
            f"error {outcome.error:,}, duplicate {outcome.duplicate:,}; "
            f"{outcome.received / seconds:,.0f}/s in {seconds:.1f} s, "
            f"lag {'unknown: Kafka does not answer' if lag is None else f'{lag:,}'}"
        )

    def _log(self, outcome: "Outcome", seconds: float) -> None:
        position = self.landing.position
        following = {f"{topic}/{number}": offset for (topic, number), offset in position.next_offset.items()}
        log_event(
            "batch landed",
            batch_id=position.batch_id,
            received=outcome.received,
            normal=outcome.normal,
            error=outcome.error,
            duplicate=outcome.duplicate,
            next_offsets=following,
            seconds=seconds,
        )


def _cause(error: Exception, failure: Exception | None) -> str:
    """Return what the innermost exception of the JVM says, or the first line of all, if no batch failed in here."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    if failure is not None and not isinstance(failure, PySparkException | Py4JError):
        return f"{type(failure).__name__}: {failure}"
    causes: list[str] = re.findall(r"Caused by: (?:[\w.$]+(?:Exception|Error): )?([^\n]+)", str(error))
    return causes[-1] if causes else str(error).splitlines()[0]


@logged
def mediate(
    once: Annotated[bool, typer.Option("--once", help="Take what is in the topic now, and end.")] = False,
    interval: Annotated[
        float,
        typer.Option(
            "--interval", min=0, max=LONGEST_INTERVAL, help="Seconds from the start of a batch to the next, at least."
        ),
    ] = 1.0,
    max_per_batch: Annotated[
        int,
        typer.Option(
            "--max-per-batch", min=1, max=MOST_PER_BATCH, help="Messages a batch at most; bounds the memory needed."
        ),
    ] = MAX_PER_BATCH,
    skip_lost: Annotated[
        bool,
        typer.Option("--skip-lost", help="Go on without messages that Kafka dropped unread; assurance names them."),
    ] = False,
) -> None:
    """Check, deduplicate and land usage records, and pass them on to the clean and the error topic."""
    run(settings(), once=once, interval=interval, max_per_batch=max_per_batch, skip_lost=skip_lost)


def run(
    config: Settings,
    *,
    once: bool,
    interval: float = 1.0,
    max_per_batch: int = MAX_PER_BATCH,
    skip_lost: bool = False,
) -> None:
    """Mediate until the topic is empty (`once`), or until SIGTERM or Ctrl-C; a batch at work is finished first.

    Raises:
        UserError: Kafka or Java is missing, another mediation is at work, or messages would be lost.
    """
    from ingestion.mediation.land import Landing
    from ingestion.mediation.note import Note
    from ingestion.mediation.source import Topic
    from stack.spark import spark_session

    stopping = Event()
    with alone(config, "mediation"):
        topic = Topic.connect(config)
        spark = spark_session(config, "mediation")
        for name, value in SESSION.items():
            spark.conf.set(name, value)
        try:
            # after the session, which takes Ctrl-C to cancel the jobs at work
            with _stop_signals(stopping):
                landing = Landing(spark, config.landing_table, config.home / "seen")
                note = Note(spark, config.checkpoint_root)
                mediation = Mediation(spark, config, topic, landing, note, stopping, max_per_batch)
                mediation.feed_unfed()
                query = mediation.start(once=once, interval=interval, skip_lost=skip_lost)
                mediation.wait(query)
                out.print(f"stopped after batch {landing.position.batch_id}")
        finally:
            spark.stop()


@contextmanager
def _stop_signals(stopping: Event) -> Iterator[None]:
    """Turn SIGTERM and Ctrl-C into a request to stop; a second Ctrl-C ends the process at once."""

    def stop(number: int, _frame: object) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    run_command(mediate)
