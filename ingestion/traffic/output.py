"""A run of the generator into a file, onto standard output or into Kafka."""

import gzip
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, cast

from ingestion.console import UserError
from ingestion.pace import paced
from ingestion.producer import IncompleteError, send_lines
from ingestion.senders import Sender
from ingestion.traffic.manifest import ManifestWriter
from ingestion.traffic.stream import Chunk, Traffic

STANDARD_OUTPUT = "-"
COMPRESSION_LEVEL = 3
"""gzip's level: the file is a tenth larger than at level 6 and written three times as fast."""

Tell = Callable[[int], None]


def write_traffic(
    traffic: Traffic, out: str, *, rate: float | None = None, written: Tell = lambda _lines: None
) -> None:
    """Write a run to a file, with its manifest beside it.

    Args:
        traffic: the run.
        out: file name; `.gz` at its end packs it, `-` is standard output. What isn't a file gets no manifest.
        rate: lines a second; None is as fast as can be.
        written: told how many lines there are so far.

    Raises:
        UserError: the file can't be written.
    """
    try:
        with ExitStack() as stack:
            file = _open(out, stack)
            # a pipe or a device has nothing beside it
            beside = out != STANDARD_OUTPUT and Path(out).is_file()
            manifest = stack.enter_context(ManifestWriter(Path(out), traffic.spec)) if beside else None
            lines = 0
            for chunk in traffic.chunks():
                for piece, size in _pieces(chunk, rate):
                    file.write(piece)
                    if rate is not None:
                        file.flush()
                    lines += size
                    written(lines)
                if manifest:
                    manifest.add(chunk)
            file.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(f"--out {out}: {error.strerror or error}") from None


def _pieces(chunk: Chunk, rate: float | None) -> Iterator[tuple[bytes, int]]:
    if rate is None:
        yield chunk.data, chunk.lines
        return
    for lines in paced([chunk.data.split(b"\n")[:-1]], rate):
        yield b"\n".join(lines) + b"\n", len(lines)


def _open(out: str, stack: ExitStack) -> BinaryIO:
    if out == STANDARD_OUTPUT:
        return sys.stdout.buffer
    file: BinaryIO = stack.enter_context(Path(out).open("wb"))  # noqa: SIM115 - the stack closes it
    if not out.endswith(".gz"):
        return file
    # without the name and time of the file, so that equal runs give equal bytes
    packed = gzip.GzipFile(filename="", mode="wb", compresslevel=COMPRESSION_LEVEL, fileobj=file, mtime=0)
    return cast(BinaryIO, stack.enter_context(packed))


def send_traffic(
    traffic: Traffic, sender: Sender, country_code: str, *, rate: float | None = None, sent: Tell = lambda _lines: None
) -> None:
    """Send a run to Kafka.

    Raises:
        IncompleteError: not every line was acknowledged; sending the same run again is safe, since mediation knows
            what it has.
    """
    blocks = (chunk.data.split(b"\n")[:-1] for chunk in traffic.chunks())
    try:
        send_lines(sender, paced(blocks, rate), country_code, acknowledged=sent)
    except IncompleteError as error:
        reason = f"{error}; {error.acknowledged} of {traffic.spec.count} lines are acknowledged"
        raise IncompleteError(reason, error.acknowledged, error.exit_code) from None
