"""Values that nobody should send, bytes as nobody should send them, and commands typed with them in this process."""

import io
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from random import Random

from ingestion.cli import app
from ingestion.console import run_app
from ingestion.settings import Settings, settings

TEXTS = (
    *("'; drop table customers; --", "\"\\'", "$$", "%s %(x)s %", "{{ 7 * 7 }}{% raw %}", "${jndi:ldap://127.0.0.1/x}"),
    *("<script>alert(1)</script>", "</style><img src=x onerror=alert(1)>", "]]>", "&amp;&#x3c;"),
    *('=HYPERLINK("http://127.0.0.1/","x")', "+1+1", "-1+1", "@SUM(1)", "[/bold][red]", ":smile:", "a,b;c|d"),
    *(
        "\u202e321\u202c",
        "\u2066x",
        "\ufeff",
        "\u200b",
        "\u2028",
        "a\u0301" * 30,
        "👩‍👩‍👧‍👦",
        "\x1b[31mred",
        "\x07",
        "\x85",
    ),
)
"""Texts that mean something to somebody on the way: SQL, a template, a browser, a spreadsheet, a terminal, a reader."""

NUMBERS = (
    *("-1", "0", "-0", "12.5", "1e3", "1e400", "1e-99999999", "1E+999999999", "9" * 5_000, "0." + "0" * 5_000 + "1"),
    *("nan", "NaN", "-inf", "infinity", "sNaN", "0x10", "1_0", "\u0663", "\u00b2", "1,5", " 7 ", "--1", "+", "."),
)
DATES = ("2025-13", "2025-00", "2025-02-30", "0000-01", "0001-01", "9999-12", "0001-01-01", "9999-12-31", "2025-W23-1")
PATHS = (
    *("", " ", "/dev/null", "/dev/full", "/dev/null/x", "nowhere/x", ".", "/", "a" * 300, "a/" * 3_000, "~nobdy/x"),
    *("here", "here/x", "here.gz", "-", "loop", "s3a://x/y", "x\ny", "\udcff\udcfe"),
)
PAIRS = tuple(f"{name}={value}" for name in ("voice", "missing", "duration_sec", "") for value in NUMBERS[5:9])
ARGUMENTS = TEXTS + NUMBERS + DATES + PATHS + PAIRS
"""What can stand in an argument or a variable: anything but NUL; bytes that are no UTF-8 come as surrogates."""


@dataclass(frozen=True)
class Answer:
    """What a command said, and the exception that nobody caught, if there was one."""

    code: int
    out: str
    err: str
    escaped: str = ""

    def assert_told(self) -> None:
        """Check that the command did its work, or said in one line why not."""
        assert not self.escaped, self.escaped
        assert "Traceback" not in self.err
        told = [line for line in self.err.splitlines() if not line.startswith("customers not loaded: ")]
        if self.code:
            assert self.code in {1, 2}, self
            assert len(told) == 1, self.err
            assert told[0].startswith("telecom: "), self.err


def typed(arguments: Sequence[str]) -> Answer:
    """Run `telecom` with these arguments in this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", errors) for errors in ("strict", "backslashreplace"))
    before, handlers = sys.argv, {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    code, escaped = 0, ""
    sys.argv = ["telecom", *arguments]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            run_app(app)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except Exception:
        escaped = traceback.format_exc()
    finally:
        sys.argv = before
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return Answer(code, *(_written(text) for text in (out, err)), escaped)


def _written(text: io.TextIOWrapper) -> str:
    text.flush()
    text.seek(0)
    return text.buffer.read().decode("utf-8", "replace")


@contextmanager
def nowhere(folder: Path) -> Iterator[None]:
    """Stand in an empty folder, with an environment that names no server that answers."""
    before, here = dict(os.environ), Path.cwd()
    for field in Settings.model_fields.values():
        os.environ.pop(str(field.validation_alias), None)
    os.environ |= {
        "TELECOM_HOME": str(folder / "home"),
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
        "PGPORT": "9",
        "SPARK_THRIFT_PORT": "9",
    }
    settings.cache_clear()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)
        settings.cache_clear()


def mutated(random: Random, data: bytes) -> bytes:
    """Return bytes as a bad line, disk, editor or sender leaves them: one to three changes, of any of the kinds."""
    for _ in range(random.choice((1, 1, 2, 3))):
        data = random.choice(MUTATIONS)(random, data)
    return data


def _flip(random: Random, data: bytes) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + bytes(byte ^ 1 << random.randrange(8) for byte in data[place : place + 1]) + data[place + 1 :]


def _cut(random: Random, data: bytes) -> bytes:
    start, end = sorted(random.randrange(len(data) + 1) for _ in range(2))
    return data[:start] + data[random.choice((end, min(end, start + 3), len(data))) :]


def _splice(random: Random, data: bytes) -> bytes:
    start, end, place = (random.randrange(len(data) + 1) for _ in range(3))
    return data[:place] + data[min(start, end) : max(start, end)] + data[place:]


def _insert(random: Random, data: bytes) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + random.choice(INSERTS) + data[place:]


def _replace(random: Random, data: bytes) -> bytes:
    """Put something else in the place of a word or a number."""
    words = list(re.finditer(rb"[A-Za-z0-9_.+-]+", data))
    if not words:
        return _insert(random, data)
    word = random.choice(words)
    return data[: word.start()] + random.choice(INSERTS) + data[word.end() :]


MUTATIONS = (_flip, _cut, _splice, _insert, _replace, _replace)
INSERTS = (
    # but for one digit that Jackson takes for a c in an escape of four hexadecimal digits
    *(text.encode() for text in TEXTS + NUMBERS + DATES if text != "\u0663"),
    *(b"\0", b"\r", b"\n", b'"', b"'", b"\\", b",", b":", b"{", b"}", b"[", b"]", b"\t", b" ", b"/**/", b"#", b";"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80", b"\xc3"),
    *(b"null", b"true", b"{}", b"[]", b'""', b"NaN", b"Infinity", b"1" * 400, b"0.1" + b"0" * 400, b"9" * 20),
    *(
        b"\\u0000",
        b"\\u202e",
        b"\\ud83d\\ude00",
        b"\\n",
        b"\\x",
        b"\\u12",
        b'":"',
        b'","',
        b'":',
        b'"record_type":"sms",',
    ),
    *(b'{"a":' * 200 + b"1" + b"}" * 200, b"[" * 3_000 + b"]" * 3_000),
)
