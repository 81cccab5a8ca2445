"""Traffic is what the flags say, what a network's looks like, and what its manifest says."""

import gzip
import json
import time
import tracemalloc
from collections import Counter
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from record_oracle import classify

from ingestion.console import UserError
from ingestion.traffic.output import write_traffic
from ingestion.traffic.spec import TrafficSpec, traffic_spec
from ingestion.traffic.stream import CHUNK, SEEDS, Traffic

ALL_ANOMALIES = "missing=1,corrupt=1,duplicate=1,disorder=5"


def make_spec(count: int = 20_000, **changed: object) -> TrafficSpec:
    flags: dict[str, object] = {
        "count": count,
        "mix": "voice=60,data=30,sms=10",
        "anomalies": "",
        "seed": 1,
        "first_day": "2025-06-01",
        "last_day": "2025-06-30",
        "customers": 500,
    }
    return traffic_spec(**{**flags, **changed})  # type: ignore[arg-type]


def lines_of(spec: TrafficSpec) -> list[bytes]:
    return b"".join(chunk.data for chunk in Traffic(spec, "212").chunks()).splitlines()


def manifest_of(file: Path) -> dict:
    return json.loads(file.with_name(file.name + ".manifest.json").read_text())


@pytest.fixture(scope="module")
def clean() -> list[dict]:
    """100,000 records without anomalies."""
    return [json.loads(line) for line in lines_of(make_spec(100_000))]


def test_two_runs_with_one_seed_are_byte_identical(tmp_path: Path) -> None:
    spec = make_spec(count=2 * CHUNK + 77, anomalies=ALL_ANOMALIES)
    names = ["one.json", "two.json", "three.json.gz", "four.json.gz"]
    for name in names:
        write_traffic(Traffic(spec, "212"), str(tmp_path / name))
    plain, again, packed, packed_again = ((tmp_path / name).read_bytes() for name in names)
    assert plain == again
    assert packed == packed_again
    assert gzip.decompress(packed) == plain
    assert manifest_of(tmp_path / "one.json")["injected"] == manifest_of(tmp_path / "three.json.gz")["injected"]
    other = make_spec(count=2 * CHUNK + 77, anomalies=ALL_ANOMALIES, seed=2)
    assert b"".join(chunk.data for chunk in Traffic(other, "212").chunks()) != plain


@pytest.mark.parametrize(
    "changed",
    [
        {"count": 40_000, "anomalies": ALL_ANOMALIES},
        {"count": 40_000, "anomalies": "missing=20,corrupt=20,duplicate=20,disorder=20", "seed": 5},
        # five people in one day: without an id, content would often be the same by chance
        {"count": 60_000, "anomalies": ALL_ANOMALIES, "customers": 5, "last_day": "2025-06-01", "mix": "sms=100"},
        {"count": 3_000, "anomalies": "duplicate=100"},
        {"count": 3_000, "anomalies": "corrupt=100", "mix": "data=100"},
    ],
)
def test_the_manifest_is_what_the_contract_says_of_the_lines(tmp_path: Path, changed: dict) -> None:
    spec = make_spec(**changed)
    file = tmp_path / "cdr.json"
    write_traffic(Traffic(spec, "212"), str(file))
    lines, manifest = file.read_bytes().splitlines(), manifest_of(file)
    assert len(lines) == spec.count == manifest["lines"]
    injected = {entry["line"]: entry for entry in manifest["injected"]}
    expected = [
        (injected[number]["status"], injected[number]["reasons"]) if number in injected else ("normal", [])
        for number in range(1, spec.count + 1)
    ]
    assert classify(lines) == expected
    assert manifest["totals"]["status"] == dict(
        {"normal": 0, "error": 0, "duplicate": 0}, **Counter(status for status, _ in expected)
    )
    assert manifest["totals"]["injected"] == dict(
        dict.fromkeys(spec_anomalies(spec), 0), **Counter(entry["anomaly"] for entry in injected.values())
    )
    for entry in injected.values():
        if entry["anomaly"] == "duplicate":
            assert entry["copy_of"] < entry["line"]
            assert lines[entry["copy_of"] - 1] == lines[entry["line"] - 1]


def spec_anomalies(spec: TrafficSpec) -> list[str]:
    assert len(spec.anomalies) == 4
    return ["missing", "corrupt", "duplicate", "disorder"]


