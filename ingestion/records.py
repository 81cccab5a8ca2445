"""The usage record contract: which fields a record type has, where each one lands, and the reason codes.

Nothing here imports Spark, so the generator, the tests and the documentation read the same tables as mediation.
To add a record type or a field, add a line to `RECORD_TYPES`; its `MISSING_` and `INVALID_` reasons follow.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["timestamp", "subscriber", "peer", "duration", "volume", "text"]

MALFORMED_JSON = "MALFORMED_JSON"
UNKNOWN_RECORD_TYPE = "UNKNOWN_RECORD_TYPE"
MISSING_RECORD_TYPE = "MISSING_RECORD_TYPE"
FUTURE_TIMESTAMP = "FUTURE_TIMESTAMP"

MAX_DURATION_SEC = 86_400
"""A longer call or session is an error, in seconds."""
MAX_AHEAD_HOURS = 24
"""A timestamp further ahead of the record's arrival is an error, in hours."""
MAX_TEXT_LENGTH = 256
"""A longer record_id, cell_id or technology is an error, in characters: it could not be a database key."""
VOLUME_PRECISION, VOLUME_SCALE = 18, 6
"""Digits of data_volume_mb, and how many of them stand after the point; further decimals are cut."""

# replayed messages name the first landing of their error in these Kafka headers
REPLAY_TOPIC_HEADER = "replay_topic"
REPLAY_PARTITION_HEADER = "replay_partition"
REPLAY_OFFSET_HEADER = "replay_offset"

# every message of the error topic says why and where from in these Kafka headers
REASONS_HEADER = "error_reasons"
SOURCE_TOPIC_HEADER = "source_topic"
SOURCE_PARTITION_HEADER = "source_partition"
SOURCE_OFFSET_HEADER = "source_offset"


@dataclass(frozen=True)
class Field:
    """A field of a usage record: its JSON name, the landing column it fills, how it is read, if it must be there."""

    name: str
    column: str
    kind: Kind
    required: bool

    @property
    def missing(self) -> str:
        """The reason code of an absent, null or empty field."""
        return f"MISSING_{self.name.upper()}"

    @property
    def invalid(self) -> str:
        """The reason code of a field whose value cannot be what it should be."""
        return f"INVALID_{self.name.upper()}"


@dataclass(frozen=True)
class RecordType:
    """A kind of usage record, and the fields that only this kind has."""

    name: str
    fields: tuple[Field, ...]


COMMON_FIELDS = (
    Field("timestamp", "event_time", "timestamp", required=True),
    Field("record_id", "record_id", "text", required=False),
    Field("cell_id", "cell_id", "text", required=False),
    Field("technology", "technology", "text", required=False),
)

RECORD_TYPES = (
    RecordType(
        "voice",
        (
            Field("caller_id", "msisdn", "subscriber", required=True),
            Field("callee_id", "peer_msisdn", "peer", required=True),
            Field("duration_sec", "duration_sec", "duration", required=True),
        ),
    ),
    RecordType(
        "sms",
        (
            Field("sender_id", "msisdn", "subscriber", required=True),
            Field("receiver_id", "peer_msisdn", "peer", required=True),
        ),
    ),
    RecordType(
        "data",
        (
            Field("user_id", "msisdn", "subscriber", required=True),
            Field("data_volume_mb", "data_volume_mb", "volume", required=True),
            Field("session_duration_sec", "session_duration_sec", "duration", required=False),
        ),
    ),
)


def field_names() -> tuple[str, ...]:
    """Return the JSON name of every field of the contract, `record_type` first."""
    names = [field.name for fields in (COMMON_FIELDS, *(kind.fields for kind in RECORD_TYPES)) for field in fields]
    return ("record_type", *names)


def reason_codes() -> tuple[str, ...]:
    """Return every reason code an error record can carry, in the order in which they are reported."""
    fields = (*COMMON_FIELDS, *(field for kind in RECORD_TYPES for field in kind.fields))
    missing = [field.missing for field in fields if field.required]
    invalid = [field.invalid for field in fields]
    return (MALFORMED_JSON, MISSING_RECORD_TYPE, UNKNOWN_RECORD_TYPE, *missing, *invalid, FUTURE_TIMESTAMP)
