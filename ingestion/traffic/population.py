"""Who there is: subscribers with their plans and habits, numbers that are nobody's, cells, and people to call.

Everything follows from the seed and the subscriber's number in the row, not from the run's period or length: the first
500 of 1,000 subscribers are the 500 of a smaller run, and July's traffic is of the same people as June's.
"""

import math
from dataclasses import dataclass
from datetime import date
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ingestion.console import UserError
from ingestion.traffic.catalogue import TrafficCatalogue

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SEGMENTS = ("consumer", "student", "business", "vip")
SEGMENT_SHARES = (0.70, 0.14, 0.13, 0.03)
PREPAID_SHARES = (0.60, 0.75, 0.0, 0.0)
"""Share of prepaid subscribers, a segment each."""
STATUSES = ("active", "suspended", "terminated", "pending")
STATUS_SHARES = (0.93, 0.03, 0.03, 0.01)

EARLIEST = date(2020, 1, 1)
LAUNCHED = date(2025, 5, 1)
"""Days that activations lie between; the catalogue's plans begin on the first."""
PENDING_FROM, PENDING_DAYS = date(2025, 5, 1), 60
TERMINATED_FROM, TERMINATED_DAYS = date(2025, 5, 1), 90

# habits of a segment: calls, megabytes and messages, against the average consumer's
USE_OF_SEGMENT = np.array([[1.0, 1.0, 1.0], [0.7, 1.8, 1.6], [2.2, 1.1, 0.7], [2.5, 1.6, 0.8]])
USE_WHEN_NOT_ACTIVE = 0.1
SPREAD_OF_USE = 1.15
"""Standard deviation of the logarithm of use: the busiest tenth makes about half of the traffic."""

NATIONAL_DIGITS = 9
CELLS_OF_LARGEST_CITY = 99
CITY_SIZE = {
    "CASABLANCA_": 30.0, "RABAT_": 11.0, "FES_": 11.0, "TANGER_": 11.0, "MARRAKECH_": 10.0, "SALE_": 9.0,
    "AGADIR_": 8.0, "MEKNES_": 7.0, "OUJDA_": 5.0, "KENITRA_": 5.0, "TETOUAN_": 4.0,
}  # fmt: skip
"""Relative size of the large cities; any other home cell prefix counts 2."""


class Draw(IntEnum):
    """One random stream an attribute, so that a new attribute never changes the others."""

    NUMBER = 1
    SEGMENT = 2
    PREPAID = 3
    STATUS = 4
    PLAN = 5
    ACTIVATION = 6
    ENDING = 7
    USE = 8
    HOME = 9
    WORK = 10
    NAME = 11
    CIRCLE = 12
    EXTERNAL = 13
    CELLS = 14


def stream(seed: int, draw: Draw) -> np.random.Generator:
    """Return the random numbers of one attribute."""
    return np.random.Generator(np.random.PCG64([seed, int(draw)]))


@dataclass(frozen=True)
class Cells:
    """Every cell: its name, its technology, and where each city's cells begin.

    Attributes:
        names: cell names; home cells first, city by city, then the others.
        technology: index into `render.TECHNOLOGIES`, a cell each.
        first: index of each city's first cell, and after the last one the number of home cells.
        city_share: share of people who live there, a city each.
        cities: names of the cities.
    """

    names: list[bytes]
    technology: NDArray[np.int8]
    first: Ints
    city_share: Floats
    cities: tuple[str, ...]


@dataclass(frozen=True)
class Population:
    """Subscribers as columns, all of length `customers` but for `numbers`, which strangers' numbers follow in.

    Attributes:
        numbers: subscriber numbers (E.164 digits as an integer), then the numbers that are nobody's.
        segment, status, plan: indexes into SEGMENTS, STATUSES and `plans`.
        prepaid: whether the subscription is prepaid.
        activation, termination: days since 1970-01-01; a termination of 0 is none.
        use: relative amount of voice, data and SMS, shape (3, customers).
        city, home, work: index of the city, and of the cells lived and worked near.
    """

    seed: int
    numbers: Ints
    plans: tuple[str, ...]
    segment: Ints
    prepaid: NDArray[np.bool_]
    status: Ints
    plan: Ints
    activation: Ints
    termination: Ints
    use: Floats
    city: Ints
    home: Ints
    work: Ints
    cells: Cells

    @property
    def customers(self) -> int:
        """Number of subscribers."""
        return len(self.segment)

    @property
    def strangers(self) -> int:
        """How many numbers are nobody's."""
        return len(self.numbers) - self.customers


