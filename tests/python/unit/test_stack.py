import os
import socket
import subprocess
from pathlib import Path

import pytest

from ingestion.console import UserError
from ingestion.settings import Settings
from stack import jars, postgres, processes, thrift
from stack.java import java
from stack.machine import DATA_FOLDERS, purge


def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    monkeypatch.setenv("TELECOM_HOME", str(tmp_path))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Settings()


def test_every_jar_is_pinned_once_by_version_and_digest():
    locked = jars.locked()
    assert len({(jar.user, jar.artifact) for jar in locked}) == len(locked)
    assert all(len(jar.sha256) == 64 and int(jar.sha256, 16) for jar in locked)


def test_a_java_home_without_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UserError, match="JAVA_HOME=.*Java 17"):
        java(make(tmp_path, monkeypatch, JAVA_HOME=str(tmp_path)))


def test_an_old_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    old = tmp_path / "bin" / "java"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    old.chmod(0o755)
    with pytest.raises(UserError, match="is Java 11: install Java 17"):
        java(make(tmp_path, monkeypatch, JAVA_HOME=str(tmp_path)))


def test_a_taken_port_names_the_variable():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=rf"port {port} .*PGPORT"):
            processes.require_free_port("127.0.0.1", port, "PostgreSQL", "PGPORT")


def test_a_server_that_dies_says_its_last_words_and_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    here = make(tmp_path, monkeypatch)
    process = processes.start(here, "weak", ["sh", "-c", "echo FATAL: cannot go on; exit 3"])
    with pytest.raises(UserError, match=r"weak stopped while starting: FATAL: cannot go on \(log: .*weak.log\)"):
        processes.wait_until(here, "weak", lambda: False, process)
    assert processes.running(here, "weak") is None


def test_stop_ends_a_process_and_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    here = make(tmp_path, monkeypatch)
    process = processes.start(here, "sleeper", ["sleep", "60"])
    found = processes.running(here, "sleeper")
    assert found is not None
    assert found.pid == process.pid
    assert processes.stop(here, "sleeper")
    assert not processes.stop(here, "sleeper")
    assert not process.is_running()


@pytest.mark.parametrize("host", ["0.0.0.0", "8.8.8.8"])
def test_thrift_refuses_an_address_that_strangers_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str):
    with pytest.raises(UserError, match="asks nobody for a password"):
        thrift.start(make(tmp_path, monkeypatch, SPARK_THRIFT_HOST=host))


def test_the_lock_file_of_a_dead_postgresql_is_taken_away(tmp_path: Path):
    lock = tmp_path / "postmaster.pid"
    dead = subprocess.Popen(["true"])
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has asked for its exit code
    lock.write_text(f"{dead.pid}\n{tmp_path}\n")
    with subprocess.Popen(["sleep", "0.5"], cwd=tmp_path) as session:
        postgres.clear_the_dead(tmp_path)
        assert session.poll() is not None
    assert not lock.exists()
    dead.wait()


def test_the_lock_file_of_a_living_postgresql_stays(tmp_path: Path):
    lock = tmp_path / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{tmp_path}\n")
    postgres.clear_the_dead(tmp_path)
    assert lock.exists()


def test_purge_takes_only_what_the_stack_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for folder in DATA_FOLDERS:
        (tmp_path / folder).mkdir()
    mine = tmp_path / "mine.txt"
    mine.write_text("keep")
    purge(make(tmp_path, monkeypatch))
    assert list(tmp_path.iterdir()) == [mine]
