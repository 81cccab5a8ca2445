"""Lines of JSON files into Kafka: bytes as they are, keyed by subscriber, nothing skipped.

`python -m ingestion.producer FILE...` or `telecom produce FILE...`.
"""

import gzip
import re
import signal
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, NoReturn, cast

import typer

from ingestion.console import UserError, err, progress, run_command
from ingestion.pace import FASTEST, SLOWEST, paced
from ingestion.runlog import log_event, logged
from ingestion.senders import Client, DeliveryError, Sender, open_sender
from ingestion.settings import Settings, settings

LARGEST_LINE = 1_000_000
"""Bytes. A broker takes messages of 1 MiB with their key and envelope unless it is told otherwise."""
LINES_A_BLOCK = 1_000

_SUBSCRIBER = re.compile(rb'"(?:caller_id|sender_id|user_id)"\s*:\s*"?(\+|00|0|)([1-9][0-9]{5,14})(?![0-9])')


class IncompleteError(UserError):
    """A run that ended before its last line.

    Attributes:
        acknowledged: number of the last line that Kafka has acknowledged together with all lines before it.
        exit_code: what the program ends with: 130 if somebody stopped it, else 1.
    """

    def __init__(self, reason: str, acknowledged: int, exit_code: int = 1) -> None:
        super().__init__(reason)
        self.acknowledged = acknowledged
        self.exit_code = exit_code


def subscriber_key(line: bytes, country_code: bytes) -> bytes | None:
    """Return the subscriber's number as E.164 digits, however it is written; None where a line has none.

    One subscriber's records so go to one partition and stay in order, even those that are not valid JSON.
    """
    found = _SUBSCRIBER.search(line)
    if not found:
        return None
    return country_code + found[2] if found[1] == b"0" else found[2]


