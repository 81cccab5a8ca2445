"""Contract §1 once more, in plain Python and one record at a time: what status and reasons must a line get?"""

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

FIELDS = {
    "voice": ("caller_id", "callee_id", "duration_sec"),
    "sms": ("sender_id", "receiver_id", None),
    "data": ("user_id", None, "data_volume_mb"),
}
ARRIVAL = datetime(2026, 1, 1, tzinfo=UTC)


def classify(lines: list[bytes], country_code: str = "212") -> list[tuple[str, list[str]]]:
    """Return status and sorted reasons of each line, in the order of arrival."""
    seen: set[str] = set()
    results = []
    for line in lines:
        reasons, identity = _judge(line, country_code)
        status = "error" if reasons else "duplicate" if identity in seen else "normal"
        if status == "normal":
            seen.add(identity)
        results.append((status, sorted(reasons)))
    return results


def _judge(line: bytes, country_code: str) -> tuple[list[str], str]:
    try:
        record = json.loads(line, parse_float=Decimal)
    except ValueError:
        return ["MALFORMED_JSON"], ""
    digest = hashlib.sha256(repr(sorted(record.items())).encode()).hexdigest()
    identity = record.get("record_id") or digest
    reasons = []
    kind = record.get("record_type")
    if kind is None:
        # which fields it ought to have is then unknown, but for the time
        return ["MISSING_RECORD_TYPE", *_judge_time(record)], identity
    if kind not in FIELDS:
        return ["UNKNOWN_RECORD_TYPE", *_judge_time(record)], identity
    reasons += _judge_time(record)
    subject, peer, quantity = FIELDS[kind]
    reasons += _judge_number(record, subject, country_code, shortest=8)
    if peer:
        reasons += _judge_number(record, peer, country_code, shortest=3)
    if quantity:
        reasons += _judge_quantity(record, quantity)
    return reasons, identity


def _judge_time(record: dict) -> list[str]:
    if "timestamp" not in record:
        return ["MISSING_TIMESTAMP"]
    try:
        moment = datetime.fromisoformat(record["timestamp"])
    except ValueError:
        return ["INVALID_TIMESTAMP"]
    if moment.tzinfo is None:
        return ["INVALID_TIMESTAMP"]
    return ["FUTURE_TIMESTAMP"] if moment > ARRIVAL + timedelta(hours=24) else []


def _judge_number(record: dict, field: str, country_code: str, shortest: int) -> list[str]:
    if field not in record:
        return [f"MISSING_{field.upper()}"]
    number = re.sub(r"^(\+|00)", "", record[field])
    if number == record[field]:
        number = re.sub(r"^0", country_code, number)
    fits = re.fullmatch(r"[0-9]{8,15}" if shortest == 8 else r"[0-9]{3,6}|[0-9]{8,15}", number)
    return [] if fits else [f"INVALID_{field.upper()}"]


def _judge_quantity(record: dict, field: str) -> list[str]:
    if field not in record:
        return [f"MISSING_{field.upper()}"]
    wrong = [f"INVALID_{field.upper()}"]
    value = record[field]
    if isinstance(value, bool):
        return wrong
    try:
        number = Decimal(value)
    except InvalidOperation:
        return wrong
    if not number.is_finite() or number < 0:
        return wrong
    if field == "duration_sec" and (number != int(number) or number > 86_400):
        return wrong
    return []
