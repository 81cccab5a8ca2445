"""Which record ids were landed as normal: sorted runs of 128-bit keys on disk, looked up in memory-mapped files.

A key is two 64-bit hashes of a record_id. Runs of like size are merged, as in a log-structured merge tree, so that a
lookup of n keys costs n times the logarithm of what was landed, and the process holds none of it in memory. The files
are a cache of the landing table, of which `covered` says how much they know: delete them, and they are built again.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
"""Shape (2, n): the first and the second hash of n record ids."""


@dataclass
class SeenKeys:
    """The keys of one landing table, in a folder of this machine."""

    folder: Path
    table_id: str
    covered: int = -1
    """The last batch_id whose keys are in here."""
    runs: list[tuple[str, Keys]] = field(default_factory=list)

    @classmethod
    def open(cls, folder: Path, table_id: str) -> "SeenKeys":
        """Return the keys kept in `folder`, or none where they are of another table or damaged."""
        try:
            kept = json.loads((folder / "seen.json").read_text())
            if kept["table_id"] == table_id:
                runs = [(name, np.load(folder / name, mmap_mode="r")) for name in kept["runs"]]
                return cls(folder, table_id, kept["covered"], runs)
        except (OSError, ValueError, KeyError, EOFError):
            pass
        return cls(folder, table_id)

    def contains(self, keys: Keys) -> NDArray[np.bool_]:
        """Return for each key whether it was added before."""
        found = np.zeros(keys.shape[1], dtype=bool)
        for _name, run in self.runs:
            found |= _in_run(run, keys)
        return found

    def add(self, keys: Keys, batch_id: int) -> None:
        """Remember the keys of a landed batch; on return they survive a kill of this process."""
        runs = list(self.runs)
        if keys.shape[1]:
            runs.append(("", _sorted(keys)))
        while len(runs) > 1 and runs[-2][1].shape[1] < 2 * runs[-1][1].shape[1]:
            merged = np.concatenate([runs[-2][1], runs[-1][1]], axis=1)
            runs[-2:] = [("", _sorted(merged))]
        self._save(runs, batch_id)

    def _save(self, runs: list[tuple[str, Keys]], batch_id: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        named: list[tuple[str, Keys]] = []
        for name, run in runs:
            kept = name or f"run-{batch_id}-{run.shape[1]}.npy"
            if not name:
                with (self.folder / kept).open("wb") as file:
                    np.save(file, run)
                    file.flush()
                    os.fsync(file.fileno())
            named.append((kept, np.load(self.folder / kept, mmap_mode="r") if not name else run))
        state = {"table_id": self.table_id, "covered": batch_id, "runs": [name for name, _ in named]}
        part = self.folder / "seen.json.part"
        part.write_text(json.dumps(state))
        part.replace(self.folder / "seen.json")
        self.runs, self.covered = named, batch_id
        for old in set(self.folder.glob("run-*.npy")) - {self.folder / name for name, _ in named}:
            old.unlink()


def repeats(keys: Keys) -> NDArray[np.bool_]:
    """Return for each key whether an equal one stands before it."""
    order = np.lexsort((np.arange(keys.shape[1]), keys[1], keys[0]))
    ordered = keys[:, order]
    same = np.zeros(keys.shape[1], dtype=bool)
    same[order[1:]] = (ordered[:, 1:] == ordered[:, :-1]).all(axis=0)
    return same


def _sorted(keys: Keys) -> Keys:
    return np.ascontiguousarray(keys[:, np.lexsort((keys[1], keys[0]))])


def _in_run(run: Keys, keys: Keys) -> NDArray[np.bool_]:
    """Look keys up in a sorted run; where first hashes collide, go on to the next until the second one decides."""
    found = np.zeros(keys.shape[1], dtype=bool)
    # looked up in order, neighbouring keys find the pages of the file in memory
    wanted = np.argsort(keys[0])
    places = np.searchsorted(run[0], keys[0][wanted])
    while wanted.size:
        inside = places < run.shape[1]
        wanted, places = wanted[inside], places[inside]
        same = run[0][places] == keys[0][wanted]
        wanted, places = wanted[same], places[same]
        hit = run[1][places] == keys[1][wanted]
        found[wanted[hit]] = True
        wanted, places = wanted[~hit], places[~hit] + 1
    return found
