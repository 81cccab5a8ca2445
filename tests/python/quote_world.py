"""A catalogue folder, a customers file and a file of records, as a person would write them for `telecom quote`."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ingestion.settings import PROJECT_ROOT
from serving.quote_inputs import CUSTOMER_COLUMNS, catalogue_columns

Row = Mapping[str, Any]
RATE_DEFAULTS = {
    "zone": "*",
    "time_band": "*",
    "from_unit": "0",
    "unit_size": "60",
    "initial_increment": "1",
    "increment": "1",
    "connect_fee": "0",
    "rounding_mode": "half_up",
    "rounding_scale": "4",
    "valid_from": "2020-01-01",
}
CUSTOMER_DEFAULTS = {
    "subscription_type": "prepaid",
    "segment": "consumer",
    "customer_status": "active",
    "activation_date": "2020-01-01",
}


def write_csv(file: Path, columns: Iterable[str], rows: Iterable[Row]) -> None:
    """Write rows under a header; what a row lacks is empty."""
    with file.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(columns), restval="")
        writer.writeheader()
        writer.writerows(rows)


def write_catalogue(folder: Path, tables: Mapping[str, Sequence[Row]]) -> None:
    """Write the CSV of every seed; those that are not given have only their header."""
    folder.mkdir()
    for name, columns in catalogue_columns().items():
        write_csv(folder / f"{name}.csv", columns, tables.get(name, ()))


def write_world(
    folder: Path, catalogue: Mapping[str, Sequence[Row]], customers: Iterable[Row], lines: Iterable[Row | str]
) -> list[str]:
    """Write all three into `folder`; return the options of `telecom quote` that name them."""
    write_catalogue(folder / "catalogue", catalogue)
    write_csv(folder / "customers.csv", CUSTOMER_COLUMNS, customers)
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    (folder / "cdrs.jsonl").write_text("".join(f"{text}\n" for text in texts))
    files = {"--catalogue": "catalogue", "--customers": "customers.csv", "--cdrs": "cdrs.jsonl"}
    return [part for option, name in files.items() for part in (option, str(folder / name))]


def start_quote(scratch: Path, *options: str) -> subprocess.Popen[str]:
    """Start the command in `scratch`, where it also finds the system's temporary folder and the stack's home."""
    for name in ("cwd", "tmp"):
        (scratch / name).mkdir(parents=True)
    places = {"TMPDIR": str(scratch / "tmp"), "TELECOM_HOME": str(scratch / "home"), "PYTHONPATH": str(PROJECT_ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "serving.quote", *options],
        cwd=scratch / "cwd",
        env=os.environ | places,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_quote(scratch: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    process = start_quote(scratch, *options)
    printed, complaints = process.communicate(timeout=600)
    return subprocess.CompletedProcess(process.args, process.returncode, printed, complaints)


def interrupt_quote(scratch: Path, signal_number: signal.Signals, *options: str) -> int:
    """Start the command, send it a signal as soon as it has tables in its folder, and return its exit code."""
    process = start_quote(scratch, *options)
    deadline = time.monotonic() + 300
    while not list((scratch / "tmp").glob("telecom-quote-*/telecom/products")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no tables after five minutes"
        time.sleep(0.1)
    process.send_signal(signal_number)
    process.communicate(timeout=120)
    return process.returncode


def left_behind(scratch: Path) -> list[str]:
    """Return every file and folder that a run left in its three places."""
    return sorted(
        str(path.relative_to(scratch)) for place in ("cwd", "tmp", "home") for path in (scratch / place).glob("**/*")
    )
