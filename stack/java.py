"""Finding a Java that Spark and Kafka can run on."""

import re
import shutil
import subprocess

from ingestion.console import UserError
from ingestion.settings import Settings

OLDEST = 17


def java(settings: Settings) -> str:
    """Return the path of the `java` of JAVA_HOME or, without one, of the PATH.

    Raises:
        UserError: there is none, or it is older than Java 17.
    """
    home = settings.java_home
    path = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if path is None:
        where = f"JAVA_HOME={home}" if home else "the PATH"
        raise UserError(f"no java in {where}: install Java {OLDEST} (Debian: apt-get install openjdk-17-jre-headless)")
    try:
        printed = subprocess.run([path, "-version"], capture_output=True, text=True, check=False).stderr
    except OSError as error:
        raise UserError(f"{path} does not run: {error.strerror}: point JAVA_HOME at a Java {OLDEST} or later") from None
    version = re.search(r'version "(?:1\.)?(\d+)', printed)
    if version is None or int(version[1]) < OLDEST:
        found = version[1] if version else "an unknown version"
        raise UserError(f"{path} is Java {found}: install Java {OLDEST} or later, or point JAVA_HOME at one")
    return path
