"""`make audit` fails on a known vulnerability, and never passes what it could not ask about as clean."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[3] / ".ci" / "audit.py"
CLEAN = {"name": "good", "version": "1", "vulns": []}
FLAWED = {"name": "bad", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}
UNKNOWN = {"name": "strange", "skip_reason": "Dependency not found on PyPI"}


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("probe", "lock", "code", "said"),
    [
        ([FLAWED], [CLEAN], 0, "1 packages, 0 known"),
        ([FLAWED], [CLEAN, FLAWED], 1, "bad 1: PYSEC-1, mended in 2"),
        ([FLAWED], [CLEAN, UNKNOWN], 0, "nobody knows: strange"),
        ([UNKNOWN], [UNKNOWN], 0, "NOT AUDITED"),
        (None, None, 0, "NOT AUDITED"),
        ([FLAWED], None, 0, "NOT AUDITED"),
    ],
    ids=["clean", "a finding", "one unknown", "answers for nothing", "no answer", "gone after the probe"],
)
def test_a_finding_fails_and_silence_is_said(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], probe, lock, code, said
):
    monkeypatch.setattr(script, "ask", lambda path, *_options: lock if path == script.LOCK else probe)
    assert script.audit() == code
    assert said in capsys.readouterr().out


def test_a_lock_without_hashes_is_a_failure(script: ModuleType, tmp_path: Path):
    (tmp_path / "lock").write_text("idna==3.10\n")
    with pytest.raises(SystemExit, match="does not contain a hash"):
        script.ask(tmp_path / "lock", "--require-hashes")
