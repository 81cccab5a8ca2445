"""Records as JSON lines, a chunk at a time, without a Python loop over records.

A chunk is one matrix of bytes, a row a line, in which every field has its columns. Values shorter than their columns
are padded with zero bytes, which are dropped when the matrix becomes text. Leaving a field out, cutting a line short or
overwriting a value is then an assignment to some columns of some rows.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from ingestion.records import RECORD_TYPES as CONTRACT
from ingestion.traffic.behaviour import VOLUME_MOST, Records
from ingestion.traffic.partners import Partners
from ingestion.traffic.population import Ints, Population
from ingestion.traffic.spec import RECORD_TYPES, TrafficSpec

Bytes = NDArray[np.uint8]
Rows = Ints

TECHNOLOGIES = ("2G", "3G", "4G", "5G")
MARKER = b"###INVALID###"
OFFSET_SHARE = 0.02
"""Share of the records whose element stamps local time with its offset instead of UTC."""
PLUS_SHARE, ZEROS_SHARE, NATIONAL_SHARE = 0.02, 0.03, 0.06
"""Cumulative shares of the subscriber numbers written with +, with 00 and with the national 0."""
QUOTED_SHARE = 0.01
"""Share of the records whose numbers stand in quotes."""
LARGEST_NUMBER = max(99_999, VOLUME_MOST // 1000)
WIDTHS = {"timestamp": 32, "record_id": 21}
"""Columns of a slot's value."""
WIDTH = 20
"""Columns of any other slot's value; anything that anomalies put there must fit."""

SLOTS = ("record_type", "timestamp", "subscriber", "peer", "quantity", "session", "cell_id", "technology", "record_id")
"""What a line consists of, in order; the three in the middle have another name in each record type."""


def _names(slot: str) -> tuple[str, ...]:
    """Return a slot's field name in each of RECORD_TYPES, empty where the type has no such field."""
    kinds = {
        "subscriber": ("subscriber",),
        "peer": ("peer",),
        "quantity": ("duration", "volume"),
        "session": ("duration",),
    }
    if slot not in kinds:
        return (slot,) * len(RECORD_TYPES)
    names = []
    for record_type in RECORD_TYPES:
        fields = next(kind.fields for kind in CONTRACT if kind.name == record_type)
        fitting = [f.name for f in fields if f.kind in kinds[slot] and f.required == (slot != "session")]
        names.append(fitting[0] if fitting else "")
    return tuple(names)


FIELD_NAMES = {slot: _names(slot) for slot in SLOTS}
"""Field name of each slot, a record type of RECORD_TYPES each; empty where the type has none."""


def padded(texts: Sequence[bytes]) -> Bytes:
    """Return texts as rows of bytes, zeros behind the shorter ones."""
    array = np.array(texts, dtype=np.bytes_)
    return array.view(np.uint8).reshape(len(texts), -1)


