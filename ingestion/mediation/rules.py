"""The table of rules: how each kind of field is read, and which reasons a record gets.

A reader takes the field's text (a JSON string's content, or the literal of a number) and gives the landed value, or
null where the text cannot be one. To add a kind, add a reader; to add a reason, add a line to `rules`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F

from ingestion.records import (
    COMMON_FIELDS,
    FUTURE_TIMESTAMP,
    MALFORMED_JSON,
    MAX_AHEAD_HOURS,
    MAX_DURATION_SEC,
    MAX_TEXT_LENGTH,
    MISSING_RECORD_TYPE,
    RECORD_TYPES,
    UNKNOWN_RECORD_TYPE,
    VOLUME_PRECISION,
    VOLUME_SCALE,
    Field,
    Kind,
)

Reader = Callable[[Column, str], Column]

E164 = r"^[1-9][0-9]{7,14}\z"
SHORT_CODE = r"^[0-9]{3,6}\z"
# The length and the exponent are bounded: to read a megabyte of digits, or 1e-99999999, takes the JVM half a minute.
JSON_NUMBER = r"^(?!.{1001})-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?\z"
ISO_INSTANT = (
    r"^(?!0000|0001-01-01|9999-12-31)[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?"
    r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)\z"
)
PRINTABLE = rf"^(?![\[{{])[^\x00-\x1f\x7f]{{1,{MAX_TEXT_LENGTH}}}\z"


def read_subscriber(text: Column, country_code: str) -> Column:
    """Read a subscriber number as E.164 digits; `+`, `00` and the national leading 0 are normalised."""
    digits = (
        F.when(text.startswith("+"), F.substr(text, F.lit(2)))
        .when(text.startswith("00"), F.substr(text, F.lit(3)))
        .when(text.startswith("0"), F.concat(F.lit(country_code), F.substr(text, F.lit(2))))
    )
    return F.when(_written_number(text).between(10**7, 10**15 - 1), text).when(digits.rlike(E164), digits)


def read_peer(text: Column, country_code: str) -> Column:
    """Read a subscriber number, or a short code of 3 to 6 digits as it stands."""
    return F.coalesce(read_subscriber(text, country_code), F.when(text.rlike(SHORT_CODE), text))


def read_timestamp(text: Column, _country_code: str) -> Column:
    """Read an ISO 8601 instant with its zone, to the microsecond.

    The first and last day of the years 1 to 9999 are none: in UTC they could be of a year that no database has.
    """
    minutes, rest = F.substr(text, F.lit(1), F.lit(16)), F.substr(text, F.lit(17))
    to_the_second = (
        F.when(~rest.startswith(":"), F.concat(minutes, F.lit(":00"), rest))
        .when(text.contains(","), F.translate(text, ",", "."))
        .otherwise(text)
    )
    return F.when(text.rlike(ISO_INSTANT), to_the_second.try_cast("timestamp"))


def read_duration(text: Column, _country_code: str) -> Column:
    """Read a whole number of seconds from 0 to a day; 12.0 and 1e3 are whole, 12.5 is not."""
    number = F.when(text.rlike(JSON_NUMBER), text.try_cast("decimal(38,30)"))
    whole = F.when(number.between(0, MAX_DURATION_SEC) & (number == F.floor(number)), number.cast("bigint"))
    plain = _written_number(text)
    return F.when(plain.between(0, MAX_DURATION_SEC), plain).otherwise(whole)


def _written_number(text: Column) -> Column:
    """Return a whole number that stands in a text as its digits and nothing else; null for any other text.

    Almost every number does, and a regular expression takes several times as long to say so.
    """
    number = text.try_cast("bigint")
    return F.when(number.cast("string") == text, number)


def read_volume(text: Column, _country_code: str) -> Column:
    """Read a decimal from 0; decimals beyond the sixth are cut, so that nobody pays for what rounding added."""
    number = F.when(text.rlike(JSON_NUMBER), text.try_cast("decimal(38,26)"))
    kept = F.floor(number, F.lit(VOLUME_SCALE)).try_cast(f"decimal({VOLUME_PRECISION},{VOLUME_SCALE})")
    return F.when(number >= 0, kept)


def read_text(text: Column, _country_code: str) -> Column:
    """Read a short printable text; an object or array where a scalar belongs, or a control character, is none."""
    return F.when(text.rlike(PRINTABLE), text)


READERS: dict[Kind, Reader] = {
    "subscriber": read_subscriber,
    "peer": read_peer,
    "timestamp": read_timestamp,
    "duration": read_duration,
    "volume": read_volume,
    "text": read_text,
}


@dataclass(frozen=True)
class Rule:
    """A reason code and the condition under which a record has it."""

    reason: str
    applies: Column


def _own(record_type: str | None) -> Column:
    """Return whether a field of this type is expected: of the record's own type, or common to all."""
    return F.lit(True) if record_type is None else F.col("record_type") == record_type


def _field_rules(field: Field, record_type: str | None, text: Column) -> list[Rule]:
    given, value = text.isNotNull(), F.col(field.column)
    rules = [Rule(field.invalid, _own(record_type) & given & value.isNull())]
    return [Rule(field.missing, _own(record_type) & ~given), *rules] if field.required else rules


def rules(text_of: Callable[[Field], Column]) -> list[Rule]:
    """Return every rule for a record that is a JSON object, given the text of each field and the read values."""
    record_type = F.col("record_type")
    known = record_type.isin([kind.name for kind in RECORD_TYPES])
    table = [
        Rule(MISSING_RECORD_TYPE, record_type.isNull()),
        Rule(UNKNOWN_RECORD_TYPE, record_type.isNotNull() & ~known),
    ]
    for field in COMMON_FIELDS:
        table += _field_rules(field, None, text_of(field))
    for kind in RECORD_TYPES:
        for field in kind.fields:
            table += _field_rules(field, kind.name, text_of(field))
    ahead = F.col("ingested_at") + F.expr(f"interval {MAX_AHEAD_HOURS} hours")
    table.append(Rule(FUTURE_TIMESTAMP, F.col("event_time") > ahead))
    return table


def reasons(table: list[Rule], well_formed: Column) -> Column:
    """Return every reason that applies, joined by commas; a record that is no JSON object has only that one."""
    # concat_ws skips nulls in generated code; array_compact would interpret a lambda on every row
    found = F.concat_ws(",", *(F.when(rule.applies, F.lit(rule.reason)) for rule in table))
    return F.when(well_formed, found).otherwise(MALFORMED_JSON)
