"""The jars beside pyspark's own: fetched once by the Ivy that pyspark ships, checked against `jars.lock`."""

import hashlib
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyspark

from ingestion.console import UserError, err
from ingestion.settings import Settings
from stack.java import java

LOCK = Path(__file__).with_name("jars.lock")
User = Literal["kafka", "spark"]


@dataclass(frozen=True)
class Jar:
    """One pinned artifact of the Maven repositories."""

    user: str
    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The name of the jar's file."""
        return f"{self.artifact}-{self.version}.jar"


def locked() -> list[Jar]:
    """Return every jar of the lock file."""
    lines = LOCK.read_text().splitlines()
    return [Jar(*line.split()) for line in lines if line and not line.startswith("#")]


def jar_folder(settings: Settings, user: User) -> Path:
    """Return the folder that holds the jars of Kafka or Spark, fetching them the first time.

    Raises:
        UserError: Java is missing, the repository cannot be reached, or a jar is not the one that was pinned.
    """
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    folder = settings.cache / "jars" / digest
    if not folder.exists():
        _fetch(folder, java(settings))
    return folder / user


def class_path(settings: Settings, user: User) -> str:
    """Return the jars of Kafka or Spark as a Java class path."""
    return ":".join(str(jar) for jar in sorted(jar_folder(settings, user).glob("*.jar")))


def _fetch(folder: Path, java_path: str) -> None:
    """Resolve every locked jar into `folder`, which appears only when it is complete and checked."""
    jars = locked()
    err.print(f"Fetching {len(jars)} jars for Kafka and Spark (once, about 100 MB) ...")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        ivy_file = Path(scratch, "ivy.xml")
        ivy_file.write_text(_ivy_module(jars))
        ivy_jar = next(Path(pyspark.__path__[0], "jars").glob("ivy-*.jar"))
        target = Path(scratch, "jars")
        result = subprocess.run(
            [java_path, "-jar", str(ivy_jar), "-ivy", str(ivy_file), "-cache", f"{scratch}/cache", "-warn"]
            + ["-retrieve", f"{target}/[conf]/[artifact]-[revision].[ext]"],
            capture_output=True,
            text=True,
            check=False,
        )
        for jar in jars:
            path = target / jar.user / jar.file_name
            if not path.exists():
                reason = next((line.strip() for line in result.stdout.splitlines() if "ERRORS" in line), "")
                raise UserError(
                    f"{jar.group}:{jar.artifact}:{jar.version} could not be fetched {reason}: "
                    "check that this machine reaches Maven Central, then run the command again"
                )
            if hashlib.sha256(path.read_bytes()).hexdigest() != jar.sha256:
                raise UserError(f"{jar.file_name} is not the file that {LOCK.name} pins: do not use this mirror")
        try:
            target.rename(folder)
        except OSError:
            if not folder.exists():  # otherwise another process fetched the same jars meanwhile
                shutil.copytree(target, folder)


def _ivy_module(jars: list[Jar]) -> str:
    """Return an Ivy file that asks for exactly these jars, not for what they depend on."""
    dependencies = "".join(
        f'<dependency org="{jar.group}" name="{jar.artifact}" rev="{jar.version}" transitive="false"'
        f' conf="{jar.user}->default"/>'
        for jar in jars
    )
    return (
        '<ivy-module version="2.0"><info organisation="telecom" module="stack"/>'
        '<configurations><conf name="kafka"/><conf name="spark"/></configurations>'
        f"<dependencies>{dependencies}</dependencies></ivy-module>"
    )