class LineReader:
    """The lines of several files, numbered from 1 throughout.

    Attributes:
        lines: how many there are, once all are read.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        """Take the files' names; `-` is standard input, and a name that ends in .gz is unpacked.

        Raises:
            UserError: one of them isn't there.
        """
        self._paths = list(paths)
        for path in self._paths:
            try:
                found = path == "-" or Path(path).exists()
            except OSError as error:
                raise UserError(f"{path}: {error.strerror}") from None
            if not found:
                raise UserError(f"{path}: no such file")
        self._begins: list[tuple[int, str]] = []
        self.lines = 0

    def blocks(self, first: int = 1) -> Iterator[list[bytes]]:
        """Yield the lines from number `first` on, without their line ends, in lists.

        A line that is longer than LARGEST_LINE comes cut, but still too long to be sent.

        Raises:
            UserError: a file can't be read.
        """
        number, block = 0, []
        for path in self._paths:
            self._begins.append((number + 1, path))
            for line in _lines(path):
                number += 1
                if number >= first:
                    block.append(line)
                    if len(block) == LINES_A_BLOCK:
                        yield block
                        block = []
        if block:
            yield block
        self.lines = number

    def where(self, number: int) -> str:
        """Return file and line of a line already read."""
        begin, path = next((begin, path) for begin, path in reversed(self._begins) if begin <= max(1, number))
        return f"{path} line {number - begin + 1}"


def _lines(path: str) -> Iterator[bytes]:
    try:
        with _open(path) as file:
            while line := file.readline(LARGEST_LINE + 2):
                whole = line.endswith(b"\n")
                yield line[:-1] if whole else line
                while not whole and len(line) == LARGEST_LINE + 2:
                    line = file.readline(LARGEST_LINE + 2)
                    whole = line.endswith(b"\n")
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _open(path: str) -> BinaryIO:
    if path == "-":
        return sys.stdin.buffer
    return cast(BinaryIO, gzip.open(path, "rb")) if path.endswith(".gz") else Path(path).open("rb")


def send_lines(
    sender: Sender,
    blocks: Iterable[list[bytes]],
    country_code: str,
    *,
    first: int = 1,
    acknowledged: Callable[[int], None] = lambda _number: None,
) -> int:
    """Send lines and wait until each is acknowledged.

    Args:
        sender: an open sender; it is closed by the caller.
        blocks: the lines, in order.
        country_code: digits that national numbers begin with.
        first: number of the first line.
        acknowledged: told now and then the number of the last line that is safe with all before it.

    Returns:
        Number of the last line.

    Raises:
        IncompleteError: a line was too large or couldn't be read, a delivery failed, or the run was interrupted.
            What had been handed over before is waited for.
    """
    number, code = first - 1, country_code.encode()
    sender.acknowledged = number
    try:
        for block in blocks:
            for line in block:
                _require_sendable(line)
                sender.send(number + 1, subscriber_key(line, code), line)
                number += 1
            acknowledged(sender.acknowledged)
        sender.finish()
        acknowledged(number)
    except DeliveryError as error:
        raise IncompleteError(str(error), sender.acknowledged) from None
    except IncompleteError:
        raise
    except UserError as error:
        raise _cut_short(sender, str(error), 1) from None
    except KeyboardInterrupt:
        raise _cut_short(sender, "interrupted", 130) from None
    return number


def _require_sendable(line: bytes) -> None:
    if len(line) > LARGEST_LINE:
        raise UserError(f"longer than the {LARGEST_LINE:,} bytes that a message may have")


def _cut_short(sender: Sender, reason: str, exit_code: int) -> IncompleteError:
    try:
        sender.finish()
    except DeliveryError as error:
        reason = f"{reason}, and {error}"
    return IncompleteError(reason, sender.acknowledged, exit_code)


def produce_files(  # noqa: PLR0913 - one argument a flag
    config: Settings,
    paths: list[str],
    *,
    rate: float | None = None,
    first: int = 1,
    client: Client = Client.KAFKA_PYTHON,
    acknowledged: Callable[[int], None] = lambda _number: None,
) -> int:
    """Send the lines of files to the usage record topic; return the number of the last line.

    Raises:
        IncompleteError: see `send_lines`; the message names file and line, and what was acknowledged.
        UserError: a file can't be read, the broker doesn't answer, or the topic isn't there.
    """
    reader = LineReader(paths)
    with open_sender(config, client) as sender:
        try:
            last = send_lines(
                sender,
                paced(reader.blocks(first), rate),
                config.country_code,
                first=first,
                acknowledged=acknowledged,
            )
        except IncompleteError as error:
            done, next_line = error.acknowledged, error.acknowledged + 1
            reason = f"{reader.where(next_line)}: {error}; "
            reason += f"lines up to {done} are acknowledged, go on with --from-line {next_line}"
            raise IncompleteError(reason, error.acknowledged, error.exit_code) from None
    if reader.lines < first - 1:
        raise UserError(f"--from-line {first}: there are only {reader.lines} lines in {', '.join(paths)}")
    return last


def as_interrupt(_signal: int, _frame: object) -> NoReturn:
    """Treat a polite request to stop like Ctrl-C, so that the run still says how far it came."""
    raise KeyboardInterrupt


@logged
def produce(
    files: Annotated[
        list[str],
        typer.Argument(help="JSON files, a record a line; .gz is unpacked, - is standard input.", metavar="FILE"),
    ],
    rate: Annotated[
        float | None, typer.Option(help="Lines a second, for a live feel.", min=SLOWEST, max=FASTEST)
    ] = None,
    from_line: Annotated[int, typer.Option(help="Begin at this line, counted over all files.", min=1)] = 1,
    client: Annotated[
        Client, typer.Option(help="Kafka client; librdkafka needs the extra of this name and is several times faster.")
    ] = Client.KAFKA_PYTHON,
) -> None:
    """Send lines of JSON files to the usage record topic, bytes as they are."""
    config = settings()
    signal.signal(signal.SIGTERM, as_interrupt)
    with progress() as bar:
        task = bar.add_task(f"to {config.cdr_topic}", total=None, completed=from_line - 1)
        last = produce_files(
            config,
            files,
            rate=rate,
            first=from_line,
            client=client,
            acknowledged=lambda number: bar.update(task, completed=number),
        )
    log_event("lines produced", lines=last - from_line + 1, topic=config.cdr_topic)
    err.print(f"{last - from_line + 1} lines acknowledged by {config.cdr_topic}")


if __name__ == "__main__":
    run_command(produce)
