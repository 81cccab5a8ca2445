"""Landed errors back into the usage record topic, as they are or with a field put right.

`python -m ingestion.replay --reason R` or `telecom replay --reason R`.

A replayed message names the first landing of its error in its headers, so that the landing zone keeps both, and the
error counts as resolved once a landing that names it is no error. Replaying again sends only what is still open.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from ingestion.console import UserError, err, out, plain, run_command
from ingestion.landing import PURGED
from ingestion.records import (
    REPLAY_OFFSET_HEADER,
    REPLAY_PARTITION_HEADER,
    REPLAY_TOPIC_HEADER,
    field_names,
    reason_codes,
)
from ingestion.runlog import log_event, logged
from ingestion.settings import Settings, settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SHOWN = 20
"""Errors that a dry run lists."""

Place = tuple[str, int, int]
"""Topic, partition and offset of a message."""


@dataclass(frozen=True)
class OpenError:
    """An error that no later landing resolved: where it was first landed, and its latest bytes and reasons."""

    first: Place
    raw: bytes | None
    reasons: tuple[str, ...]

    def headers(self) -> list[tuple[str, bytes]]:
        """Return the message headers that name the first landing."""
        names = (REPLAY_TOPIC_HEADER, REPLAY_PARTITION_HEADER, REPLAY_OFFSET_HEADER)
        return [(name, str(part).encode()) for name, part in zip(names, self.first, strict=True)]


@dataclass
class Outcome:
    """What a replay did: errors sent, already on their way, and left because they are no JSON object to put right."""

    sent: int = 0
    on_the_way: int = 0
    unfixable: int = 0


def open_errors(landed: "DataFrame", reason: str) -> "DataFrame":
    """Return the errors that of a reason that are open: first_topic, first_partition, first_offset, raw, error_reasons.

    The landings of one error are its first and those of its replays; the last of them says how it stands, and a
    landing that is no error resolves it for good. One whose bytes were purged has nothing to send.
    """
    from pyspark.sql import functions as F

    first = [F.coalesce(f"replay_{part}", part).alias(f"first_{part}") for part in ("topic", "partition", "offset")]
    interesting = landed.where((F.col("status") == "error") | F.col("replay_offset").isNotNull())
    latest = F.max_by(F.struct("raw", "error_reasons", "record_type"), F.struct("landed_at", "offset"))
    sendable = ~F.col("latest.record_type").eqNullSafe(PURGED)
    return (
        interesting.groupBy(*first)
        .agg(F.every(F.col("status") == "error").alias("open"), latest.alias("latest"))
        .where(F.col("open") & sendable & F.array_contains("latest.error_reasons", reason))
        .select("first_topic", "first_partition", "first_offset", "latest.raw", "latest.error_reasons")
        .orderBy("first_topic", "first_partition", "first_offset")
    )


def fixed(raw: bytes | None, fixes: dict[str, str]) -> bytes | None:
    """Return a record's bytes with fields replaced; without fixes, the bytes as they are.

    Raises:
        ValueError: there are fixes, and the bytes are not one JSON object, or name a field twice.
    """
    if not fixes:
        return raw
    if raw is None:
        raise ValueError("a tombstone has no fields")
    try:
        # numbers stay as they were written: mediation takes a number in a string for the number
        record = json.loads(raw, object_pairs_hook=_unique, parse_float=str, parse_int=_whole)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - to the caller, the record is the fault, not the type
    return json.dumps(record | fixes).encode()


def _whole(digits: str) -> int | str:
    """Return a whole number as it is written: Python reads none of more than 4,300 digits, and a fix may replace it."""
    return int(digits) if len(digits) < 1_000 else digits


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError("a field stands twice")
    return names


def send_open(config: Settings, errors: Iterable[OpenError], on_the_way: set[Place], fixes: dict[str, str]) -> Outcome:
    """Send errors to the usage record topic, other than those on their way, and wait until Kafka has them.

    Raises:
        UserError: Kafka did not take a message; the command typed again sends only those it did not take.
    """
    from kafka import KafkaProducer
    from kafka.errors import KafkaError

    outcome, failures = Outcome(), list[Exception]()
    try:
        producer = KafkaProducer(
            **config.kafka_client(), acks="all", enable_idempotence=True, compression_type="lz4", linger_ms=50
        )
        for error, value in _sendable(errors, on_the_way, fixes, outcome):
            # a tombstone needs a key, so every replay has one
            key = "-".join(map(str, error.first)).encode()
            sent = producer.send(config.cdr_topic, value, key, headers=error.headers())
            sent.add_errback(failures.append)
            outcome.sent += 1
        producer.flush()
        producer.close()
    except KafkaError as error:
        failures.append(error)
    if failures:
        raise UserError(f"Kafka did not take every message: {failures[0]}; type the command again for the rest")
    return outcome


def _sendable(
    errors: Iterable[OpenError], on_the_way: set[Place], fixes: dict[str, str], outcome: Outcome
) -> Iterator[tuple[OpenError, bytes | None]]:
    """Yield each error that can go with the bytes it goes with; count the others."""
    for error in errors:
        if error.first in on_the_way:
            outcome.on_the_way += 1
            continue
        try:
            yield error, fixed(error.raw, fixes)
        except ValueError:
            outcome.unfixable += 1


def replays_on_the_way(spark: "SparkSession", config: Settings, next_offset: dict[tuple[str, int], int]) -> set[Place]:
    """Return the first places of errors whose replay is in the topic and not landed yet."""
    from pyspark.sql import functions as F

    from ingestion.mediation.source import Topic, spark_options
    from ingestion.mediation.transform import replay_columns

    starts = Topic.connect(config).starting_offsets(next_offset)
    tail = (
        spark.read.format("kafka")
        .options(**spark_options(config))
        .option("subscribe", config.cdr_topic)
        .option("startingOffsets", starts)
        .option("includeHeaders", "true")
        .load()
    )
    replayed = tail.select(*replay_columns(F.col("headers"))).where(F.col(REPLAY_OFFSET_HEADER).isNotNull())
    return {tuple(row) for row in replayed.collect()}


def replay_errors(config: Settings, reason: str, fixes: dict[str, str], *, dry_run: bool) -> Outcome:
    """Send the open errors of a reason back into the topic; a dry run only lists the first of them.

    Raises:
        UserError: nothing was landed yet, or Kafka is missing or refuses.
    """
    from pyspark.errors import AnalysisException

    from ingestion.mediation.land import read_position
    from stack.spark import spark_session

    spark = spark_session(config, "replay")
    try:
        try:
            landed = spark.read.format("delta").load(config.landing_table)
        except AnalysisException:
            raise UserError(f"no landing zone at {config.landing_table}: run `telecom mediate` first") from None
        on_the_way = replays_on_the_way(spark, config, read_position(landed).next_offset)
        errors = (
            OpenError((row[0], row[1], row[2]), None if row[3] is None else bytes(row[3]), tuple(row[4]))
            for row in open_errors(landed, reason).toLocalIterator()
        )
        return _list(errors, on_the_way, fixes) if dry_run else send_open(config, errors, on_the_way, fixes)
    finally:
        spark.stop()


def _list(errors: Iterable[OpenError], on_the_way: set[Place], fixes: dict[str, str]) -> Outcome:
    outcome = Outcome()
    for error, value in _sendable(errors, on_the_way, fixes, outcome):
        if outcome.sent < SHOWN:
            topic, partition, offset = error.first
            shown = "(tombstone)" if value is None else value[:200].decode(errors="replace")
            out.print(plain(f"{topic}/{partition}/{offset} {','.join(error.reasons)}: {shown}"), soft_wrap=True)
        outcome.sent += 1
    return outcome


@logged
def replay(
    reason: Annotated[str, typer.Option("--reason", help="Reason code of the errors, such as INVALID_CALLER_ID.")],
    fix: Annotated[
        list[str] | None,
        typer.Option("--fix", help="Put this value into this field of every record.", metavar="FIELD=VALUE"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and send nothing.")] = False,
) -> None:
    """Send landed errors back into the usage record topic, those only that no replay has resolved."""
    if reason not in reason_codes():
        raise UserError(f"--reason {reason}: no such reason; there are {', '.join(reason_codes())}")
    outcome = replay_errors(settings(), reason, parse_fixes(fix or []), dry_run=dry_run)
    log_event("errors replayed", reason=reason, dry_run=dry_run, **asdict(outcome))
    out.print(f"{outcome.sent:,} errors {'would go' if dry_run else 'sent'} to {settings().cdr_topic}")
    if outcome.on_the_way:
        err.print(f"{outcome.on_the_way:,} are on their way already: `telecom mediate` lands them")
    if outcome.unfixable:
        err.print(f"{outcome.unfixable:,} are left: not a JSON object that --fix could put right")


def parse_fixes(texts: Iterable[str]) -> dict[str, str]:
    """Return the value of each field to put right.

    Raises:
        UserError: a text is not FIELD=VALUE, or the contract has no such field.
    """
    fixes = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in field_names():
            raise UserError(f"--fix {text}: write FIELD=VALUE with a field of {', '.join(field_names())}")
        fixes[name] = value
    return fixes


if __name__ == "__main__":
    run_command(replay)
