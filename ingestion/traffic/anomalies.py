"""What goes wrong on the way, on purpose: which lines, how, and what mediation must find there."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ingestion.records import FUTURE_TIMESTAMP, MALFORMED_JSON, MISSING_RECORD_TYPE, UNKNOWN_RECORD_TYPE
from ingestion.traffic.population import Ints
from ingestion.traffic.render import FIELD_NAMES, MARKER, Bytes, Renderer
from ingestion.traffic.spec import ANOMALIES, RECORD_TYPES

MISSING, CORRUPT, DUPLICATE, DISORDER, NONE = range(len(ANOMALIES) + 1)

REQUIRED = ("record_type", "timestamp", "subscriber", "peer", "quantity")
NEAR_LINES = 20
"""A near copy is on average this many well-formed lines behind its original, within its chunk."""
FAR_SHARE = 0.5
REMEMBERED = 4096
"""Lines that far copies are taken from: a sample of everything written so far, of constant size."""
SHORTEST_CUT = 12
"""A truncated line keeps at least this many columns, so that it is a line."""


@dataclass(frozen=True)
class Injury:
    """One way to spoil a record of one type.

    Attributes:
        slot: the field that is spoilt; empty for the line as a whole.
        detail: what the manifest says of it.
        reason: the reason mediation must give.
        how: `leave out`, `overwrite`, `negate` or `truncate`.
        value: bytes that overwrite the field.
        quoted: whether they are a JSON string.
    """

    slot: str
    detail: str
    reason: str
    how: str
    value: bytes = b""
    quoted: bool = True


def reason_of(prefix: str, slot: str, kind: int) -> str:
    """Return `MISSING_` or `INVALID_` with the name that a slot's field has in a record type."""
    return f"{prefix}_{FIELD_NAMES[slot][kind].upper()}"


def _missing(kind: int) -> tuple[Injury, ...]:
    slots = [slot for slot in REQUIRED if FIELD_NAMES[slot][kind]]
    return tuple(
        Injury(
            slot,
            f"{FIELD_NAMES[slot][kind]} left out",
            MISSING_RECORD_TYPE if slot == "record_type" else reason_of("MISSING", slot, kind),
            "leave out",
        )
        for slot in slots
    )


def _corrupt(kind: int) -> tuple[tuple[Injury, ...], ...]:
    """Return the families of corruption of a record type; each family is as frequent as any other."""
    named = {slot: FIELD_NAMES[slot][kind] for slot in REQUIRED if FIELD_NAMES[slot][kind]}

    def wrong(slot: str, value: bytes, *, quoted: bool = True, reason: str = "") -> Injury:
        reason = reason or reason_of("INVALID", slot, kind)
        shown = value.decode() if value else "empty"
        return Injury(slot, f"{named[slot]} is {shown}", reason, "overwrite", value, quoted)

    marker = [wrong(slot, MARKER) for slot in named if slot != "record_type"]
    marker.append(wrong("record_type", MARKER, reason=UNKNOWN_RECORD_TYPE))
    timestamps = [
        wrong("timestamp", b"2025-02-30T10:00:00Z"),
        wrong("timestamp", b"2025-06-13T25:61:00Z"),
        wrong("timestamp", b"2025-06-13T05:14:34"),
        wrong("timestamp", b"2099-01-01T00:00:00Z", reason=FUTURE_TIMESTAMP),
    ]
    texts = [
        wrong("subscriber", b"unknown"),
        wrong("subscriber", b"1234567"),
        wrong("record_type", b"fax", reason=UNKNOWN_RECORD_TYPE),
    ]
    truncated = (Injury("", "line cut short", MALFORMED_JSON, "truncate"),)
    families = [tuple(marker), tuple(timestamps), tuple(texts), truncated]
    if "peer" in named:
        families[2] += (wrong("peer", b"12"), wrong("peer", b"anonymous"))
    if "quantity" in named:
        name = named["quantity"]
        negative = Injury("quantity", f"{name} negative", reason_of("INVALID", "quantity", kind), "negate")
        families.append((negative,))
        families[2] += (
            wrong("quantity", b"twelve"),
            wrong("quantity", b"NaN"),
            wrong("quantity", b"true", quoted=False),
        )
        if RECORD_TYPES[kind] == "voice":
            families[2] += (wrong("quantity", b"12.5", quoted=False), wrong("quantity", b"86401", quoted=False))
    return tuple(families)