def build_population(catalogue: TrafficCatalogue, customers: int, seed: int, country_code: str) -> Population:
    """Make the subscribers of a seed."""
    cells = build_cells(catalogue, seed)
    segment = _choose(seed, Draw.SEGMENT, SEGMENT_SHARES, customers)
    prepaid = stream(seed, Draw.PREPAID).random(customers) < np.array(PREPAID_SHARES)[segment]
    status = _choose(seed, Draw.STATUS, STATUS_SHARES, customers)
    activation, termination = _dates(seed, status)
    city = _choose(seed, Draw.HOME, tuple(cells.city_share), customers)
    first, size = cells.first[city], np.diff(cells.first)[city]
    places = stream(seed, Draw.WORK).random((customers, 2))
    habit = stream(seed, Draw.USE).lognormal(0.0, SPREAD_OF_USE, (customers, 3)).T
    not_active = np.where(status == 0, 1.0, USE_WHEN_NOT_ACTIVE)
    return Population(
        seed=seed,
        numbers=_numbers(catalogue.own_ranges, customers, max(10, customers // 50), seed, country_code),
        plans=catalogue.rate_plan_ids,
        segment=segment,
        prepaid=prepaid,
        status=status,
        plan=_plans(catalogue.rate_plan_ids, segment, prepaid, seed),
        activation=activation,
        termination=termination,
        use=habit * USE_OF_SEGMENT[segment].T * not_active,
        city=city,
        home=first + (places[:, 0] * size).astype(np.int64),
        work=first + (places[:, 1] * size).astype(np.int64),
        cells=cells,
    )


def build_cells(catalogue: TrafficCatalogue, seed: int) -> Cells:
    """Lay out the cells: more of them, and newer ones, where more people live."""
    sizes = np.array([CITY_SIZE.get(prefix, 2.0) for prefix in catalogue.home_cells])
    counts = np.maximum(4, (sizes / sizes.max() * CELLS_OF_LARGEST_CITY).astype(np.int64))
    names = [
        f"{prefix}{number:02d}".encode()
        for prefix, count in zip(catalogue.home_cells, counts, strict=True)
        for number in range(1, count + 1)
    ]
    away = [f"{prefix}{number:02d}".encode() for prefix in catalogue.away_cells for number in range(1, 7)]
    draw = stream(seed, Draw.CELLS).random(len(names) + len(away))
    # index 0 to 3 is 2G to 5G; a city of size 30 has about four times the 5G cells of one of size 2
    newness = np.concatenate([np.repeat(np.log2(sizes) / 16, counts), np.full(len(away), 0.15)])
    technology = np.searchsorted([0.12, 0.35, 0.92], np.minimum(draw + newness, 0.999)).astype(np.int8)
    return Cells(
        names=names + away,
        technology=technology,
        first=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        city_share=sizes / sizes.sum(),
        cities=tuple(prefix.strip("_").replace("_", " ").title() for prefix in catalogue.home_cells),
    )


def _choose(seed: int, draw: Draw, shares: tuple[float, ...], size: int) -> Ints:
    edges = np.cumsum(shares)[:-1] / sum(shares)
    return np.searchsorted(edges, stream(seed, draw).random(size), side="right").astype(np.int64)


def _dates(seed: int, status: Ints) -> tuple[Ints, Ints]:
    first = (EARLIEST - date(1970, 1, 1)).days
    draw = stream(seed, Draw.ACTIVATION).random(len(status))
    activation = first + (np.sqrt(draw) * (LAUNCHED - EARLIEST).days).astype(np.int64)
    late = stream(seed, Draw.ENDING).random(len(status))
    pending = (PENDING_FROM - date(1970, 1, 1)).days + (late * PENDING_DAYS).astype(np.int64)
    ended = (TERMINATED_FROM - date(1970, 1, 1)).days + (late * TERMINATED_DAYS).astype(np.int64)
    return (
        np.where(status == STATUSES.index("pending"), pending, activation),
        np.where(status == STATUSES.index("terminated"), ended, 0),
    )


def _plans(plans: tuple[str, ...], segment: Ints, prepaid: NDArray[np.bool_], seed: int) -> Ints:
    draw = stream(seed, Draw.PLAN).random(len(segment))
    chosen = np.zeros(len(segment), dtype=np.int64)
    for kind, name in enumerate(SEGMENTS):
        for paid_before in (False, True):
            rows = (segment == kind) & (prepaid == paid_before)
            fitting = np.array(plans_for(plans, name, prepaid=paid_before))
            # the first plan that fits is the popular one
            chosen[rows] = fitting[(draw[rows] ** 1.5 * len(fitting)).astype(np.int64)]
    return chosen


def plans_for(plans: tuple[str, ...], segment: str, *, prepaid: bool) -> list[int]:
    """Return the indexes of the plans that fit.

    A plan says by its id whom it is for: `PREPAID` in it for prepaid, else the segment's name, else none of these.
    """
    if prepaid:
        fitting = [index for index, plan in enumerate(plans) if "PREPAID" in plan]
    else:
        postpaid = [index for index, plan in enumerate(plans) if "PREPAID" not in plan]
        own = [index for index in postpaid if segment.upper() in plans[index]]
        general = [index for index in postpaid if not any(name.upper() in plans[index] for name in SEGMENTS)]
        fitting = own or general or postpaid
    return fitting or list(range(len(plans)))


def _numbers(ranges: tuple[str, ...], customers: int, strangers: int, seed: int, country_code: str) -> Ints:
    """Return different numbers spread over the ranges: the subscribers', then the strangers'.

    Both walk through the same space in opposite directions, so that nobody's number of a small run isn't a
    subscriber's of a larger one.
    """
    apart = [own for own in ranges if not any(own != other and own.startswith(other) for other in ranges)]
    digits = len(country_code) + NATIONAL_DIGITS
    free = min(digits - len(own) for own in apart)
    space = len(apart) * 10**free if free > 0 else 0
    if customers + strangers > space:
        raise UserError(f"--customers {customers}: the catalogue's own number ranges hold no more than {space} numbers")
    random = stream(seed, Draw.NUMBER)
    step = int(random.integers(space // 3, space))
    while math.gcd(step, space) != 1:  # otherwise the walk through the space comes back early and repeats numbers
        step += 1
    steps = np.concatenate([np.arange(customers, dtype=np.int64), np.arange(-1, -1 - strangers, -1, dtype=np.int64)])
    place = (steps * step + int(random.integers(space))) % space
    bases = np.array([int(own) * 10 ** (digits - len(own)) for own in apart], dtype=np.int64)
    numbers: Ints = bases[place // 10**free] + place % 10**free
    return numbers
