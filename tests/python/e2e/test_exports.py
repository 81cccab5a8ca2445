"""Publishing into PostgreSQL: all of a run or nothing, once, whatever was killed before."""

import json
import threading
from collections.abc import Iterator

import psycopg
import pytest
from databases import CUSTOMER, USAGE_COLUMNS, connect, own_database, usage_rows

from ingestion.settings import Settings

pytestmark = pytest.mark.stack


@pytest.fixture
def database(stack: Settings) -> Iterator[Settings]:
    with own_database(stack, "exports_test") as settings:
        with connect(settings) as connection:
            connection.execute(CUSTOMER)
        yield settings


def stage_usage(loader: psycopg.Connection, run: str, first: int, last: int, cost: str = "0.5") -> None:
    rows = usage_rows(first, last, cost)
    loader.execute(f"insert into export.usage_records (run_id, {USAGE_COLUMNS}) select '{run}', * from ({rows})")


def stage_bill(loader: psycopg.Connection, run: str, lines: int, customer: str = "C1") -> None:
    """Stage a bill of 10.000 a line, 2.000 of tax on each."""
    bill = f"{customer}-2025-06"
    loader.execute(
        "insert into export.bills values (%s, %s, %s, '2025-06', 'draft', 'MAD', %s, 0, %s, %s, '{}', null, %s)",
        (run, bill, customer, 10 * lines, 2 * lines, 12 * lines, f"{lines} lines"),
    )
    loader.execute(
        "insert into export.bill_lines select %s, %s, n, 'usage', 'Calls', 'voice', 'on_net', 1, 10, 0, 20, 2, 12, "
        "'2025-06' from generate_series(1, %s) as n",
        (run, bill, lines),
    )


def publish(loader: psycopg.Connection, run: str) -> None:
    loader.execute("insert into export.publications (run_id) values (%s)", (run,))


def one(connection: psycopg.Connection, query: str) -> object:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def test_a_run_is_seen_whole_or_not_at_all(database: Settings) -> None:
    seen: set[tuple[int, int, int]] = set()
    done = threading.Event()

    def watch() -> None:
        with connect(database) as connection:
            while not done.is_set():
                row = connection.execute(
                    "select (select count(*) from usage_records), (select count(*) from bills), "
                    "(select count(*) from bill_lines)"
                ).fetchone()
                assert row is not None
                seen.add(row)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with connect(database, "loader") as loader:
            for first in range(1, 30_001, 10_000):
                stage_usage(loader, "run-1", first, first + 9_999)
            stage_bill(loader, "run-1", 3)
            assert one(loader, "select count(*) from usage_records") == 0
            publish(loader, "run-1")
            assert one(loader, "select count(*) from usage_records") == 30_000
    finally:
        done.set()
        watcher.join()
    assert seen <= {(0, 0, 0), (30_000, 1, 3)}
    with connect(database) as connection:
        assert one(connection, "select count(*) from staged.usage_records") == 0
        published = one(connection, "select run_id, usage_records, bills, bill_lines from publications")
        assert published == ("run-1", 30_000, 1, 3)


def test_publishing_the_same_again_touches_no_row(database: Settings) -> None:
    versions = "select record_id, xmin::text, ctid::text from usage_records order by record_id"
    with connect(database, "loader") as loader, connect(database) as owner:
        stage_usage(loader, "run-1", 1, 500)
        publish(loader, "run-1")
        before = owner.execute(versions).fetchall()
        publish(loader, "run-1")
        stage_usage(loader, "run-2", 1, 500)
        publish(loader, "run-2")
        assert owner.execute(versions).fetchall() == before
        assert one(owner, "select usage_records from publications where run_id = 'run-2'") == 0
        stage_usage(loader, "run-3", 500, 501, cost="0.75")
        publish(loader, "run-3")
        assert one(owner, "select count(*), sum(cost) from usage_records") == (501, pytest.approx(251))


def test_killed_in_the_middle_and_run_again(database: Settings) -> None:
    with connect(database, "loader", autocommit=False) as doomed, connect(database, "loader") as killer:
        stage_usage(doomed, "run-1", 1, 1_000, cost="9")
        doomed.commit()
        stage_bill(doomed, "run-1", 9)
        killer.execute("select pg_terminate_backend(%s)", (doomed.info.backend_pid,))
        with pytest.raises(psycopg.OperationalError):
            publish(doomed, "run-1")
    with connect(database, "loader") as loader, connect(database) as owner:
        assert one(owner, "select count(*) from usage_records") == 0
        stage_usage(loader, "run-2", 1, 1_000)
        stage_bill(loader, "run-2", 2)
        publish(loader, "run-2")
        assert one(owner, "select count(*), sum(cost) from usage_records") == (1_000, 500)
        assert one(owner, "select count(*), sum(total) from bill_lines") == (2, 24)
        # what the killed run had staged is not published, and goes a day later
        assert one(owner, "select count(*) from staged.usage_records where run_id = 'run-1'") == 1_000
        owner.execute("update staged.usage_records set staged_at = staged_at - interval '25 hours'")
        publish(loader, "run-3")
        assert one(owner, "select count(*) from staged.usage_records") == 0


