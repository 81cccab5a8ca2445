"""From messages to judged records: parse, name, read, validate. DataFrame to DataFrame, without I/O.

Messages have Kafka's columns: topic string, partition int, offset bigint, timestamp timestamp, value binary, and,
where replayed errors are to be recognised, headers array<struct<key string, value binary>>.
"""

from functools import reduce
from operator import or_

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
    field_names,
)

REPLAY_HEADERS = {REPLAY_TOPIC_HEADER: "string", REPLAY_PARTITION_HEADER: "int", REPLAY_OFFSET_HEADER: "bigint"}
HEADERS = "array<struct<key string, value binary>>"
LONG_NUMBER = r":\s*-?[0-9][0-9.]{15}"
"""A number that does not surely keep its digits on its way through a double; a text of digits begins with a quote."""
JSON_SPACES = " \t\n\r"
"""What may stand between a field's name and its colon."""
JSON_OPTIONS = {"allowSingleQuotes": "false"}

JUDGED_COLUMNS = tuple(name for name in LANDING_COLUMNS if name not in ("landed_at", "batch_id"))
"""Columns of a judged record: the landing table's, without those that are the batch's (landed_at, batch_id)."""
SOURCE_COLUMNS = ("topic", "partition", "offset", "ingested_at", "text", *REPLAY_HEADERS)
"""What goes along unread; `text` is the message's value, which as a string need not be copied from step to step."""


def judge(messages: DataFrame, country_code: str) -> DataFrame:
    """Return each message as a record with its status, `normal` or `error`, and every reason: `JUDGED_COLUMNS`.

    Duplicates are still `normal`: what a record repeats is not to be seen in the record.
    """
    return validate(read_fields(name_fields(parse(messages)), country_code))


def parse(messages: DataFrame) -> DataFrame:
    """Return messages with `record`, a struct of the text of every field of the contract by its JSON name.

    `record` is null where the value is not one JSON object. A number's text is its literal, a nested value's text its
    JSON.
    """
    text = F.col("value").cast("string")
    # Spark's reader stops after the first value and would not see what trails it, so the record is read as the
    # first of two; the second names the offset, which the record cannot know and so cannot forge
    written = F.concat(F.lit("["), text, F.lit(',{"end":"'), F.col("offset").cast("string"), F.lit('"}]'))
    schema = f"array<struct<{', '.join(f'{name}: string' for name in (*field_names(), 'end'))}>>"
    pair = F.when(F.is_valid_utf8(text), F.from_json(written, schema, JSON_OPTIONS))
    whole = (F.size(pair) == 2) & (F.get(pair, F.lit(1))["end"] == F.col("offset").cast("string"))
    headers = F.col("headers") if "headers" in messages.columns else F.lit(None).cast(HEADERS)
    return messages.select(
        "topic",
        "partition",
        "offset",
        F.col("timestamp").alias("ingested_at"),
        text.alias("text"),
        *replay_columns(headers),
        F.when(whole, F.get(pair, F.lit(0))).alias("record"),
    )


def name_fields(parsed: DataFrame) -> DataFrame:
    """Return records with `text_<column>`, the text from which each landing column is to be read, null where absent.

    Beside them stand `object`, whether the message is a JSON object; `every_field`, a map of the fields of one that has
    more to it than `record` tells, else null; and `content`, what a plain record without an id is known by.
    """
    record = F.col("record")
    plain = _is_plain(F.col("text"), record)
    all_fields = F.from_json("text", "map<string,string>", JSON_OPTIONS)
    texts = {f"text_{column}": _exact(column, kind) for column, kind in _columns().items()}
    without_id = record.isNotNull() & _given("record_id").isNull()
    return parsed.select(
        *SOURCE_COLUMNS,
        F.when(record.isNotNull() & ~plain, all_fields).alias("every_field"),
        record.isNotNull().alias("object"),
        _given("record_type").alias("record_type"),
        *(text.alias(column) for column, text in texts.items()),
        F.when(without_id, _content_of_struct(record)).alias("content"),
    )


def read_fields(named: DataFrame, country_code: str) -> DataFrame:
    """Return records with a column for each landed field; without an id, the digest of the content is its record_id."""
    values = {column: READERS[kind](F.col(f"text_{column}"), country_code) for column, kind in _columns().items()}
    every = F.col("every_field")
    digest = F.sha2(F.when(every.isNull(), F.col("content")).otherwise(_content_of_map(every)), 256)
    keys = F.map_keys(every)
    once = F.col("object") & (every.isNull() | (F.size(F.array_distinct(keys)) == F.size(keys)))
    values["record_id"] = F.when(F.col("text_record_id").isNotNull(), values["record_id"]).when(once, digest)
    return named.select(
        *SOURCE_COLUMNS,
        "record_type",
        *(f"text_{column}" for column in values),
        once.alias("object"),
        *(value.alias(column) for column, value in values.items()),
    )


