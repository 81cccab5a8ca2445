"""How long a record waits: `telecom mediate` at work while `telecom produce` sends 1,000 records a second.

From Kafka's time of the message to the landing table: to `landed_at`, which a batch has from the moment at which it
begins to be written, and to the commit, from which on readers see it.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import functions as F

from benchmarks.frame import Row
from benchmarks.task import Task
from ingestion.mediation.land import WRITER
from ingestion.settings import Settings
from stack.spark import spark_session

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "python"))
import mediation_process

RATE = 1_000
"""Records a second."""
WARM_UP, MEASURED, MEASURED_QUICKLY = 10, 60, 10
"""Seconds that are not counted, and those that are."""
PATIENCE = 120
"""Seconds until mediation must have landed what was sent."""


def rows(task: Task) -> Iterator[Row]:
    """Measure one stream from its start on, but for its first seconds."""
    seconds = WARM_UP + (MEASURED_QUICKLY if task.quick else MEASURED)
    records = RATE * seconds
    opening, file = (replace(task, records=number).traffic_file() for number in (RATE, records))
    spreads: dict[str, list[NDArray[np.float64]]] = {"landed_at": [], "commit": []}
    for number in range(task.rounds):
        home = task.settings.home / f"latency-{number}"
        home.mkdir()
        config = mediation_process.own_mediation(task.settings, f"latency_{number}", home, partitions=4)
        began = stream(config, opening, file, records)
        stamped, committed = waits(config, began + WARM_UP)
        spreads["landed_at"].append(stamped)
        spreads["commit"].append(committed)
    count = len(spreads["commit"][0])
    for moment, rounds in spreads.items():
        for name, percent in (("median", 50), ("99 of 100", 99), ("longest", 100)):
            figures = [float(np.percentile(waited, percent)) for waited in rounds]
            yield task.derived(f"latency to {moment}, {name}", figures, [], count)


def stream(config: Settings, opening: Path, file: Path, records: int) -> float:
    """Mediate as the file comes line by line, until all of it is landed; return the time at which it began to come."""
    log = config.home / "mediation.log"
    mediation = mediation_process.start(config, "ingestion.stream_mediation", log=log)

    def wait_for(number: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while landed(config) < number:
            if mediation.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{landed(config)} of {number} are landed: {log.read_text()[-1000:]}")
            time.sleep(0.5)

    try:
        produce(config, opening)
        wait_for(RATE)  # the stream is at work
        began = time.time()
        produce(config, file, "--rate", str(RATE))
        wait_for(RATE + records)
        mediation.send_signal(signal.SIGTERM)
        mediation.wait(PATIENCE)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(mediation.pid, signal.SIGKILL)
        mediation.wait()
    return began


def produce(config: Settings, file: Path, *options: str) -> None:
    """Send the file as a command of its own."""
    command = [sys.executable, "-m", "ingestion.producer", str(file), *options]
    subprocess.run(command, env=mediation_process.environment_of(config), check=True)


def commits(config: Settings) -> Iterator[tuple[Path, list[dict[str, dict[str, object]]]]]:
    """Return the landing table's commits: their files, and what is in them."""
    for file in sorted(Path(config.landing_table, "_delta_log").glob("*[0-9].json")):
        yield file, [json.loads(line) for line in file.read_text().splitlines()]


def landed(config: Settings) -> int:
    """Return how many records are landed."""
    added = [
        action["add"] for _, actions in commits(config) if is_batch(actions) for action in actions if "add" in action
    ]
    return sum(json.loads(str(file["stats"]))["numRecords"] for file in added)


def is_batch(actions: list[dict[str, dict[str, object]]]) -> bool:
    """Return whether a commit landed a batch, and is no maintenance."""
    return any(action["txn"]["appId"] == WRITER for action in actions if "txn" in action)


def waits(config: Settings, since: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the seconds to `landed_at` and to the batch's commit of each record sent since a time."""
    visible = {
        int(str(action["txn"]["version"])): file.stat().st_mtime
        for file, actions in commits(config)
        for action in actions
        if "txn" in action
    }
    spark = spark_session(config, "bench-latency")
    try:
        table = spark.read.format("delta").load(config.landing_table)
        micros = [F.unix_micros(name).alias(name) for name in ("ingested_at", "landed_at")]
        rows = table.select("batch_id", *micros).toArrow()
    finally:
        spark.stop()
    sent = rows["ingested_at"].to_numpy() / 1e6
    stamped = rows["landed_at"].to_numpy() / 1e6
    seen = np.array([visible[batch] for batch in rows["batch_id"].to_pylist()])
    counted = sent >= since
    return (stamped - sent)[counted], (seen - sent)[counted]
