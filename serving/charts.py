"""The arithmetic of the report's pictures: what share of the width or height each figure gets.

Geometry only, in plain numbers; the template draws it as SVG. Money stays decimal everywhere else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate

SMALLEST_VISIBLE = 0.4
AXIS_TOPS = (12, 16, 20, 24, 30, 40, 50, 60, 80, 100)


@dataclass(frozen=True)
class Span:
    """A stretch of a bar in percent of the whole picture, from its left or bottom."""

    start: float
    size: float


def percent(value: Decimal | int, whole: Decimal | int) -> float:
    """Return `value` as a share of `whole` in percent; of nothing, everything is nothing."""
    return float(100 * Decimal(value) / Decimal(whole)) if whole else 0.0


def visible(size: float) -> float:
    """Return a size that an eye can find: what is there is never drawn as nothing."""
    return max(size, SMALLEST_VISIBLE) if size > 0 else 0.0


def side_by_side(values: Sequence[int], whole: int) -> list[Span]:
    """Lay values out one after the other on a bar that is `whole` long.

    A part too small to see is widened at the cost of the largest, so that the parts together keep their length.
    """
    sizes = [visible(percent(value, whole)) for value in values]
    if any(sizes):
        excess = sum(sizes) - percent(sum(values), whole)
        largest = max(range(len(sizes)), key=sizes.__getitem__)
        sizes[largest] -= excess
    starts = accumulate(sizes, initial=0.0)
    return [Span(round(start, 3), round(size, 3)) for start, size in zip(starts, sizes, strict=False)]


def axis_top(largest: int) -> int:
    """Return the end of an axis from 0 that holds `largest`, whose half is a round number too."""
    if largest <= 10:
        return max(2, largest + largest % 2)
    power = 1
    while power * AXIS_TOPS[-1] < largest:
        power *= 10
    return next(top * power for top in AXIS_TOPS if top * power >= largest)


def stacked(columns: Sequence[Mapping[str, int]], keys: Sequence[str], top: int) -> list[dict[str, Span]]:
    """Stack each column's values from the bottom up, in the order of `keys`, on an axis that ends at `top`."""
    stacks = []
    for column in columns:
        values = [column.get(key, 0) for key in keys]
        starts = accumulate(values, initial=0)
        stacks.append(
            {
                key: Span(round(percent(start, top), 3), round(percent(value, top), 3))
                for key, value, start in zip(keys, values, starts, strict=False)
                if value
            }
        )
    return stacks