def test_anomalies_come_as_often_as_asked_in_every_form(tmp_path: Path) -> None:
    file = tmp_path / "cdr.json"
    write_traffic(Traffic(make_spec(100_000, anomalies=ALL_ANOMALIES), "212"), str(file))
    manifest = manifest_of(file)
    wanted = {"missing": 1000, "corrupt": 1000, "duplicate": 1000, "disorder": 5000}
    for name, count in manifest["totals"]["injected"].items():
        assert abs(count - wanted[name]) <= 5, name
    reasons = Counter(reason for entry in manifest["injected"] for reason in entry["reasons"])
    assert set(reasons) == {
        "MALFORMED_JSON", "MISSING_RECORD_TYPE", "UNKNOWN_RECORD_TYPE", "FUTURE_TIMESTAMP",
        *(f"{problem}_{field}" for problem in ("MISSING", "INVALID") for field in (
            "TIMESTAMP", "CALLER_ID", "CALLEE_ID", "DURATION_SEC", "SENDER_ID", "RECEIVER_ID", "USER_ID",
            "DATA_VOLUME_MB")),
    }  # fmt: skip
    copies = [entry["line"] - entry["copy_of"] for entry in manifest["injected"] if entry["anomaly"] == "duplicate"]
    assert min(copies) < 5
    assert max(copies) > 2 * CHUNK
    back = [entry["seconds_back"] for entry in manifest["injected"] if entry["anomaly"] == "disorder"]
    assert min(back) < 60
    assert max(back) > 2 * 86_400


def test_out_of_order_records_lie_before_an_earlier_line(tmp_path: Path) -> None:
    file = tmp_path / "cdr.json"
    write_traffic(Traffic(make_spec(20_000, anomalies="disorder=5"), "212"), str(file))
    moments = [datetime.fromisoformat(json.loads(line)["timestamp"]) for line in file.read_bytes().splitlines()]
    moved = {entry["line"] for entry in manifest_of(file)["injected"]}
    in_order = [moment for number, moment in enumerate(moments, 1) if number not in moved]
    assert in_order == sorted(in_order)
    for number in moved:
        assert moments[number - 1] < max(moments[: number - 1])
    assert min(moments).isoformat() >= "2025-06-01"


def test_the_mix_holds(clean: list[dict]) -> None:
    count = Counter(record["record_type"] for record in clean)
    for name, share in {"voice": 0.6, "data": 0.3, "sms": 0.1}.items():
        assert abs(count[name] / len(clean) - share) < 0.01 * share


def test_times_follow_the_day_and_the_week(clean: list[dict]) -> None:
    local = ZoneInfo("Africa/Casablanca")
    moments = [datetime.fromisoformat(record["timestamp"]).astimezone(local) for record in clean]
    hours = Counter(moment.hour for moment in moments)
    assert 18 <= hours.most_common(1)[0][0] <= 21
    assert hours[20] > 10 * hours[3]
    mornings = Counter(moment.weekday() >= 5 for moment in moments if moment.hour in (7, 8))
    weekend_days, weekdays = 9, 21  # of June 2025
    assert mornings[True] / weekend_days < 0.8 * mornings[False] / weekdays