def test_two_runs_at_a_time_do_not_lose_each_others_rows(database: Settings) -> None:
    with connect(database, "loader") as loader, connect(database) as owner:
        stage_usage(loader, "run-1", 1, 10)
        stage_usage(loader, "run-2", 11, 20)
        publish(loader, "run-1")
        assert one(owner, "select count(*) from usage_records") == 10
        publish(loader, "run-2")
        assert one(owner, "select count(*) from usage_records") == 20


def test_a_bill_that_lost_lines_and_one_that_is_no_longer_made(database: Settings) -> None:
    with connect(database, "loader") as loader, connect(database) as owner:
        stage_bill(loader, "run-1", 5)
        stage_bill(loader, "run-1", 4, customer="C2")
        publish(loader, "run-1")
        stage_bill(loader, "run-2", 2)
        loader.execute("insert into export.bills (run_id, bill_id) values ('run-2', 'C2-2025-06')")
        publish(loader, "run-2")
        assert owner.execute("select bill_id, line_no from bill_lines order by 2").fetchall() == [
            ("C1-2025-06", 1),
            ("C1-2025-06", 2),
        ]
        assert one(owner, "select count(*), sum(total) from bills") == (1, 24)


def test_a_run_that_would_change_a_final_bill_publishes_nothing(database: Settings) -> None:
    with connect(database, "loader") as loader, connect(database) as owner:
        stage_bill(loader, "run-1", 5)
        publish(loader, "run-1")
        owner.execute("update bills set state = 'final'")
        stage_usage(loader, "run-2", 1, 10)
        stage_bill(loader, "run-2", 6)
        with pytest.raises(psycopg.errors.RaiseException, match="final bill"):
            publish(loader, "run-2")
        assert one(owner, "select count(*) from usage_records") == 0
        assert one(owner, "select count(*) from bill_lines") == 5


QUESTIONS = {
    "what did a customer use in a month": (
        "select * from usage_records where customer_id = 'C1' and event_time >= '2025-06-10' "
        "and event_time < '2025-06-12' order by event_time"
    ),
    "what became of this record": "select * from usage_records where record_id = 'r77'",
    "what did a number do last": (
        "select * from usage_records where msisdn = '212612000001' order by event_time desc limit 20"
    ),
    "what did a day bring by zone": (
        "select zone, count(*), sum(cost) from usage_records where event_time >= '2025-06-10' "
        "and event_time < '2025-06-11' group by zone"
    ),
    "what waits in suspense and why": (
        "select status_reason, count(*), min(event_time) from usage_records where rating_status <> 'rated' "
        "group by status_reason"
    ),
}


@pytest.fixture(scope="module")
def filled(stack: Settings) -> Iterator[Settings]:
    """200,000 records over 139 days, one in a thousand in suspense."""
    with own_database(stack, "questions_test") as settings, connect(settings) as connection:
        connection.execute(CUSTOMER)
        connection.execute(
            f"insert into usage_records ({USAGE_COLUMNS}) {usage_rows(1, 200_000)};"
            "update usage_records set rating_status = 'error', status_reason = 'NO_RATE', cost = null "
            "where substr(record_id, 2)::int % 1000 = 0;"
            "update usage_records set customer_id = 'C2', msisdn = '212612000002' "
            "where substr(record_id, 2)::int % 2 = 0"
        )
        connection.execute("vacuum analyze usage_records")
        yield settings


def scans(plan: dict[str, object]) -> Iterator[tuple[str, str]]:
    """Yield every scan of a plan as (node type, index)."""
    if "Relation Name" in plan or "Index Name" in plan:
        yield str(plan["Node Type"]), str(plan.get("Index Name", ""))
    for child in plan.get("Plans", []):  # type: ignore[attr-defined]
        yield from scans(child)


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_five_questions_read_an_index(filled: Settings, question: str) -> None:
    with connect(filled) as connection:
        explained = one(connection, f"explain (format json) {QUESTIONS[question]}")
    assert isinstance(explained, list)
    found = list(scans(explained[0]["Plan"]))
    assert found and all(node != "Seq Scan" for node, _ in found), json.dumps(explained)
