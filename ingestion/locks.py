"""One at a time: locks between the processes of one machine, which the system lets go of however they end."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from ingestion.console import UserError
from ingestion.settings import Settings

Work = Literal["mediation", "run"]
COMMANDS: dict[Work, str] = {
    "mediation": "telecom mediate` or `telecom purge",
    "run": "telecom run`, `telecom close` or `telecom purge",
}


@contextmanager
def alone(settings: Settings, work: Work) -> Iterator[None]:
    """Hold the lock of a kind of work; a child that is started with `close_fds=False` holds it too.

    Were the command alone to be killed, its child would else go on while a second command begins.

    Raises:
        UserError: another process holds it, or the stack's home cannot be written.
    """
    path = settings.home / "run" / f"{work}.lock"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: set TELECOM_HOME to a folder that can be written") from None
    with file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(
                f"another `{COMMANDS[work]}` is at work (it holds {path}): wait until it ends, or stop it"
            ) from None
        os.set_inheritable(lock.fileno(), True)
        yield


def at_work(settings: Settings, work: Work) -> bool:
    """Return whether some process holds the lock of this kind of work now."""
    try:
        with alone(settings, work):
            return False
    except UserError:
        return True