MISSING_INJURIES = tuple(_missing(kind) for kind in range(len(RECORD_TYPES)))
CORRUPT_INJURIES = tuple(_corrupt(kind) for kind in range(len(RECORD_TYPES)))
INJURIES = tuple(
    dict.fromkeys(
        injury
        for kind in range(len(RECORD_TYPES))
        for injury in (*MISSING_INJURIES[kind], *(one for family in CORRUPT_INJURIES[kind] for one in family))
    )
)
"""Every way to spoil a record, once."""
_PLACE = {injury: place for place, injury in enumerate(INJURIES)}


@dataclass
class Findings:
    """What was done to a chunk's lines, a row each.

    Attributes:
        anomaly: MISSING, CORRUPT, DUPLICATE, DISORDER or NONE.
        injury: index into INJURIES of missing and corrupt lines.
        copy_of: line number of a duplicate's original.
    """

    anomaly: NDArray[np.int8]
    injury: Ints
    copy_of: Ints


@dataclass
class Memory:
    """A uniform sample of the well-formed lines written so far, for far copies; its size never changes."""

    width: int
    seen: int = 0
    lines: Bytes = field(init=False)
    numbers: Ints = field(init=False)

    def __post_init__(self) -> None:
        self.lines = np.zeros((REMEMBERED, self.width), dtype=np.uint8)
        self.numbers = np.zeros(REMEMBERED, dtype=np.int64)

    @property
    def held(self) -> int:
        """How many lines can be drawn."""
        return min(self.seen, REMEMBERED)

    def add(self, lines: Bytes, numbers: Ints, rows: Ints, random: np.random.Generator) -> None:
        """Let the well-formed `rows` of a chunk into the sample, by their share of all lines seen."""
        room = min(REMEMBERED - self.held, len(rows))
        chosen = random.permutation(rows)
        places = np.arange(self.held, self.held + room)
        if len(rows) > room:
            more = min(round(REMEMBERED * (len(rows) - room) / (self.seen + len(rows))), len(rows) - room)
            places = np.concatenate([places, random.permutation(REMEMBERED)[:more]])
        self.lines[places] = lines[chosen[: len(places)]]
        self.numbers[places] = numbers[chosen[: len(places)]]
        self.seen += len(rows)


