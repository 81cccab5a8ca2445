"""When people use the network, for how long and where: one chunk of well-formed records as columns."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ingestion.console import UserError
from ingestion.traffic.partners import DATA, SMS, VOICE, Partners, choose_partners
from ingestion.traffic.population import Floats, Ints, Population
from ingestion.traffic.spec import TrafficSpec

LOCAL_TIME = ZoneInfo("Africa/Casablanca")
"""People keep this time, whatever zone the records are in."""
WEEKDAY = (14, 8, 5, 4, 4, 7, 16, 32, 52, 62, 66, 68, 72, 66, 60, 60, 64, 74, 86, 98, 100, 88, 60, 32)
WEEKEND = (28, 18, 11, 7, 5, 6, 10, 18, 30, 44, 56, 62, 66, 62, 58, 58, 64, 74, 88, 102, 108, 100, 76, 46)
"""Traffic of each local hour, against 100 in the evening of a weekday."""
AT_WORK = range(9, 18)
SATURDAY = 5

STRANGER_SHARE = 0.01
UNANSWERED = 0.02
CALL_MEDIAN, CALL_SPREAD, CALL_MOST = 75.0, 1.1, 4 * 3600
"""Seconds, standard deviation of the logarithm, seconds."""
VOLUME_MEDIAN, VOLUME_SPREAD, VOLUME_MOST = 6.0, 1.7, 60_000_000
"""Megabytes, standard deviation of the logarithm, kilobytes (thousandths of a megabyte)."""
VOLUME_OF_TECHNOLOGY = np.array([0.05, 0.5, 1.5, 3.0])
SESSION_MOST = 12 * 3600
WITH_SESSION, WITH_CELL, WITH_RECORD_ID = 0.9, 0.98, 0.7
"""Share of the records that have the optional fields."""

LATEST_DISORDER = 7 * 86_400
SLOTS_A_CUSTOMER, SLOTS_LEAST = 8, 1 << 16


@dataclass(frozen=True)
class Records:
    """A chunk of records, a column each, all of one length.

    Attributes:
        line: line number in the file, from 1.
        kind: VOICE, DATA or SMS.
        second: event time, seconds since 1970-01-01 UTC.
        moved: seconds that an out-of-order record was moved back, else 0.
        subject: index into the population's numbers.
        partner: index into the directory of partners.
        duration: seconds, of voice.
        kilobytes: thousandths of a megabyte, of data.
        session: seconds, of data.
        cell: index of the cell.
        with_cell, with_session, with_id: whether the record has the optional field.
    """

    line: Ints
    kind: NDArray[np.int8]
    second: Ints
    moved: Ints
    subject: Ints
    partner: Ints
    duration: Ints
    kilobytes: Ints
    session: Ints
    cell: Ints
    with_cell: NDArray[np.bool_]
    with_session: NDArray[np.bool_]
    with_id: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.line)


class Behaviour:
    """Draws records. Nothing in here grows with their number."""

    def __init__(self, spec: TrafficSpec, population: Population, partners: Partners) -> None:
        """Prepare the curves.

        Raises:
            UserError: nobody's subscription has begun by the first day.
        """
        self._spec, self._population, self._partners = spec, population, partners
        self._begin = int(datetime.combine(spec.first_day, datetime.min.time(), UTC).timestamp())
        start = datetime.fromtimestamp(self._begin, UTC)
        local = [(start + timedelta(hours=hour)).astimezone(LOCAL_TIME) for hour in range(spec.days * 24)]
        hours = np.array(
            [(WEEKEND if moment.weekday() >= SATURDAY else WEEKDAY)[moment.hour] for moment in local], float
        )
        self._working = np.array([moment.weekday() < SATURDAY and moment.hour in AT_WORK for moment in local])
        self._curve = np.concatenate([[0.0], np.cumsum(hours)]) / hours.sum()
        self._hour_starts = self._begin + 3600.0 * np.arange(len(hours) + 1)
        begun = population.activation * 86_400 <= self._begin
        if not begun.any():
            first = datetime.fromtimestamp(int(population.activation.min()) * 86_400, UTC).date()
            raise UserError(f"--from {spec.first_day}: no subscription has begun by then, the first begins on {first}")
        self._slots = [_slots(use) for use in population.use]
        self._veterans = _slots(population.use[0] * begun)

    def times(self, first: int, size: int, random: np.random.Generator) -> Ints:
        """Return the ascending event times of `size` lines from number `first` (from 0) on."""
        share = (first + size * np.sort(random.random(size))) / max(1, self._spec.count)
        moments: Ints = np.interp(share, self._curve, self._hour_starts).astype(np.int64)
        np.minimum(moments, int(self._hour_starts[-1]) - 1, out=moments)
        return moments

    def disorder(self, second: Ints, rows: Ints, ordinary: Ints, random: np.random.Generator) -> Ints:
        """Return how many seconds back to move each of `rows`, at most a week.

        Args:
            second: ascending event times of a chunk.
            rows: which of its lines shall be out of order.
            ordinary: of each line, the time of the last line before it that is as it should be; moving a line to
                before that is what puts it out of order.
            random: the chunk's random numbers.

        Returns:
            Seconds, a row each; 0 where there is nothing in the period that a line could be moved to before.
        """
        least = second[rows] - ordinary[rows] + 1
        most = np.minimum(second[rows] - self._begin, LATEST_DISORDER)
        wanted = np.exp(random.random(len(rows)) * np.log(LATEST_DISORDER)).astype(np.int64)
        return np.where(least <= most, np.clip(wanted, least, np.maximum(least, most)), 0)

    def records(
        self, line: Ints, kind: NDArray[np.int8], second: Ints, moved: Ints, random: np.random.Generator
    ) -> Records:
        """Draw who did what where.

        Args:
            line: line numbers, from 1.
            kind: record types.
            second: event times as they will be written, moved back already where out of order.
            moved: seconds that each was moved back.
            random: the chunk's random numbers.
        """
        size = len(line)
        subject = self._subjects(kind, second, random)
        cell = self._places(subject, second, random)
        technology = self._population.cells.technology[cell]
        duration = np.exp(np.log(CALL_MEDIAN) + CALL_SPREAD * random.standard_normal(size, dtype=np.float32))
        duration *= random.random(size, dtype=np.float32) >= UNANSWERED
        draw = random.standard_normal(size, dtype=np.float32)
        volume = VOLUME_MEDIAN * VOLUME_OF_TECHNOLOGY[technology] * np.exp(VOLUME_SPREAD * draw)
        # a long session moves much, not in proportion
        session = 40.0 * np.exp(0.6 * VOLUME_SPREAD * draw + 0.7 * random.standard_normal(size, dtype=np.float32))
        optional = random.random((3, size), dtype=np.float32)
        return Records(
            line=line,
            kind=kind,
            second=second,
            moved=moved,
            subject=subject,
            partner=choose_partners(self._partners, subject, kind, random.random((3, size)), self._population),
            duration=np.minimum(duration, CALL_MOST).astype(np.int64),
            kilobytes=np.clip(volume * 1000.0, 1, VOLUME_MOST).astype(np.int64),
            session=np.clip(session, 1, SESSION_MOST).astype(np.int64),
            cell=cell,
            with_cell=optional[0] < WITH_CELL,
            with_session=optional[1] < WITH_SESSION,
            with_id=self._with_id(optional[2] < WITH_RECORD_ID, kind, second + moved, moved, subject),
        )

    def _subjects(self, kind: NDArray[np.int8], second: Ints, random: np.random.Generator) -> Ints:
        draw = random.random(len(kind))
        subject = np.empty(len(kind), dtype=np.int64)
        for record_type in (VOICE, DATA, SMS):
            rows = np.flatnonzero(kind == record_type)
            slots = self._slots[record_type]
            subject[rows] = slots[(draw[rows] * len(slots)).astype(np.int64)]
        early = np.flatnonzero(self._population.activation[subject] * 86_400 > second)
        subject[early] = self._veterans[random.integers(0, len(self._veterans), len(early))]
        strangers = np.flatnonzero(random.random(len(kind)) < STRANGER_SHARE)
        subject[strangers] = self._population.customers + random.integers(0, self._population.strangers, len(strangers))
        return subject

    def _places(self, subject: Ints, second: Ints, random: np.random.Generator) -> Ints:
        population, cells = self._population, self._population.cells
        someone = subject % population.customers  # strangers live somewhere, too
        hour = (second - self._begin) // 3600
        size = len(subject)
        draw = random.random(size)
        at_work = self._working[hour] & (draw < 0.7)
        centre = np.where(at_work, population.work[someone], population.home[someone])
        city = population.city[someone]
        begin, cells_in_city = cells.first[city], np.diff(cells.first)[city]
        step = np.where(draw * 7 % 1 < 0.6, 0, random.integers(-3, 4, size))
        place = begin + (centre - begin + step) % cells_in_city
        abroad = np.flatnonzero(random.random(size) < 0.015)
        away, home_cells = len(cells.names) - int(cells.first[-1]), int(cells.first[-1])
        travelling = random.random(len(abroad))
        # half of them are in another city, the others abroad or on Wi-Fi
        place[abroad] = np.where(
            (travelling < 0.5) | (away == 0),
            (travelling * 2 % 1 * home_cells).astype(np.int64),
            home_cells + ((travelling * 2 - 1) % 1 * away).astype(np.int64),
        )
        return place

    def _with_id(
        self,
        with_id: NDArray[np.bool_],
        kind: NDArray[np.int8],
        in_order: Ints,
        moved: Ints,
        subject: Ints,
    ) -> NDArray[np.bool_]:
        """Give an id to records that without one could be told from another only by chance.

        Without an id the content is the identity: two short messages of one second to one friend would be one record,
        and the manifest would be wrong about the second. A chunk's last second always has ids, since the next chunk may
        begin in it.
        """
        bare = np.flatnonzero(~with_id & (moved == 0))
        who_when = ((in_order[bare] - self._begin) * len(self._population.numbers) + subject[bare]) * 3 + kind[bare]
        _, seen_first = np.unique(who_when, return_index=True)
        again = np.ones(len(bare), dtype=np.bool_)
        again[seen_first] = False
        with_id = with_id.copy()
        with_id[bare[again]] = True
        with_id[in_order == in_order[-1]] = True
        return with_id


def _slots(weights: Floats) -> NDArray[np.int32]:
    """Return indexes of `weights`, each as often as it weighs: one look-up draws from the distribution."""
    size = max(SLOTS_LEAST, SLOTS_A_CUSTOMER * len(weights))
    share = np.cumsum(weights) / weights.sum()
    return np.searchsorted(share, (np.arange(size) + 0.5) / size).astype(np.int32)