def validate(records: DataFrame) -> DataFrame:
    """Return records with `error_reasons`, every reason that applies, and `status`: `JUDGED_COLUMNS`."""
    found = reasons(rules(lambda field: F.col(f"text_{field.column}")), F.col("object"))
    good = found == ""
    judged = {
        "status": F.when(good, "normal").otherwise("error"),
        "error_reasons": F.when(good, F.array().cast("array<string>")).otherwise(F.split(found, ",")),
        "raw": F.col("text").cast("binary"),
    }
    return records.select(*(judged.get(name, F.col(name)).alias(name) for name in JUDGED_COLUMNS))


def _is_plain(text: Column, record: Column) -> Column:
    """Return whether a JSON object surely has no field but those of the struct, each once, and none null.

    Every field's name ends with a quote and a colon. Where there are no more of them than the struct has values, no
    field is doubled or unknown. To read every record into a map instead takes as long as all other steps together.
    """
    values = F.lit(0)
    for name in field_names():
        values = values + record[name].isNotNull().cast("int")
    ends = F.octet_length(text) - F.octet_length(F.replace(text, F.lit('":'), F.lit("")))
    spaced = reduce(or_, (text.contains(f"{space}:") for space in JSON_SPACES))
    return (ends == values * 2) & ~spaced


def _content_of_struct(record: Column) -> Column:
    """Return a plain record's fields and values, in order of their names."""
    return F.concat(*(F.coalesce(_written(F.lit(name), record[name]), F.lit("")) for name in sorted(field_names())))


def _content_of_map(every_field: Column) -> Column:
    """Return any record's fields and values, in order of their names; nested fields are in order too."""
    entries = F.array_sort(F.map_entries(every_field))
    return F.array_join(F.transform(entries, lambda entry: _written(entry["key"], _in_order(entry["value"]))), "")


def _written(name: Column, value: Column) -> Column:
    """Return a field so that no two records read the same, lengths first; null where it is absent, null or empty."""
    sized = (part for text in (name, value) for part in (F.octet_length(text).cast("string"), F.lit(":"), text))
    return F.when(value != "", F.concat(*sized))


def _in_order(value: Column) -> Column:
    """Return nested JSON with its fields in order, anything else as it is."""
    # a record without a field in a field may be plain, and there nothing is looked into
    nested = value.rlike(r"^[\[{]") & value.contains('":')
    return F.when(nested, F.coalesce(F.to_json(F.try_parse_json(value)), value)).otherwise(value)


def _exact(column: str, kind: Kind) -> Column:
    """Return a field's text, read once more where the record has a number too long for a double.

    Spark's JSON reader makes every fraction a double. Variants keep decimals, but to read all fields from one is slow.
    """
    text = _text_of(column)
    if kind != "volume":
        return text
    record = F.col("text")
    paths = [f"$.{field.name}" for kind in RECORD_TYPES for field in kind.fields if field.column == column]
    exact = F.coalesce(*(F.try_variant_get(F.try_parse_json(record), path, "string") for path in paths))
    return F.coalesce(F.when(text.isNotNull() & record.rlike(LONG_NUMBER), exact), text)


def _columns() -> dict[str, Kind]:
    """Return the kind of each landed field by its column."""
    fields = (*COMMON_FIELDS, *(field for kind in RECORD_TYPES for field in kind.fields))
    return {field.column: field.kind for field in fields}


def _given(name: str) -> Column:
    """Return the text of a JSON field; an empty one counts as absent."""
    text = F.col("record")[name]
    return F.when(text != "", text)


def _text_of(column: str) -> Column:
    """Return the text of the JSON field that fills a landing column: which one depends on the record's type."""
    common = next((field for field in COMMON_FIELDS if field.column == column), None)
    if common:
        return _given(common.name)
    cases = [(kind.name, field.name) for kind in RECORD_TYPES for field in kind.fields if field.column == column]
    text = F.lit(None).cast("string")
    for record_type, name in cases:
        text = F.when(F.col("record")["record_type"] == record_type, _given(name)).otherwise(text)
    return text


def replay_columns(headers: Column) -> list[Column]:
    """Return where a replayed error was first landed, by the message's headers: null where it is no replay."""
    return [_header(headers, name).try_cast(kind).alias(name) for name, kind in REPLAY_HEADERS.items()]


def _header(headers: Column, name: str) -> Column:
    """Return the last value of a message header as text, null where there is none."""
    found = F.filter(headers, lambda header: header["key"] == name)
    return F.try_element_at(found, F.lit(-1))["value"].cast("string")