class Saboteur:
    """Spoils rendered chunks, remembering no more than a sample of lines."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._memory = Memory(renderer.width)

    def spoil(
        self,
        lines: Bytes,
        kind: NDArray[np.int8],
        anomaly: NDArray[np.int8],
        numbers: Ints,
        random: np.random.Generator,
    ) -> Findings:
        """Do to the lines what `anomaly` says; a copy with no line to copy before it stays an ordinary line.

        Args:
            lines: a rendered chunk, changed in place.
            kind: its record types.
            anomaly: what is to happen to each line; DISORDER happened before rendering.
            numbers: line numbers.
            random: the chunk's random numbers.
        """
        found = Findings(anomaly.copy(), np.full(len(kind), -1), np.zeros(len(kind), dtype=np.int64))
        self._choose_injuries(found, kind, random)
        for place in np.unique(found.injury[found.injury >= 0]):
            self._injure(lines, np.flatnonzero(found.injury == place), INJURIES[place], random)
        self._copy(lines, found, numbers, random)
        sound = np.flatnonzero((found.anomaly == NONE) | (found.anomaly == DISORDER))
        self._memory.add(lines, numbers, sound, random)
        return found

    def _choose_injuries(self, found: Findings, kind: NDArray[np.int8], random: np.random.Generator) -> None:
        draws = random.random((2, len(kind)))
        for record_type in range(len(RECORD_TYPES)):
            left_out = np.flatnonzero((kind == record_type) & (found.anomaly == MISSING))
            places = np.array([_PLACE[injury] for injury in MISSING_INJURIES[record_type]])
            found.injury[left_out] = places[(draws[0, left_out] * len(places)).astype(np.int64)]
            corrupt = np.flatnonzero((kind == record_type) & (found.anomaly == CORRUPT))
            families = CORRUPT_INJURIES[record_type]
            family = (draws[0, corrupt] * len(families)).astype(np.int64)
            for index, injuries in enumerate(families):
                rows = corrupt[family == index]
                places = np.array([_PLACE[injury] for injury in injuries])
                found.injury[rows] = places[(draws[1, rows] * len(places)).astype(np.int64)]

    def _injure(self, lines: Bytes, rows: Ints, injury: Injury, random: np.random.Generator) -> None:
        if injury.how == "leave out":
            self._renderer.clear(lines, rows, injury.slot)
        elif injury.how == "overwrite":
            self._renderer.overwrite(lines, rows, injury.slot, injury.value, quoted=injury.quoted)
        elif injury.how == "negate":
            self._renderer.negate(lines, rows, injury.slot)
        else:
            cut = random.integers(SHORTEST_CUT, self._renderer.width - 1, len(rows))
            columns = np.arange(self._renderer.width - 1)  # the line's end stays
            lines[rows, :-1] = np.where(columns < cut[:, None], lines[rows, :-1], 0)

    def _copy(self, lines: Bytes, found: Findings, numbers: Ints, random: np.random.Generator) -> None:
        copies = np.flatnonzero(found.anomaly == DUPLICATE)
        sound = np.flatnonzero((found.anomaly == NONE) | (found.anomaly == DISORDER))
        before = np.searchsorted(sound, copies)
        draws = random.random((2, len(copies)))
        back = np.minimum(random.geometric(1 / NEAR_LINES, len(copies)), before)
        far = (draws[0] < FAR_SHARE) | (before == 0)
        remembered = far & (self._memory.held > 0)
        anywhere = (draws[1] * before).astype(np.int64)  # of this chunk: the run has only begun
        near_by = ~remembered & (before > 0)
        original = sound[np.where(far, anywhere, before - back)[near_by]] if near_by.any() else sound[:0]
        lines[copies[near_by]] = lines[original]
        found.copy_of[copies[near_by]] = numbers[original]
        drawn = (draws[1, remembered] * self._memory.held).astype(np.int64)
        lines[copies[remembered]] = self._memory.lines[drawn]
        found.copy_of[copies[remembered]] = self._memory.numbers[drawn]
        found.anomaly[copies[~remembered & ~near_by]] = NONE


def manifest_entries(found: Findings, numbers: Ints, moved: Ints) -> Iterator[str]:
    """Yield a JSON object for each line that isn't as it should be, in the file's order."""
    for row in np.flatnonzero(found.anomaly != NONE).tolist():
        line, anomaly = int(numbers[row]), int(found.anomaly[row])
        head = f'{{"line":{line},"anomaly":"{ANOMALIES[anomaly]}",'
        if anomaly == DUPLICATE:
            yield f'{head}"copy_of":{found.copy_of[row]},"status":"duplicate","reasons":[]}}'
        elif anomaly == DISORDER:
            yield f'{head}"seconds_back":{moved[row]},"status":"normal","reasons":[]}}'
        else:
            injury = INJURIES[found.injury[row]]
            yield f'{head}"detail":"{injury.detail}","status":"error","reasons":["{injury.reason}"]}}'