def test_use_is_uneven_and_social(clean: list[dict]) -> None:
    calls = [record for record in clean if record["record_type"] == "voice"]
    by_caller = Counter(call["caller_id"][-9:] for call in calls)
    busiest = sum(count for _, count in by_caller.most_common(len(by_caller) // 10))
    assert 0.3 < busiest / len(calls) < 0.75
    for caller, count in by_caller.most_common(20):
        partners = Counter(call["callee_id"] for call in calls if call["caller_id"].endswith(caller))
        friends = sum(times for _, times in partners.most_common(12))
        assert friends > 0.6 * count, "a circle of 12 gets most of the calls"
        assert len(partners) > 20, "and the world gets some"


def test_durations_and_volumes_are_log_normal(clean: list[dict]) -> None:
    durations = np.log(
        [int(r["duration_sec"]) for r in clean if r["record_type"] == "voice" and int(r["duration_sec"])]
    )
    assert abs(np.mean(durations) - np.median(durations)) < 0.1
    assert 0.9 < np.std(durations) < 1.3
    volumes = np.log([float(r["data_volume_mb"]) for r in clean if r["record_type"] == "data"])
    assert abs(np.mean(volumes) - np.median(volumes)) < 0.25
    assert 1.5 < np.std(volumes) < 2.3


def test_people_are_near_home_and_cells_have_one_technology(clean: list[dict]) -> None:
    technology: dict[str, set[str]] = {}
    city: dict[str, Counter[str]] = {}
    for record in clean:
        if "cell_id" in record:
            technology.setdefault(record["cell_id"], set()).add(record["technology"])
            subject = record.get("caller_id") or record.get("sender_id") or record["user_id"]
            city.setdefault(subject[-9:], Counter())[record["cell_id"].rpartition("_")[0]] += 1
    assert all(len(kinds) == 1 for kinds in technology.values())
    assert {kind for kinds in technology.values() for kind in kinds} == {"2G", "3G", "4G", "5G"}
    at_home = [count.most_common(1)[0][1] / count.total() for count in city.values() if count.total() > 50]
    assert np.mean(at_home) > 0.9


def test_destinations_come_from_the_catalogue(clean: list[dict]) -> None:
    zones = {}
    for line in (SEEDS / "destination_prefixes.csv").read_text().splitlines()[1:]:
        prefix, zone = line.split(",")[:2]
        zones[prefix] = zone
    seen: Counter[str] = Counter()
    for record in clean:
        peer = record.get("callee_id") or record.get("receiver_id")
        if peer:
            number = peer.removeprefix("+").removeprefix("00")
            number = "212" + number[1:] if number.startswith("0") else number
            seen[next(zones[number[:end]] for end in range(len(number), 0, -1) if number[:end] in zones)] += 1
    assert seen["on_net"] > seen["off_net"] > seen["europe"] > 0
    assert min(seen["customer_care"], seen["premium_sms"], seen["maghreb"], seen["fixed"]) > 0


def test_about_one_percent_is_from_numbers_that_are_nobodys(clean: list[dict]) -> None:
    traffic = Traffic(make_spec(100_000), "212")
    customers = set(traffic.population.numbers[: traffic.population.customers].tolist())
    assert not customers & set(traffic.population.numbers[traffic.population.customers :].tolist())
    national = {str(number)[3:] for number in customers}
    strangers = 0
    for record in clean:
        subject = record.get("caller_id") or record.get("sender_id") or record["user_id"]
        strangers += subject[-9:] not in national
    assert 0.008 < strangers / len(clean) < 0.012
    assert strangers == sum(chunk.counts["from_nobody"] for chunk in traffic.chunks())


def test_nobody_uses_the_network_before_activation(clean: list[dict]) -> None:
    population = Traffic(make_spec(100_000), "212").population
    begun = dict(zip((str(n)[3:] for n in population.numbers), population.activation.tolist(), strict=False))
    late = 0
    for record in clean:
        subject = record.get("caller_id") or record.get("sender_id") or record["user_id"]
        day = datetime.fromisoformat(record["timestamp"]).timestamp() / 86_400
        assert begun.get(subject[-9:], 0) <= day
        late += begun.get(subject[-9:], 0) > 20_240  # June 2025: customers who wait for their activation
    assert late > 0


def test_records_have_ids_or_not(clean: list[dict]) -> None:
    with_id = [record["record_id"] for record in clean if "record_id" in record]
    assert 0.65 < len(with_id) / len(clean) < 0.75
    assert len(set(with_id)) == len(with_id)


def test_numbers_are_written_in_every_form_mediation_must_read(clean: list[dict]) -> None:
    callers = [record["caller_id"] for record in clean if record["record_type"] == "voice"]
    assert {number[:2] for number in callers} >= {"21", "+2", "00", "06"}
    durations = {type(record["duration_sec"]) for record in clean if record["record_type"] == "voice"}
    assert durations == {int, str}
    assert {record["timestamp"][-6:] == "+01:00" for record in clean} == {True, False}


def test_a_standing_start_is_refused() -> None:
    with pytest.raises(UserError, match="no subscription has begun"):
        Traffic(make_spec(first_day="2019-01-01", last_day="2019-01-31"), "212")


def test_no_records_is_a_file_too(tmp_path: Path) -> None:
    file = tmp_path / "none.json"
    write_traffic(Traffic(make_spec(0), "212"), str(file))
    assert file.read_bytes() == b""
    assert manifest_of(file)["injected"] == []


def test_a_pipe_or_a_device_has_no_manifest_beside_it() -> None:
    write_traffic(Traffic(make_spec(10), "212"), "/dev/null")
    assert not Path("/dev/null.manifest.json").exists()


def test_an_interrupted_run_leaves_no_manifest(tmp_path: Path) -> None:
    file = tmp_path / "cdr.json"

    def stop(lines: int) -> None:
        raise KeyboardInterrupt

    write_traffic(Traffic(make_spec(10), "212"), str(file))
    with pytest.raises(KeyboardInterrupt):
        write_traffic(Traffic(make_spec(10), "212"), str(file), written=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["cdr.json"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--out .*nowhere.*No such file"):
        write_traffic(Traffic(make_spec(10), "212"), str(tmp_path / "nowhere" / "cdr.json"))


def test_the_rate_is_kept(tmp_path: Path) -> None:
    begin = time.monotonic()
    write_traffic(Traffic(make_spec(300), "212"), str(tmp_path / "cdr.json"), rate=500)
    assert 0.5 < time.monotonic() - begin < 5


def test_memory_does_not_grow_with_the_run() -> None:
    def peak(count: int) -> int:
        traffic = Traffic(make_spec(count, anomalies=ALL_ANOMALIES), "212")
        tracemalloc.start()
        for _chunk in traffic.chunks():
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(24 * CHUNK) < 1.1 * peak(4 * CHUNK)
