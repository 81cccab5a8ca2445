"""`make audit`: known vulnerabilities of what requirements.lock pins; exit code 1 where there is one.

pip-audit passes a package that its database does not answer for, and so passes everything behind a proxy that does not
forward the database. So it has to find a vulnerability that is known to be there first; where it does not, nothing is
audited, which is said and fails nobody.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
KNOWN = "requests==2.19.0"
"""A release with a published vulnerability: PYSEC-2018-28, CVE-2018-18074."""
NO_ANSWER = re.compile(
    r"ConnectionError|Timeout|ServiceError|ProxyError|SSLError|JSONDecodeError|blocking this service"
)
Package = dict[str, Any]


def ask(requirements: Path, *options: str) -> list[Package] | None:
    """Return what pip-audit says of each package of a requirements file, None where its database does not answer.

    Raises:
        SystemExit: pip-audit failed for another reason.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [sys.executable, "-m", "pip_audit", "--progress-spinner", "off", "--disable-pip", *options]
        command += ["--format", "json", "--output", str(report), "--requirement", str(requirements)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if report.exists():
            packages: list[Package] = json.loads(report.read_text())["dependencies"]
            return packages
    last = result.stderr.strip().splitlines()[-1:]
    if any(NO_ANSWER.search(line) for line in last):
        return None
    raise SystemExit(f"audit: pip-audit failed: {' '.join(last)}")


def finds_what_is_known() -> bool:
    """Return whether the database names the vulnerability of a release that has one."""
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder, "known.txt")
        probe.write_text(f"{KNOWN}\n")
        return any(package.get("vulns") for package in ask(probe, "--no-deps") or ())


def audit() -> int:
    """Print what was found, and return the exit code."""
    packages = ask(LOCK, "--require-hashes") if finds_what_is_known() else None
    if packages is None:
        print(f"audit: NOT AUDITED: the advisories of PyPI cannot be reached from here, so {LOCK.name} was not checked")
        return 0
    found = [(package, flaw) for package in packages for flaw in package.get("vulns", ())]
    for package, flaw in found:
        mended = ", ".join(flaw["fix_versions"]) or "no release yet"
        print(f"audit: {package['name']} {package['version']}: {flaw['id']}, mended in {mended}: `make lock`")
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    print(f"audit: {len(packages)} packages, {len(found)} known vulnerabilities")
    if unknown:
        print(f"audit: not on PyPI, so nobody knows: {', '.join(unknown)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(audit())
