"""Generating records into a file, beside writing the same bytes from memory."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from benchmarks.frame import Row, Stopwatch, Tally
from benchmarks.task import Task
from ingestion.traffic.manifest import manifest_path
from ingestion.traffic.output import write_traffic


def rows(task: Task) -> Iterator[Row]:
    """Measure `telecom generate --out FILE`, with its manifest but without Python's start."""
    source, target = task.traffic_file(), task.settings.home / "generated.json"

    def write_from_memory(stopwatch: Stopwatch) -> Tally:
        data = source.read_bytes()
        with stopwatch:
            target.write_bytes(data)
        return taken(target)

    def generate(stopwatch: Stopwatch) -> Tally:
        with stopwatch:
            write_traffic(task.traffic(), str(target))
        manifest_path(target).unlink()
        return taken(target)

    yield task.row("generate", generate, write_from_memory)


def taken(file: Path) -> Tally:
    """Return what is in a file, which is deleted."""
    with file.open("rb") as data:
        digest = hashlib.file_digest(data, "sha256").hexdigest()
    size = file.stat().st_size
    file.unlink()
    return {"bytes": size, "sha256": digest}
