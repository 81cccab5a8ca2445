from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import charts

AMOUNTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=8)


@given(AMOUNTS, st.integers(0, 10**9))
def test_parts_lie_side_by_side_and_keep_their_length(values: list[int], rest: int) -> None:
    whole = sum(values) + rest
    spans = charts.side_by_side(values, whole)
    for before, after in pairwise(spans):
        assert after.start == pytest.approx(before.start + before.size, abs=0.01)
    assert spans[0].start == 0
    if not any(0 < 100 * value < charts.SMALLEST_VISIBLE * whole for value in values):
        assert sum(span.size for span in spans) == pytest.approx(charts.percent(sum(values), whole), abs=0.01)


def test_a_part_too_small_to_see_is_seen_and_the_largest_gives_way() -> None:
    large, small, nothing = charts.side_by_side([999_999, 1, 0], 1_000_000)
    assert small.size == charts.SMALLEST_VISIBLE
    assert large.size + small.size == pytest.approx(100)
    assert nothing.size == 0


def test_nothing_has_no_width() -> None:
    assert [span.size for span in charts.side_by_side([0, 0], 0)] == [0, 0]
    assert charts.percent(Decimal(5), 0) == 0


@given(st.integers(0, 10**12))
def test_an_axis_holds_its_largest_value_without_wasting_much(largest: int) -> None:
    top = charts.axis_top(largest)
    assert top >= largest
    assert top % 2 == 0
    assert top <= 2 or top <= max(largest * 1.5, largest + 1)


@pytest.mark.parametrize(("largest", "top"), [(0, 2), (1, 2), (7, 8), (11, 12), (101, 120), (1490, 1600), (2001, 2400)])
def test_an_axis_ends_at_a_round_number(largest: int, top: int) -> None:
    assert charts.axis_top(largest) == top


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(1, 1000)), min_size=1, max_size=24))
def test_a_stack_is_as_high_as_its_column(columns: list[dict[str, int]]) -> None:
    top = charts.axis_top(max(sum(column.values()) for column in columns))
    for column, stack in zip(columns, charts.stacked(columns, "abc", top), strict=True):
        assert stack.keys() == column.keys()
        height = max((span.start + span.size for span in stack.values()), default=0)
        assert height == pytest.approx(charts.percent(sum(column.values()), top), abs=0.01)
        assert height <= 100.01
