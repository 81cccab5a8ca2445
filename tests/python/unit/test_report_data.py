"""Which control totals the report takes for broken, from answers as the Thrift server gives them."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from ingestion.settings import Settings
from serving import report_data
from serving.report_data import Equation, Month

TABLES = {"assurance_daily_totals", "assurance_monthly_totals", "assurance_offset_gaps", "assurance_served_totals"}
DAYS = [(date(2025, 6, 1), 0, 0), (date(2025, 6, 2), 0, -3)]
GAPS = [("cdr", 2, 10, 11, 2)]
SERVED = [("bills", "2025-06", "draft", 0, 0, Decimal("0.000000")), ("usage_records", "2025-06-01", "rated", 1, 0, 0)]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[Any, ...]]]:
    """What the server answers to a question that names a table."""
    known = {
        "show databases": [("default",), ("telecom",)],
        "show tables": [("telecom", table, False) for table in sorted(TABLES)],
        "daily_totals": DAYS,
        "offset_gaps": GAPS,
        "served_totals": SERVED,
        "landing.cdr": [(4,)],
    }

    def execute(_settings: Settings, query: str) -> list[tuple[Any, ...]]:
        return next(rows for name, rows in known.items() if name in query)

    monkeypatch.setattr(report_data.thrift, "execute", execute)
    return known


def month(difference: str) -> Month:
    zero = Decimal(0)
    return Month("2025-06", "MAD", zero, zero, zero, zero, zero, zero, Decimal(difference))


def equations(tables: set[str], difference: str = "0") -> dict[str, Equation]:
    made = report_data._equations(Settings(), tables, [month(difference)])
    return {equation.name: equation for equation in made}


def test_each_equation_names_the_places_where_it_does_not_hold(answers: object) -> None:
    made = equations(TABLES, "-0.010000")
    assert {name: (equation.checked, equation.broken) for name, equation in made.items()} == {
        "received = normal + error + duplicate": (2, ()),
        "normal = rated + rejected + unmatched + error": (2, ("2025-06-02: -3 records",)),
        "rated cost = prepaid + included + billed + open": (1, ("2025-06: -0.010000 MAD",)),
        "every offset of every partition was landed": (4, ("cdr 2, offsets 10 to 11: 2",)),
        "PostgreSQL serves what Spark computed": (
            2,
            ("usage_records of 2025-06-01, rated: +1 rows, +0 lines, +0.000000",),
        ),
    }


def test_money_that_adds_up_to_zero_is_no_difference(answers: object) -> None:
    assert equations(TABLES, "0.000000")["rated cost = prepaid + included + billed + open"].broken == ()


def test_what_was_never_built_is_not_said_to_hold(answers: dict[str, list[tuple[Any, ...]]]) -> None:
    assert list(equations(set())) == ["rated cost = prepaid + included + billed + open"]
    answers["show databases"] = [("default",)]
    assert report_data._tables(Settings()) == set()


def test_the_tables_are_those_of_dbts_schema(answers: object) -> None:
    assert report_data._tables(Settings()) == TABLES