class Renderer:
    """Turns records into matrices of bytes. What it holds depends on the subscribers, not on the number of records."""

    def __init__(self, spec: TrafficSpec, population: Population, partners: Partners, country_code: str) -> None:
        """Prepare the tables that values are looked up in."""
        self._country_digits = len(country_code)
        subscribers = padded([b"%d" % number for number in population.numbers.tolist()])
        self._subscribers = subscribers
        outside = padded([*partners.outside, b""])
        directory = np.zeros((len(subscribers) + len(outside), max(subscribers.shape[1], outside.shape[1])), np.uint8)
        directory[: len(subscribers), : subscribers.shape[1]] = subscribers
        directory[len(subscribers) :, : outside.shape[1]] = outside
        self._directory = directory
        self._numbers = padded([*(b"%d" % number for number in range(LARGEST_NUMBER + 1)), b""])
        self._thousandths = padded([b".%03d" % number for number in range(1000)] + [b""])
        self._four_digits = padded([b"%04d" % number for number in range(10_000)])
        self._clock = padded(
            [b"T%02d:%02d:%02d" % (second // 3600, second // 60 % 60, second % 60) for second in range(86_400)]
        )
        self._first_day = (spec.first_day - date(1970, 1, 1)).days
        # one more day at the end: local time is ahead of UTC
        days = [spec.first_day + timedelta(days=day) for day in range(spec.days + 1)]
        self._days = padded([day.isoformat().encode() for day in days])
        self._cells = padded([*population.cells.names])
        self._cell_technology = population.cells.technology
        self._run = np.frombuffer(spec.run_id.encode() + b"-", dtype=np.uint8)
        self._technologies = padded([name.encode() for name in TECHNOLOGIES])
        self._keys = {slot: self._key_table(slot) for slot in SLOTS}
        self._quotes = {
            slot: padded([b'"' if name else b"" for name in FIELD_NAMES[slot]]).reshape(len(RECORD_TYPES), 1)
            for slot in SLOTS
        }
        self.columns = self._lay_out()

    @staticmethod
    def _key_table(slot: str) -> Bytes:
        comma = b"" if slot == SLOTS[0] else b","
        return padded([comma + b'"%s":' % name.encode() if name else b"" for name in FIELD_NAMES[slot]])

    def _lay_out(self) -> dict[str, slice]:
        """Return the columns of every slot's key, opening quote, value and closing quote, and the line's width."""
        columns, place = {}, 1  # the opening brace
        for slot in SLOTS:
            value = max(WIDTHS.get(slot, WIDTH), self._cells.shape[1] if slot == "cell_id" else 0)
            for part, width in (("key", self._keys[slot].shape[1]), ("open", 1), ("value", value), ("close", 1)):
                columns[f"{slot}.{part}"] = slice(place, place + width)
                place += width
        columns["line"] = slice(0, place + 2)
        return columns

    @property
    def width(self) -> int:
        """Number of columns of a line."""
        return int(self.columns["line"].stop)

    def value(self, slot: str) -> slice:
        """Return the columns of a slot's value."""
        return self.columns[f"{slot}.value"]

    def whole(self, slot: str) -> slice:
        """Return the columns of a slot with its key, comma and quotes."""
        return slice(self.columns[f"{slot}.key"].start, self.columns[f"{slot}.close"].stop)

    def render(self, records: Records, random: np.random.Generator) -> Bytes:
        """Return the records as lines, shape (records, width)."""
        lines = np.zeros((len(records), self.width), dtype=np.uint8)
        lines[:, 0] = ord("{")
        lines[:, -2] = ord("}")
        lines[:, -1] = ord("\n")
        for slot in SLOTS:
            lines[:, self.columns[f"{slot}.key"]] = self._keys[slot][records.kind]
            if slot not in ("quantity", "session"):
                lines[:, self.columns[f"{slot}.open"]] = self._quotes[slot][records.kind]
                lines[:, self.columns[f"{slot}.close"]] = self._quotes[slot][records.kind]
        self._write(lines, "record_type", padded([name.encode() for name in RECORD_TYPES])[records.kind])
        self._write(lines, "cell_id", self._cells[records.cell])
        self._write(lines, "technology", self._technologies[self._cell_technology[records.cell]])
        self._write_timestamp(lines, records, random)
        self._write_numbers(lines, records, random)
        self._write_quantities(lines, records, random)
        self._write(lines, "record_id", self._record_ids(records.line))
        for slot, there in (
            ("cell_id", records.with_cell),
            ("technology", records.with_cell),
            ("session", records.with_session),
            ("record_id", records.with_id),
        ):
            self.clear(lines, np.flatnonzero(~there), slot)
        return lines

    def clear(self, lines: Bytes, rows: Rows, slot: str) -> None:
        """Leave a field out of some lines, with its comma."""
        lines[rows, self.whole(slot)] = 0
        if slot == SLOTS[0]:
            lines[rows, self.columns[f"{SLOTS[1]}.key"].start] = 0

    def overwrite(self, lines: Bytes, rows: Rows, slot: str, value: bytes, *, quoted: bool) -> None:
        """Put another value in a field of some lines; `quoted` makes it a JSON string."""
        padding = self.value(slot).stop - self.value(slot).start - len(value)
        lines[rows, self.value(slot)] = np.frombuffer(value + b"\0" * padding, dtype=np.uint8)
        for part in ("open", "close"):
            lines[rows, self.columns[f"{slot}.{part}"]] = ord('"') if quoted else 0

    def negate(self, lines: Bytes, rows: Rows, slot: str) -> None:
        """Put a minus before a number of some lines; a number that begins with 0 then begins with 1, as -0 is 0."""
        sign = self.value(slot).start
        lines[rows, sign] = ord("-")
        lines[rows, sign + 1] = np.maximum(lines[rows, sign + 1], ord("1"))

    def _write(self, lines: Bytes, slot: str, values: Bytes, at: int = 0) -> None:
        start = self.value(slot).start + at
        lines[:, start : start + values.shape[1]] = values

    def _write_timestamp(self, lines: Bytes, records: Records, random: np.random.Generator) -> None:
        size = len(records)
        local = random.random(size, dtype=np.float32) < OFFSET_SHARE
        moment = records.second + local * 3600
        day, second = np.divmod(moment, 86_400)
        self._write(lines, "timestamp", self._days[day - self._first_day])
        self._write(lines, "timestamp", self._clock[second], at=10)
        # two that were moved to one second without an id must differ: their fraction is that of their line
        fraction = np.flatnonzero((records.moved > 0) & ~records.with_id)
        micros = records.line[fraction] % 1_000_000
        start = self.value("timestamp").start + 19
        lines[fraction, start : start + 4] = self._thousandths[micros // 1000]
        lines[fraction, start + 4 : start + 7] = self._thousandths[micros % 1000, 1:]
        lines[:, start + 7] = ord("Z")
        here = np.flatnonzero(local)
        lines[here, start + 7 : start + 13] = np.frombuffer(b"+01:00", dtype=np.uint8)

    def _write_numbers(self, lines: Bytes, records: Records, random: np.random.Generator) -> None:
        # two columns in front of the number for + or 00
        self._write(lines, "subscriber", self._subscribers[records.subject], at=2)
        nobody = len(self._directory) - 1
        has_peer = np.array([bool(name) for name in FIELD_NAMES["peer"]])[records.kind]
        self._write(lines, "peer", self._directory[np.where(has_peer, records.partner, nobody)])
        form = random.random(len(records), dtype=np.float32)
        start = self.value("subscriber").start
        lines[np.flatnonzero(form < PLUS_SHARE), start] = ord("+")
        zeros = np.flatnonzero((form >= PLUS_SHARE) & (form < ZEROS_SHARE))
        lines[zeros, start : start + 2] = ord("0")
        national = np.flatnonzero((form >= ZEROS_SHARE) & (form < NATIONAL_SHARE))
        lines[national, start + 2 : start + 2 + self._country_digits] = 0
        lines[national, start] = ord("0")

    def _write_quantities(self, lines: Bytes, records: Records, random: np.random.Generator) -> None:
        is_voice = records.kind == RECORD_TYPES.index("voice")
        is_data = records.kind == RECORD_TYPES.index("data")
        none = len(self._numbers) - 1
        whole = np.where(is_voice, records.duration, np.where(is_data, records.kilobytes // 1000, none))
        # one column in front of the number for a minus
        self._write(lines, "quantity", self._numbers[whole], at=1)
        digits = self._numbers.shape[1]
        thousandths = np.where(is_data, records.kilobytes % 1000, 1000)
        self._write(lines, "quantity", self._thousandths[thousandths], at=1 + digits)
        self._write(lines, "session", self._numbers[np.where(is_data, records.session, none)], at=1)
        quoted = np.flatnonzero((is_voice | is_data) & (random.random(len(records), dtype=np.float32) < QUOTED_SHARE))
        for part in ("open", "close"):
            lines[quoted, self.columns[f"quantity.{part}"]] = ord('"')

    def _record_ids(self, line: Ints) -> Bytes:
        ids = np.empty((len(line), len(self._run) + 12), dtype=np.uint8)
        ids[:, : len(self._run)] = self._run
        for place, divisor in ((0, 10**8), (4, 10**4), (8, 1)):
            start = len(self._run) + place
            ids[:, start : start + 4] = self._four_digits[line // divisor % 10_000]
        return ids


def text(lines: Bytes) -> bytes:
    """Return the lines as they are written, without the padding."""
    return lines.tobytes().translate(None, b"\0")
