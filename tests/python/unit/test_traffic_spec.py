"""The generator's flags, and the shares they ask for."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.console import UserError
from ingestion.traffic.spec import Quota, TrafficSpec, traffic_spec

GOOD = {
    "count": 10,
    "mix": "voice=60,data=30,sms=10",
    "anomalies": "missing=1,corrupt=1,duplicate=1,disorder=5",
    "seed": 1,
    "first_day": "2025-06-01",
    "last_day": "2025-06-30",
    "customers": 5,
}


def spec(**changed: object) -> TrafficSpec:
    return traffic_spec(**{**GOOD, **changed})  # type: ignore[arg-type]


def test_flags_become_shares_and_days() -> None:
    made = spec(mix="sms=12.5,voice=87.5", anomalies="disorder=5")
    assert made.mix == (Fraction(7, 8), 0, Fraction(1, 8))
    assert made.anomalies == (0, 0, 0, Fraction(1, 20))
    assert made.days == 30


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"mix": "voice=60,data=30"}, ["--mix", "add up to 90", "100"]),
        ({"mix": "voice=60,fax=40"}, ["--mix", "fax", "voice, data, sms"]),
        ({"mix": "voice=50,voice=50"}, ["--mix", "voice", "twice"]),
        ({"mix": "voice=-10,data=110"}, ["--mix", "voice=-10", "0 to 100"]),
        ({"mix": "voice=NaN,data=100"}, ["--mix", "voice=NaN"]),
        ({"mix": "voice"}, ["--mix", "'voice'", "NAME=PERCENT"]),
        ({"mix": ""}, ["--mix", "add up to 0"]),
        ({"anomalies": "late=3"}, ["--anomalies", "late", "missing, corrupt, duplicate, disorder"]),
        ({"anomalies": "missing=60,corrupt=41"}, ["--anomalies", "more than 100"]),
        ({"count": -1}, ["--count -1", "from 0"]),
        ({"customers": 0}, ["--customers 0", "from 1"]),
        ({"seed": -1}, ["--seed -1"]),
        ({"first_day": "2025-07-01"}, ["--from 2025-07-01", "after --to 2025-06-30"]),
        ({"first_day": "yesterday"}, ["--from yesterday", "2025-06-01"]),
        ({"last_day": "2025-06-31"}, ["--to 2025-06-31"]),
    ],
)
def test_a_wrong_flag_is_named_with_what_is_allowed(changed: dict[str, object], words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        spec(**changed)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "\n" not in str(caught.value)


def test_usage_of_tomorrow_is_refused_as_mediation_would_refuse_it() -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    with pytest.raises(UserError, match="future"):
        spec(last_day=tomorrow)


def test_runs_that_differ_share_no_record_id() -> None:
    assert spec().run_id == spec().run_id
    assert len({spec().run_id, spec(seed=2).run_id, spec(count=11).run_id, spec(last_day="2025-06-29").run_id}) == 4


@given(
    parts=st.lists(st.integers(0, 1000), min_size=1, max_size=5).filter(any),
    pieces=st.lists(st.integers(1, 500), min_size=1, max_size=20),
    rest=st.integers(0, 1000),
)
def test_every_prefix_of_a_run_keeps_the_shares(parts: list[int], pieces: list[int], rest: int) -> None:
    total = sum(parts) + rest
    quota = Quota(tuple(Fraction(part, total) for part in parts))
    given_so_far, lines = [0] * (len(parts) + 1), 0
    for piece in pieces:
        taken = quota.take(piece)
        assert sum(taken) == piece
        assert min(taken) >= 0
        given_so_far = [one + more for one, more in zip(given_so_far, taken, strict=True)]
        lines += piece
        for count, part in zip(given_so_far, [*parts, rest], strict=True):
            assert abs(count - Fraction(part, total) * lines) < len(parts) + 1
