"""From messages to judged records: parse, read, judge, identify. DataFrame to DataFrame, without I/O.

Messages have Kafka's columns: topic string, partition int, offset bigint, timestamp timestamp, value binary, and,
where replayed errors are to be recognised, headers array<struct<key string, value binary>>.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ingestion.landing import LANDING_COLUMNS
from ingestion.mediation.rules import READERS, reasons, rules
from ingestion.records import (
    COMMON_FIELDS,
    RECORD_TYPES,
    REPLAY_OFFSET_HEADER,
    REPLAY_PARTITION_HEADER,
    REPLAY_TOPIC_HEADER,
    Kind,
)

REPLAY_HEADERS = {REPLAY_TOPIC_HEADER: "string", REPLAY_PARTITION_HEADER: "int", REPLAY_OFFSET_HEADER: "bigint"}
HEADERS = "array<struct<key string, value binary>>"
LONG_NUMBER = r"[0-9][0-9.]{15}"
"""What does not surely keep its digits on its way through a double."""
NESTED = r"^[\[{]"

JUDGED_COLUMNS = tuple(name for name in LANDING_COLUMNS if name not in ("landed_at", "batch_id"))
"""Columns of a judged record: the landing table's, without those that are the batch's (landed_at, batch_id)."""


def judge(messages: DataFrame, country_code: str) -> DataFrame:
    """Return each message as a record with its status, `normal` or `error`, and every reason: `JUDGED_COLUMNS`.

    Duplicates are still `normal`: what a record repeats is not to be seen in the record.
    """
    return identify(validate(read_fields(parse(messages), country_code)))


def parse(messages: DataFrame) -> DataFrame:
    """Return messages with `fields`, a map from JSON name to text; null where the value is not one JSON object.

    A number's text is its literal, a nested value's text its JSON, and an empty string is as good as null.
    """
    text = F.col("value").cast("string")
    # Spark's reader stops after the first value and would not see what trails it, so the record is read as the
    # first of two; the second names the offset, which the record cannot know and so cannot forge
    pair = F.concat(F.lit("["), text, F.lit(',{"end":"'), F.col("offset").cast("string"), F.lit('"}]'))
    read = F.from_json(pair, "array<map<string,string>>", {"allowSingleQuotes": "false"})
    headers = F.col("headers") if "headers" in messages.columns else F.lit(None).cast(HEADERS)
    opened = messages.select(
        "topic",
        "partition",
        "offset",
        F.col("timestamp").alias("ingested_at"),
        F.col("value").alias("raw"),
        *replay_columns(headers),
        F.when(F.is_valid_utf8(text), read).alias("pair"),
    )
    record = F.get(F.col("pair"), F.lit(0))
    whole = (F.size("pair") == 2) & (F.get(F.col("pair"), F.lit(1))["end"] == F.col("offset").cast("string"))
    keys = F.map_keys(record)
    unique = F.size(F.array_distinct(keys)) == F.size(keys)
    return opened.withColumn("fields", F.when(whole & unique, record)).drop("pair")


def read_fields(parsed: DataFrame, country_code: str) -> DataFrame:
    """Return records with a column for each landed field, and beside it `text_<column>`, what it was read from."""
    texts = {column: _text_of(column) for column in _columns()}
    with_texts = parsed.select(
        "*",
        _given("record_type").alias("record_type"),
        *(text.alias(f"text_{column}") for column, text in texts.items()),
    )
    return with_texts.select(
        "*",
        *(READERS[kind](_exact(column, kind), country_code).alias(column) for column, kind in _columns().items()),
    )


def validate(records: DataFrame) -> DataFrame:
    """Return records with `error_reasons`, every reason that applies, and `status`, normal or error."""
    table = rules(lambda field: F.col(f"text_{field.column}"))
    judged = records.withColumn("error_reasons", reasons(table, F.col("fields").isNotNull()))
    return judged.withColumn("status", F.when(F.size("error_reasons") == 0, "normal").otherwise("error"))


def identify(judged: DataFrame) -> DataFrame:
    """Return judged records with the digest of their content as `record_id` where none was given."""
    digest = F.when(F.col("text_record_id").isNull() & F.col("fields").isNotNull(), content_digest(F.col("fields")))
    return judged.withColumn("record_id", F.coalesce("record_id", digest)).select(*JUDGED_COLUMNS)


def content_digest(fields: Column) -> Column:
    """Return the SHA-256 of a record's fields and values, whatever their order and spacing, nested ones included.

    Null and empty fields count as absent, as they do everywhere in the contract.
    """
    present = F.map_filter(fields, lambda _name, value: value != "")
    sorted_within = F.transform_values(
        present, lambda _name, value: F.when(value.rlike(NESTED), _sorted_json(value)).otherwise(value)
    )
    return F.sha2(F.to_json(F.array_sort(F.map_entries(sorted_within))), 256)


def _sorted_json(text: Column) -> Column:
    """Return nested JSON with its keys in order, or the text itself where it only looks like JSON."""
    return F.coalesce(F.to_json(F.try_parse_json(text)), text)


def _exact(column: str, kind: Kind) -> Column:
    """Return a field's text, read once more where the record has a number too long for a double.

    Spark's JSON map makes every fraction a double. Variants keep decimals, but to read all fields from one is slow.
    """
    text = F.col(f"text_{column}")
    if kind != "volume":
        return text
    record = F.col("raw").cast("string")
    paths = [f"$.{field.name}" for kind in RECORD_TYPES for field in kind.fields if field.column == column]
    exact = [F.try_variant_get(F.try_parse_json(record), path, "string") for path in paths]
    return F.when(text.isNotNull() & record.rlike(LONG_NUMBER), F.coalesce(*exact, text)).otherwise(text)


def _columns() -> dict[str, Kind]:
    """Return the kind of each landed field by its column."""
    fields = (*COMMON_FIELDS, *(field for kind in RECORD_TYPES for field in kind.fields))
    return {field.column: field.kind for field in fields}


def _given(name: str) -> Column:
    """Return the text of a JSON field; an empty one counts as absent."""
    text = F.col("fields")[name]
    return F.when(text != "", text)


def _text_of(column: str) -> Column:
    """Return the text of the JSON field that fills a landing column: which one depends on the record's type."""
    common = next((field for field in COMMON_FIELDS if field.column == column), None)
    if common:
        return _given(common.name)
    cases = [(kind.name, field.name) for kind in RECORD_TYPES for field in kind.fields if field.column == column]
    text = F.lit(None).cast("string")
    for record_type, name in cases:
        text = F.when(F.col("fields")["record_type"] == record_type, _given(name)).otherwise(text)
    return text


def replay_columns(headers: Column) -> list[Column]:
    """Return where a replayed error was first landed, by the message's headers: null where it is no replay."""
    return [_header(headers, name).try_cast(kind).alias(name) for name, kind in REPLAY_HEADERS.items()]


def _header(headers: Column, name: str) -> Column:
    """Return the last value of a message header as text, null where there is none."""
    found = F.filter(headers, lambda header: header["key"] == name)
    return F.try_element_at(found, F.lit(-1))["value"].cast("string")
