"""Parse, read, judge, identify: what becomes of each message, against examples and an independent oracle."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import mediation_oracle as oracle
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import Row, SparkSession

from ingestion.mediation.transform import JUDGED_COLUMNS, judge

pytestmark = pytest.mark.spark

MESSAGE = """topic string, partition int, offset bigint, timestamp timestamp, value binary,
headers array<struct<key string, value binary>>"""
VOICE = {
    "record_type": "voice",
    "timestamp": "2025-06-13T05:14:34Z",
    "caller_id": "212612199316",
    "callee_id": "212633140289",
    "duration_sec": 204,
    "cell_id": "TETOUAN_18",
    "technology": "3G",
}
DATA = {"record_type": "data", "timestamp": "2025-06-13T05:14:34Z", "user_id": "212612199316", "data_volume_mb": 1}


def judged(spark: SparkSession, *values: bytes | None, headers: list[tuple[str, bytes]] | None = None) -> list[Row]:
    rows = [("cdr", 0, offset, oracle.ARRIVAL, value, headers) for offset, value in enumerate(values)]
    return judge(spark.createDataFrame(rows, MESSAGE), "212").orderBy("offset").collect()


def voice(**changed: Any) -> bytes:
    return json.dumps(VOICE | changed).encode()


def data(**changed: Any) -> bytes:
    return json.dumps(DATA | changed).encode()


def _large(text: str) -> bytes:
    return data(data_volume_mb=text)


def _lasting(text: str) -> bytes:
    return voice(duration_sec=text)


def test_a_good_record_is_read_whole(spark: SparkSession) -> None:
    row = judged(spark, voice(record_id="r-1"))[0]
    assert list(row.asDict()) == list(JUDGED_COLUMNS)
    assert (row.status, row.error_reasons, row.record_id, row.record_type) == ("normal", [], "r-1", "voice")
    assert (row.msisdn, row.peer_msisdn, row.duration_sec) == ("212612199316", "212633140289", 204)
    assert (row.cell_id, row.technology, row.replay_offset) == ("TETOUAN_18", "3G", None)


MALFORMED = [
    None,
    b"",
    b" ",
    b"null",
    b"5",
    b'"x"',
    b"[1]",
    b'[{"a":1}]',
    b'{"a":1',
    b'{"a":1} trailing',
    b'{"a":1}{"b":1}',
    b'{"a":1},{"b":1}',
    b'{"a":1}]',
    b"]",
    b"[",
    b'{"a":1},{"end":"0"}]',
    b"{'a':1}",
    b'{"a":1,}',
    b'{"a":01}',
    b'{"a":"\xff\xfe"}',
    b"\xef\xbb\xbf{}",
    b'{"a":"tab\tin"}',
    json.dumps(VOICE).encode().replace(b"TETOUAN_18", b"TETOUAN\\u12"),
    json.dumps(VOICE).encode().replace(b'_18", ', b"\r\n, "),
    b'{"record_type":"sms","record_type":"voice"}',
    b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}",
    b"x" * 1_000_000,
]


def test_what_is_not_one_json_object_has_that_one_reason_and_its_bytes(spark: SparkSession) -> None:
    for value, row in zip(MALFORMED, judged(spark, *MALFORMED), strict=True):
        assert (row.status, row.error_reasons) == ("error", ["MALFORMED_JSON"]), value and value[:50]
        assert (row.raw and bytes(row.raw)) == value
        assert row.record_id is None


def test_a_record_of_a_megabyte_with_a_field_nobody_knows_is_normal(spark: SparkSession) -> None:
    assert judged(spark, voice(unknown="x" * 1_000_000))[0].status == "normal"


def test_every_reason_that_applies_is_given(spark: SparkSession) -> None:
    row = judged(spark, voice(timestamp="2099-01-01T00:00:00Z", caller_id=None, callee_id={"a": 1}, duration_sec=-1))
    assert row[0].error_reasons == [
        "MISSING_CALLER_ID",
        "INVALID_CALLEE_ID",
        "INVALID_DURATION_SEC",
        "FUTURE_TIMESTAMP",
    ]
    assert row[0].event_time == datetime(2099, 1, 1)


def test_numbers_keep_every_digit(spark: SparkSession) -> None:
    volumes = {
        b"123456789012.123456": Decimal("123456789012.123456"),
        b'"123456789012.123456"': Decimal("123456789012.123456"),
        b"1.9999999999999999999": Decimal("1.999999"),
        b"1.0000019": Decimal("1.000001"),
        b"1e3": Decimal(1000),
        b"0": Decimal(0),
        b"1000000000000": None,
        b"NaN": None,
        b'"NaN"': None,
        b"-Infinity": None,
        b"1e400": None,
        b"true": None,
        b'" 1"': None,
        b'"0x10"': None,
        b"-0.0000001": None,
    }
    rows = judged(spark, *(data().replace(b'_mb": 1', b'_mb": ' + text) for text in volumes))
    assert dict(zip(volumes, (row.data_volume_mb for row in rows), strict=True)) == volumes
    assert {row.status for row in rows if row.data_volume_mb is None} == {"error"}
    long, cut = b"1.000001000000000000001", Decimal("1.000001")
    spaces = [b":", b":  ", b":\n\t", b" :"]
    rows = judged(spark, *(data().replace(b'_mb": 1', b'_mb"' + space + long) for space in spaces))
    assert {row.data_volume_mb for row in rows} == {cut}
    call = judged(spark, voice(data_volume_mb=0).replace(b": 0}", b": " + long + b"}"))[0]
    assert (call.status, call.data_volume_mb) == ("normal", None)


@pytest.mark.parametrize("space", ["", " ", "\t", "\n", "\r"])
def test_a_field_that_stands_twice_is_seen_wherever_spaces_are(spark: SparkSession, space: str) -> None:
    twice = voice()[:-1] + f', "cell_id"{space}:"RABAT_1"}}'.encode()
    assert judged(spark, twice)[0].error_reasons == ["MALFORMED_JSON"]


@pytest.mark.timeout(60)  # one of them took half a minute, and the last one had no end
def test_no_number_keeps_the_stream_busy(spark: SparkSession) -> None:
    digits = "1" * 500_000
    texts = [digits, f"0.{digits}", f"1.{digits}e5", "1e-99999999", "1e999999999", "1e1000"]
    rows = judged(spark, *(record(text) for text in texts for record in (_large, _lasting)))
    assert {row.status for row in rows} == {"error"}
    assert judged(spark, data(data_volume_mb="1" + "0" * 5 + "." + "0" * 900))[0].data_volume_mb == 100_000


def test_a_line_break_at_the_end_is_no_part_of_a_value(spark: SparkSession) -> None:
    fields = {"caller_id": "212612199316", "callee_id": "117", "duration_sec": "5", "timestamp": VOICE["timestamp"]}
    fields |= {"record_id": "r-1", "technology": "4G"}
    rows = judged(spark, *(voice(**{name: f"{text}\n"}) for name, text in fields.items()))
    assert [row.error_reasons for row in rows] == [[f"INVALID_{name.upper()}"] for name in fields]


def test_times_are_instants_of_any_zone(spark: SparkSession) -> None:
    times = {
        "2025-06-13T05:14:34Z": "2025-06-13T05:14:34",
        "2025-06-13T05:14Z": "2025-06-13T05:14:00",
        "2025-06-13T05:14+01": "2025-06-13T04:14:00",
        "2025-06-13T05:14:34.123456789+05:30": "2025-06-12T23:44:34.123456",
        "2025-06-13T05:14:34,5-0200": "2025-06-13T07:14:34.500000",
        "2024-02-29T00:00:00Z": "2024-02-29T00:00:00",
        "2025-02-29T00:00:00Z": None,
        "2025-06-13T05:14:34": None,
        "2025-06-13 05:14:34Z": None,
        "2025-06-13": None,
        "1749791674": None,
        "2025-06-13T05:14:34 Europe/Paris": None,
        "0000-01-01T00:00:00Z": None,
        "9999-12-31T23:59:59-12:00": None,
    }
    rows = judged(spark, *(voice(timestamp=text) for text in times))
    read = (row.event_time and row.event_time.isoformat() for row in rows)
    assert dict(zip(times, read, strict=True)) == times


def test_a_day_ahead_of_arrival_is_the_limit(spark: SparkSession) -> None:
    rows = judged(spark, voice(timestamp="2026-01-02T00:00:00Z"), voice(timestamp="2026-01-02T00:00:00.000001Z"))
    assert [row.error_reasons for row in rows] == [[], ["FUTURE_TIMESTAMP"]]


def test_content_makes_the_id_where_none_is_given(spark: SparkSession) -> None:
    nested = VOICE | {"new": {"a": 1, "b": [1, 2]}}
    turned = dict(reversed(VOICE.items())) | {"new": {"b": [1, 2], "a": 1}, "record_id": None, "other": ""}
    rows = judged(
        spark,
        json.dumps(nested).encode(),
        json.dumps(turned, indent=3).encode(),
        voice(new={"a": 1, "b": [2, 1]}),
        voice(),
        voice(record_id=""),
        voice(technology="4G"),
    )
    ids = [row.record_id for row in rows]
    assert ids[0] == ids[1]
    assert ids[3] == ids[4]
    assert len(set(ids)) == 4
    assert all(len(record_id) == 64 for record_id in ids)


def test_a_replayed_error_names_its_first_landing_and_nonsense_names_nothing(spark: SparkSession) -> None:
    headers = [("replay_topic", b"cdr"), ("replay_partition", b"3"), ("replay_offset", b"17")]
    row = judged(spark, voice(), headers=headers)[0]
    assert (row.replay_topic, row.replay_partition, row.replay_offset) == ("cdr", 3, 17)
    row = judged(spark, voice(), headers=[("replay_offset", b"x"), ("trace", b"\xff")])[0]
    assert (row.status, row.replay_offset) == ("normal", None)


digits = st.text("0123456789", min_size=1, max_size=17)
beginnings, ends = st.sampled_from(["", "+", "00", "0", "2126", " ", "-"]), st.sampled_from(["", "", "", " ", "\n"])
number_texts = st.builds("{}{}{}".format, beginnings, digits, ends)
numbers = st.one_of(
    st.integers(-10, 100_000),
    st.decimals(-1, 10**13, places=8).map(str),
    st.floats(0, 1e6, allow_subnormal=False).map(lambda value: round(value, 3)),
    st.sampled_from(["12.0", "1e3", "007", "1.", ".5", "", "NaN", "1e99", "86400", "86401", "12.5", "0.0"]),
)
# a text that looks like JSON is taken for JSON: the map that Spark reads no longer says which of the two it was
texts = st.one_of(st.text(max_size=8), st.sampled_from(["RABAT_1", "x" * 256, "x" * 257, "\u0000", "é", "👍"])).filter(
    lambda text: text[:1] not in ("[", "{")
)
scalars = st.one_of(st.none(), st.booleans(), number_texts, numbers, texts)
others = st.one_of(
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text("ab", max_size=2), st.none(), max_size=2)
)
times = st.one_of(
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=st.just(UTC)).map(datetime.isoformat),
    st.builds(
        "2025-{:02}-{:02}T{:02}:{:02}{}{}".format,
        st.integers(0, 13),
        st.integers(0, 32),
        st.integers(0, 24),
        st.integers(0, 60),
        st.sampled_from(["", ":00", ":59.5", ":60", ":01,25", ":1"]),
        st.sampled_from(["Z", "", "+01", "-0330", "+05:30", "z", " UTC"]),
    ),
)


def mostly(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(good, good, good, scalars, others)


records = st.fixed_dictionaries(
    {},
    optional={
        "record_type": st.one_of(st.sampled_from(["voice", "sms", "data"]), st.sampled_from(["fax", "Voice", 1, None])),
        "timestamp": mostly(times),
        "record_id": mostly(texts),
        "cell_id": mostly(texts),
        "technology": mostly(texts),
        **dict.fromkeys(("caller_id", "callee_id", "sender_id", "receiver_id", "user_id"), mostly(number_texts)),
        **dict.fromkeys(("duration_sec", "data_volume_mb", "session_duration_sec"), mostly(numbers)),
        "unknown": st.one_of(scalars, others),
    },
)
lines = st.one_of(
    records.map(lambda record: json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    records.map(lambda record: json.dumps(record, indent=1).encode()),
    st.tuples(records, st.integers(0, 60)).map(lambda cut: json.dumps(cut[0]).encode()[: cut[1]]),
    st.binary(max_size=6),
)


def test_every_message_is_judged_as_the_oracle_judges_it(spark: SparkSession) -> None:
    messages: list[bytes] = []

    # one Spark job for all: a job an example would take minutes
    @settings(max_examples=1_500, deadline=None, phases=[Phase.generate], database=None)
    @given(lines)
    def collect(line: bytes) -> None:
        messages.append(line)

    collect()
    for line, row in zip(messages, judged(spark, *messages), strict=True):
        reasons, values = oracle.judge(line)
        assert set(row.error_reasons) == reasons, line
        assert len(row.error_reasons) == len(reasons), line
        assert row.status == ("error" if reasons else "normal")
        for column in ("msisdn", "peer_msisdn", "duration_sec", "data_volume_mb", "cell_id", "technology"):
            assert row[column] == values.get(column), (column, line)
        moment = values.get("event_time")
        assert row.event_time == (moment and moment.replace(tzinfo=None)), line
