"""The producer sends every byte of every line in order, or says how far it came."""

import gzip
import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ingestion import producer
from ingestion.console import UserError
from ingestion.producer import LARGEST_LINE, IncompleteError, produce_files, send_lines, subscriber_key
from ingestion.senders import DeliveryError
from ingestion.settings import Settings

VOICE = b'{"record_type":"voice","timestamp":"2025-06-13T05:14:34Z","caller_id":"%s","callee_id":"212633140289"}'


class FakeSender:
    """Acknowledges messages up to one that the broker refuses, and those in flight only when it is asked to finish."""

    def __init__(self, refused: int | None = None, in_flight: int = 0) -> None:
        self.acknowledged = 0
        self.sent: list[tuple[int, bytes | None, bytes]] = []
        self._refused, self._in_flight = refused, in_flight

    def send(self, number: int, key: bytes | None, value: bytes) -> None:
        if self._refused is not None and number > self._refused:
            raise DeliveryError("the broker stopped answering")
        self.sent.append((number, key, value))
        self.acknowledged = max(self.acknowledged, number - self._in_flight)

    def finish(self) -> None:
        if self._refused is not None and self.sent and self.sent[-1][0] >= self._refused:
            raise DeliveryError("the broker stopped answering")
        self.acknowledged = max([self.acknowledged, *(number for number, _, _ in self.sent)])

    def __enter__(self) -> "FakeSender":
        return self

    def __exit__(self, *error: object) -> None: ...


@pytest.fixture
def sender(monkeypatch: pytest.MonkeyPatch) -> FakeSender:
    fake = FakeSender(in_flight=3)
    monkeypatch.setattr(producer, "open_sender", lambda _config, _client: fake)
    return fake


@pytest.fixture
def config() -> Settings:
    return Settings()  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (VOICE % b"212612199316", b"212612199316"),
        (VOICE % b"+212612199316", b"212612199316"),
        (VOICE % b"00212612199316", b"212612199316"),
        (VOICE % b"0612199316", b"212612199316"),
        (b'{ "user_id" : 212612199316 , "record_type":"data"}', b"212612199316"),
        (b'{"sender_id":"212612199316","recei', b"212612199316"),
        (VOICE % b"###INVALID###", None),
        (b'{"record_type":"voice"}', None),
        (b"", None),
        (b"\xff\xfe", None),
    ],
)
def test_one_subscriber_has_one_key_however_the_number_is_written(line: bytes, key: bytes | None) -> None:
    assert subscriber_key(line, b"212") == key


def test_lines_arrive_byte_for_byte(tmp_path: Path, sender: FakeSender, config: Settings) -> None:
    lines = [VOICE % b"212612199316", b"", b"  not json \r", b"\xff\x00\xfe", VOICE % b"0612199316"]
    (tmp_path / "one.json").write_bytes(b"\n".join(lines[:3]) + b"\n")
    (tmp_path / "two.json.gz").write_bytes(gzip.compress(b"\n".join(lines[3:])))  # no line end at the end
    last = produce_files(config, [str(tmp_path / "one.json"), str(tmp_path / "two.json.gz")])
    assert last == 5
    assert [value for _, _, value in sender.sent] == lines
    assert [number for number, _, _ in sender.sent] == [1, 2, 3, 4, 5]


def test_standard_input_is_a_file(monkeypatch: pytest.MonkeyPatch, sender: FakeSender, config: Settings) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"a\nb\n")))
    assert produce_files(config, ["-"]) == 2
    assert [value for _, _, value in sender.sent] == [b"a", b"b"]


def test_a_run_goes_on_from_a_line_over_all_files(tmp_path: Path, sender: FakeSender, config: Settings) -> None:
    (tmp_path / "one").write_bytes(b"a\nb\n")
    (tmp_path / "two").write_bytes(b"c\nd\n")
    files = [str(tmp_path / "one"), str(tmp_path / "two")]
    assert produce_files(config, files, first=3) == 4
    assert [value for _, _, value in sender.sent] == [b"c", b"d"]
    assert produce_files(config, files, first=5) == 4  # nothing is left, and that is no error
    with pytest.raises(UserError, match="--from-line 6: there are only 4 lines"):
        produce_files(config, files, first=6)


def test_a_line_that_is_too_large_stops_the_run_after_those_before_it(
    tmp_path: Path, sender: FakeSender, config: Settings
) -> None:
    file = tmp_path / "cdr.json"
    file.write_bytes(b"a\nb\n" + b"x" * (2 * LARGEST_LINE) + b"\nc\n")
    with pytest.raises(IncompleteError, match=r"cdr.json line 3: longer than .* go on with --from-line 3") as caught:
        produce_files(config, [str(file)])
    assert caught.value.acknowledged == 2
    assert [value for _, _, value in sender.sent] == [b"a", b"b"]
    # the large line is one line, however many pieces it is read in
    assert produce_files(config, [str(file)], first=4) == 4
    assert sender.sent[-1][2] == b"c"


def test_the_largest_line_is_sent(tmp_path: Path, sender: FakeSender, config: Settings) -> None:
    (tmp_path / "cdr.json").write_bytes(b"x" * LARGEST_LINE + b"\n")
    assert produce_files(config, [str(tmp_path / "cdr.json")]) == 1


def test_a_file_that_is_not_there_is_named_before_anything_is_sent(
    tmp_path: Path, sender: FakeSender, config: Settings
) -> None:
    (tmp_path / "one").write_bytes(b"a\n")
    with pytest.raises(UserError, match="two: no such file"):
        produce_files(config, [str(tmp_path / "one"), str(tmp_path / "two")])
    assert sender.sent == []


def test_a_file_that_breaks_off_is_named_with_what_was_acknowledged(
    tmp_path: Path, sender: FakeSender, config: Settings
) -> None:
    (tmp_path / "one").write_bytes(b"a\nb\n")
    (tmp_path / "two.gz").write_bytes(gzip.compress(b"c\n" * 1000)[:-10])
    with pytest.raises(IncompleteError, match=r"two.gz: Compressed file ended.*go on with --from-line"):
        produce_files(config, [str(tmp_path / "one"), str(tmp_path / "two.gz")])


def test_a_broker_that_goes_is_told_with_the_line_to_go_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: Settings
) -> None:
    file = tmp_path / "cdr.json"
    file.write_bytes(b"".join(b"%d\n" % number for number in range(1, 2001)))
    fake = FakeSender(refused=1500, in_flight=10)
    monkeypatch.setattr(producer, "open_sender", lambda _config, _client: fake)
    with pytest.raises(IncompleteError, match=r"line 1491: the broker stopped .* up to 1490 .* --from-line 1491"):
        produce_files(config, [str(file)])


def test_an_interrupted_run_waits_for_what_it_sent_and_says_so() -> None:
    fake = FakeSender(in_flight=5)

    def blocks() -> object:
        yield [b"a"] * 10
        raise KeyboardInterrupt

    with pytest.raises(IncompleteError, match="interrupted") as caught:
        send_lines(fake, blocks(), "212")  # type: ignore[arg-type]
    assert caught.value.acknowledged == 10
    assert caught.value.exit_code == 130


def test_progress_is_what_was_acknowledged_not_what_was_sent() -> None:
    told: list[int] = []
    send_lines(FakeSender(in_flight=4), [[b"a"] * 6, [b"b"] * 6], "212", acknowledged=told.append)  # type: ignore[arg-type]
    assert told == [2, 8, 12]
