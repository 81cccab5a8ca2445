"""Servers as local processes: started apart from the terminal, remembered by process id, stopped for certain."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from ingestion.console import UserError
from ingestion.settings import Settings

START_SECONDS = 300
STOP_SECONDS = 30


def _record(settings: Settings, name: str) -> Path:
    return settings.home / "run" / f"{name}.json"


def log_file(settings: Settings, name: str) -> Path:
    """Return the log file of a server."""
    return settings.logs / f"{name}.log"


def running(settings: Settings, name: str) -> psutil.Process | None:
    """Return the process that `start` started under this name, or None when it is gone.

    The creation time is part of the record, so a process id that the system gave to somebody else is not ours.
    """
    try:
        record = json.loads(_record(settings, name).read_text())
        process = psutil.Process(record["pid"])
        if abs(process.create_time() - record["created"]) < 1 and process.status() != psutil.STATUS_ZOMBIE:
            return process
    except (OSError, ValueError, KeyError, psutil.Error):
        pass
    return None


def start(
    settings: Settings, name: str, command: Sequence[str | Path], environment: Mapping[str, str] | None = None
) -> psutil.Process:
    """Start a server that outlives this command; what it prints goes to its log file."""
    log = log_file(settings, name)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=settings.home,
            env={**os.environ, **(environment or {})},
        )
    process = psutil.Process(child.pid)
    record = _record(settings, name)
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps({"pid": process.pid, "created": process.create_time()}))
    return process


def wait_until(settings: Settings, name: str, answers: Callable[[], bool], process: psutil.Process) -> None:
    """Wait until a started server answers.

    Raises:
        UserError: it died or did not answer in time; the message has the last line of its log and the log's path.
    """
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        dead = not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        if dead or time.monotonic() > deadline:
            what = "stopped while starting" if dead else f"did not answer within {START_SECONDS} s"
            stop(settings, name)
            raise UserError(f"{name} {what}: {_last_words(settings, name)} (log: {log_file(settings, name)})")
        time.sleep(0.25)


def stop(settings: Settings, name: str, polite: signal.Signals = signal.SIGTERM) -> bool:
    """Stop a server that `start` started, and its children; return whether there was one."""
    process = running(settings, name)
    if process is not None:
        family = [process, *process.children(recursive=True)]
        process.send_signal(polite)
        _, alive = psutil.wait_procs(family, timeout=STOP_SECONDS)
        for survivor in alive:
            survivor.kill()
        psutil.wait_procs(alive, timeout=5)
    _record(settings, name).unlink(missing_ok=True)
    return process is not None


def port_open(host: str, port: int) -> bool:
    """Return whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except (OSError, UnicodeError):  # a name such as a..b cannot be asked for at all
        return False


def require_free_port(host: str, port: int, name: str, variable: str) -> None:
    """Refuse to start a server on a port that somebody else has.

    Raises:
        UserError: the port is taken.
    """
    if port_open(host, port):
        raise UserError(
            f"port {port} on {host} is taken by another program, so {name} cannot start: "
            f"stop that program or set {variable} to a free port"
        )


def resident_mib(process: psutil.Process) -> int:
    """Return the resident memory of a process and its children in MiB."""
    total = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            total += member.memory_info().rss
        except psutil.Error:
            continue
    return total >> 20


def _last_words(settings: Settings, name: str) -> str:
    """Return the log line that most likely says why a server died."""
    lines = [line.strip() for line in log_file(settings, name).read_text(errors="replace").splitlines() if line.strip()]
    telling = [
        line for line in lines[-200:] if any(word in line for word in ("No space left", "FATAL", "ERROR", "Exception"))
    ]
    return (telling or lines or ["it printed nothing"])[-1][:300]
