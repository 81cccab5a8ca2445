"""The manifest beside a file: what was injected in which line, and what mediation must therefore find.

The ground truth for tests, and readable line by line however long the file is::

    {"file":"cdr.json","lines":200000,...,
    "injected":[
    {"line":17,"anomaly":"missing","detail":"user_id left out","status":"error","reasons":["MISSING_USER_ID"]},
    {"line":45,"anomaly":"duplicate","copy_of":12,"status":"duplicate","reasons":[]}
    ],
    "totals":{...}}

A line that is not listed is normal.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from ingestion.traffic.spec import ANOMALIES, RECORD_TYPES, TrafficSpec
from ingestion.traffic.stream import Chunk


def manifest_path(file: Path) -> Path:
    """Return where the manifest of a file is."""
    return file.with_name(file.name + ".manifest.json")


class ManifestWriter:
    """Writes a manifest as the chunks come. It takes its name only once it is complete."""

    def __init__(self, file: Path, spec: TrafficSpec) -> None:
        """Begin the manifest of `file`."""
        self._path = manifest_path(file)
        self._part = self._path.with_name(self._path.name + ".part")
        self._totals: Counter[str] = Counter()
        self._first = True
        header = {
            "file": file.name,
            "lines": spec.count,
            "customers": spec.customers,
            "seed": spec.seed,
            "from": spec.first_day.isoformat(),
            "to": spec.last_day.isoformat(),
            "mix": {name: float(share * 100) for name, share in zip(RECORD_TYPES, spec.mix, strict=True)},
            "anomalies": {name: float(share * 100) for name, share in zip(ANOMALIES, spec.anomalies, strict=True)},
        }
        self._header = json.dumps(header, separators=(",", ":")).removesuffix("}")

    def __enter__(self) -> Self:
        self._path.unlink(missing_ok=True)
        self._file = self._part.open("w", encoding="utf-8")
        self._file.write(f'{self._header},\n"injected":[')
        return self

    def add(self, chunk: Chunk) -> None:
        """Write down what is in a chunk."""
        self._entries(chunk.entries)
        self._totals.update(chunk.counts)

    def _entries(self, entries: Iterable[str]) -> None:
        text = ",\n".join(entries)
        if text:
            self._file.write(("\n" if self._first else ",\n") + text)
            self._first = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._file.write(f'\n],\n"totals":{json.dumps(self.totals(), separators=(",", ":"))}}}\n')
        self._file.close()
        if kind is None:
            self._part.replace(self._path)
        else:
            self._part.unlink()

    def totals(self) -> dict[str, object]:
        """Return what the whole file holds: lines by anomaly, by expected status, and normal ones by type."""
        count = self._totals
        return {
            "injected": {name: count[name] for name in ANOMALIES},
            "status": {
                "normal": count["normal"],
                "error": count["missing"] + count["corrupt"],
                "duplicate": count["duplicate"],
            },
            "normal_by_type": {name: count[name] for name in RECORD_TYPES},
            "normal_from_nobody": count["from_nobody"],
        }
