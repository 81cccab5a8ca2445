"""What a fix does to a record's bytes, and which are refused."""

import json

import pytest

from ingestion.console import UserError
from ingestion.replay import fixed, parse_fixes


def test_without_a_fix_the_bytes_stay_as_they_are() -> None:
    assert fixed(b"{ not json", {}) == b"{ not json"
    assert fixed(None, {}) is None


def test_a_fix_replaces_its_field_and_keeps_every_digit_of_the_others() -> None:
    raw = b'{"data_volume_mb": 123456789012.123456, "user_id": "x", "new": {"a": [1]}}'
    record = json.loads(fixed(raw, {"user_id": "212612345678"}) or b"")
    assert record == {"data_volume_mb": "123456789012.123456", "user_id": "212612345678", "new": {"a": [1]}}


@pytest.mark.parametrize("raw", [None, b"", b"[1]", b"5", b'{"a":1', b'{"a":1,"a":2}', b"\xff"])
def test_what_is_no_record_cannot_be_put_right(raw: bytes | None) -> None:
    with pytest.raises(ValueError, match=r".+"):
        fixed(raw, {"caller_id": "212612345678"})


def test_a_record_that_is_too_deep_for_python_is_left_and_does_not_end_the_replay() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        fixed(b'{"new":' + b"[" * 100_000 + b"]" * 100_000 + b"}", {"caller_id": "212612345678"})


def test_numbers_and_signs_that_python_cannot_write_do_not_stand_in_the_way_of_a_fix() -> None:
    raw = b'{"duration_sec": ' + b"9" * 5_000 + b', "cell_id": "\\ud800"}'
    assert json.loads(fixed(raw, {"duration_sec": "5"}) or b"") == {"duration_sec": "5", "cell_id": "\ud800"}


@pytest.mark.parametrize("text", ["caller_id", "caller=1", "=1"])
def test_a_wrong_fix_is_refused_with_the_fields_there_are(text: str) -> None:
    with pytest.raises(UserError, match="write FIELD=VALUE with a field of record_type, timestamp"):
        parse_fixes([text])


def test_a_value_may_hold_an_equals_sign() -> None:
    assert parse_fixes(["cell_id=A=B", "caller_id="]) == {"cell_id": "A=B", "caller_id": ""}
