"""Contract §1 in plain Python, one record at a time: status, reasons and landed values of a message."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any

ARRIVAL = datetime(2026, 1, 1, tzinfo=UTC)
FIELDS: dict[str, dict[str, tuple[str, str, bool]]] = {
    "voice": {
        "caller_id": ("msisdn", "subscriber", True),
        "callee_id": ("peer_msisdn", "peer", True),
        "duration_sec": ("duration_sec", "duration", True),
    },
    "sms": {"sender_id": ("msisdn", "subscriber", True), "receiver_id": ("peer_msisdn", "peer", True)},
    "data": {
        "user_id": ("msisdn", "subscriber", True),
        "data_volume_mb": ("data_volume_mb", "volume", True),
        "session_duration_sec": ("session_duration_sec", "duration", False),
    },
}
COMMON = {
    "timestamp": ("event_time", "timestamp", True),
    "cell_id": ("cell_id", "text", False),
    "technology": ("technology", "text", False),
    "record_id": ("record_id", "text", False),
}


def judge(raw: bytes | None) -> tuple[set[str], dict[str, Any]]:
    """Return every reason of a message, and what can be read of it, by landing column."""
    try:
        record = json.loads((raw or b"").decode(), object_pairs_hook=_Fields, parse_float=_Bare, parse_int=_whole)
    except (ValueError, RecursionError):
        return {"MALFORMED_JSON"}, {}
    if not isinstance(record, _Fields) or record.doubled:
        return {"MALFORMED_JSON"}, {}
    given = {name: value for name, value in record.items() if value not in (None, "")}
    reasons, values = set(), {}
    kind = given.get("record_type")
    if kind is None:
        reasons.add("MISSING_RECORD_TYPE")
    elif not isinstance(kind, str) or kind not in FIELDS:
        reasons.add("UNKNOWN_RECORD_TYPE")
    own = FIELDS.get(kind, {}) if isinstance(kind, str) else {}
    for name, (column, how, required) in {**COMMON, **own}.items():
        if name not in given:
            reasons |= {f"MISSING_{name.upper()}"} if required else set()
            continue
        values[column] = READERS[how](given[name])
        if values[column] is None:
            reasons.add(f"INVALID_{name.upper()}")
    moment = values.get("event_time")
    if moment and moment > ARRIVAL + timedelta(hours=24):
        reasons.add("FUTURE_TIMESTAMP")
    return reasons, {column: value for column, value in values.items() if value is not None}


class _Fields(dict[str, object]):
    """A JSON object that knows whether a field stood twice in it."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.doubled = len(self) != len(pairs)


class _Bare(str):
    """A number with a fraction or an exponent that is in no string, as it is written."""

    def __new__(cls, text: str) -> "_Bare":
        return super().__new__(cls, _bounded(text))


def _bounded(text: str) -> str:
    if len(text) > 1_000:
        raise ValueError("no JSON reader has to take longer numbers")
    return text


def _whole(text: str) -> int:
    return int(_bounded(text))


def _text(value: object) -> str:
    if isinstance(value, _Bare):
        return repr(float(value))
    if isinstance(value, str):
        return value.encode(errors="replace").decode()  # half a surrogate pair is no sign, and lands as ?
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _subscriber(value: object) -> str | None:
    text = _text(value)
    for prefix, instead in (("+", ""), ("00", ""), ("0", "212")):
        if text.startswith(prefix):
            text = instead + text[len(prefix) :]
            break
    return text if re.fullmatch("[1-9][0-9]{7,14}", text) else None


def _peer(value: object) -> str | None:
    return _subscriber(value) or (_text(value) if re.fullmatch("[0-9]{3,6}", _text(value)) else None)


def _number(value: object) -> Decimal | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, _Bare) and abs(float(value)) in (0, float("inf")):
        return Decimal(float(value))
    if not isinstance(value, str) or len(value) > 1_000:
        return None
    fits = re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?", value)
    return Decimal(value) if fits else None


def _duration(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None and 0 <= number <= 86400 and number == int(number) else None


def _volume(value: object) -> Decimal | None:
    number = _number(value)
    if number is None or not 0 <= number < 10**12:
        return None
    return number.quantize(Decimal("0.000001"), ROUND_DOWN)


def _timestamp(value: object) -> datetime | None:
    shape = r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d(:?\d\d)?)"
    if not isinstance(value, str) or not re.fullmatch(shape, value):
        return None
    try:
        moment = datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return None if value[:10] in ("0001-01-01", "9999-12-31") else moment


def _short_text(value: object) -> str | None:
    # the map that Spark reads no longer says whether what looks like JSON was a text
    if isinstance(value, dict | list) or not re.fullmatch(r"(?![\[{])[^\x00-\x1f\x7f]{1,256}", _text(value)):
        return None
    return _text(value)


READERS = {
    "subscriber": _subscriber,
    "peer": _peer,
    "duration": _duration,
    "volume": _volume,
    "timestamp": _timestamp,
    "text": _short_text,
}
