"""What a run of the generator shall make: the flags, checked, as one value that fixes every byte."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from ingestion.console import UserError

RECORD_TYPES = ("voice", "data", "sms")
ANOMALIES = ("missing", "corrupt", "duplicate", "disorder")
MOST_CUSTOMERS = 5_000_000
MOST_RECORDS = 10**12
MOST_DECIMALS = 12
"""Of a percentage: an exact fraction of 1e-99999999 would have a hundred million digits."""


@dataclass(frozen=True)
class TrafficSpec:
    """One run. Two runs with equal specs write equal bytes.

    Attributes:
        count: lines to write, anomalies and copies included.
        mix: share of voice, data and sms, in this order, summing to 1.
        anomalies: share of lines that are missing, corrupt, duplicate, disorder, in this order, at most 1 together.
        seed: any whole number from 0.
        first_day, last_day: the period, both days included, in UTC.
        customers: number of subscribers, from 1.
    """

    count: int
    mix: tuple[Fraction, Fraction, Fraction]
    anomalies: tuple[Fraction, Fraction, Fraction, Fraction]
    seed: int
    first_day: date
    last_day: date
    customers: int

    @property
    def days(self) -> int:
        """Number of days in the period."""
        return (self.last_day - self.first_day).days + 1

    @property
    def run_id(self) -> str:
        """Eight hexadecimal digits that record ids begin with, so that different runs never share one."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:8]


def traffic_spec(  # noqa: PLR0913 - one argument a flag
    *, count: int, mix: str, anomalies: str, seed: int, first_day: str, last_day: str, customers: int
) -> TrafficSpec:
    """Check the flags as they were typed.

    Raises:
        UserError: a flag is wrong; the message names it and says what is allowed.
    """
    _whole("--count", count, 0, MOST_RECORDS)
    _whole("--customers", customers, 1, MOST_CUSTOMERS)
    _whole("--seed", seed, 0, 2**63 - 1)
    voice, data, sms = _shares("--mix", mix, RECORD_TYPES)
    if voice + data + sms != 1:
        total = sum(_percentages("--mix", mix, RECORD_TYPES).values())
        raise UserError(f"--mix {mix}: the percentages add up to {total}, they must add up to 100")
    missing, corrupt, duplicate, disorder = _shares("--anomalies", anomalies, ANOMALIES)
    if missing + corrupt + duplicate + disorder > 1:
        raise UserError(f"--anomalies {anomalies}: the percentages add up to more than 100, of every line one at most")
    first, last = _day("--from", first_day), _day("--to", last_day)
    if first > last:
        raise UserError(f"--from {first} is after --to {last}: the period needs at least one day")
    if last > datetime.now(UTC).date():
        raise UserError(f"--to {last} is in the future: mediation refuses usage from more than 24 hours ahead")
    return TrafficSpec(count, (voice, data, sms), (missing, corrupt, duplicate, disorder), seed, first, last, customers)


def _whole(flag: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise UserError(f"{flag} {value}: a whole number from {least} to {most} is needed")


def _percentages(flag: str, text: str, names: tuple[str, ...]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        if name not in names:
            raise UserError(f"{flag} {text}: {name!r} is unknown; known are {', '.join(names)}")
        if name in found:
            raise UserError(f"{flag} {text}: {name} is given twice")
        try:
            percent = Decimal(number)
        except InvalidOperation:
            percent = Decimal(-1)
        is_percentage = equals and percent.is_finite() and 0 <= percent <= 100
        if not is_percentage or percent != round(percent, MOST_DECIMALS):
            raise UserError(
                f"{flag} {text}: {part!r} is not NAME=PERCENT with a percentage from 0 to 100, "
                f"of at most {MOST_DECIMALS} decimals"
            )
        found[name] = percent
    return found


def _shares(flag: str, text: str, names: tuple[str, ...]) -> list[Fraction]:
    found = _percentages(flag, text, names)
    return [Fraction(found.get(name, Decimal(0))) / 100 for name in names]


def _day(flag: str, text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise UserError(f"{flag} {text}: a day such as 2025-06-01 is needed") from None
    if not date(1970, 1, 1) <= day <= date(2999, 12, 31) - timedelta(days=1):
        raise UserError(f"{flag} {text}: a day from 1970-01-01 on is needed")
    return day


class Quota:
    """Hands out lines to kinds so that every prefix of the run keeps the shares, to one line a kind.

    A kind drawn at random misses its share by a per cent at 100,000 lines; this one doesn't.
    """

    def __init__(self, shares: tuple[Fraction, ...]) -> None:
        """Begin a run.

        Args:
            shares: one share a kind, each from 0, summing to at most 1. What is left is the last, unnamed kind.
        """
        self._shares = (*shares, 1 - sum(shares))
        self._given = [0] * len(self._shares)

    def take(self, lines: int) -> list[int]:
        """Return how many of the next `lines` lines go to each kind; the unnamed kind comes last."""
        goal = sum(self._given) + lines
        due = [max(Fraction(0), share * goal - given) for share, given in zip(self._shares, self._given, strict=True)]
        taken = [int(part) for part in due]
        by_remainder = sorted(range(len(due)), key=lambda kind: (taken[kind] - due[kind], kind))
        for kind in by_remainder[: max(0, lines - sum(taken))]:
            taken[kind] += 1
        while sum(taken) > lines:  # a kind that is ahead by part of a line left the others more than there is
            taken[max(range(len(due)), key=lambda kind: taken[kind])] -= 1
        self._given = [given + part for given, part in zip(self._given, taken, strict=True)]
        return taken
