"""Which months a purge takes, which stay, and why."""

from datetime import date

import pytest

from ingestion.console import UserError
from serving.purge import parse_day
from serving.purge_plan import Choice, Holding, Stock, choose

JANUARY, FEBRUARY, MARCH = date(2024, 1, 1), date(2024, 2, 1), date(2024, 3, 1)
USED = Holding(landed=3, files=1, usage=2)
ERRORS = Holding(landed=1, files=1)


def stock(held: dict[date, Holding], **facts: object) -> Stock:
    return Stock(held, **{"closed_through": FEBRUARY} | facts)  # type: ignore[arg-type]


ALL = {JANUARY: USED, FEBRUARY: USED, MARCH: USED}


@pytest.mark.parametrize(
    ("held", "day", "choice"),
    [
        (stock(ALL), JANUARY, Choice()),
        (stock(ALL), FEBRUARY, Choice(JANUARY)),
        (stock(ALL), date(2024, 2, 29), Choice(JANUARY, ["2024-02 (2024-02-29 falls in it)"])),
        (stock(ALL), MARCH, Choice(FEBRUARY)),
        (stock(ALL), date(2024, 4, 1), Choice(FEBRUARY, ["2024-03 (open)"])),
        (stock(ALL, closed_through=None), FEBRUARY, Choice(None, ["2024-01 (open)"])),
        # a correction is on no final bill yet; were February to go without January, January would go too
        (
            stock(ALL, corrected=frozenset({JANUARY})),
            MARCH,
            Choice(None, ["2024-01 (open bills correct it)", "2024-02 (after one that stays)"]),
        ),
        # what an allowance left is known of months with usage alone
        (stock({JANUARY: USED, FEBRUARY: ERRORS}), MARCH, Choice(JANUARY)),
        (stock({JANUARY: ERRORS}), MARCH, Choice()),
        # again, for what came late
        (stock({JANUARY: ERRORS}, purged_through=JANUARY), MARCH, Choice(JANUARY)),
        (stock({JANUARY: USED}, purged_through=FEBRUARY), MARCH, Choice(FEBRUARY)),
        (stock({FEBRUARY: USED}, purged_through=JANUARY), MARCH, Choice(FEBRUARY)),
        (
            stock({JANUARY: USED}, purged_through=FEBRUARY),
            FEBRUARY,
            Choice(None, ["2024-01 (purged with those up to 2024-02; --before 2024-03-01 repeats it)"]),
        ),
    ],
)
def test_the_choice_of_months(held: Stock, day: date, choice: Choice) -> None:
    assert choose(held, day) == choice


@pytest.mark.parametrize("text", ["2024-02", "2024-02-30", "yesterday", "20240201"])
def test_a_day_that_is_none_is_named(text: str) -> None:
    with pytest.raises(UserError, match=f"--before {text}: a day is written YYYY-MM-DD"):
        parse_day(text)
