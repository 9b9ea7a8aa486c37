import contextlib
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_functions.sink import MOST, Sink

LINE = b"x" * 499 + b"\n"
#: What a request may wait for whoever reads the log.
BOUND_S = 0.1


def lost(count: int) -> bytes:
    return b"lost %d\n" % count


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Where it is read, and where it is written."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def read(end: int, lost: int) -> bytes:
    """All lines, until as many are told to be lost."""
    found = b""
    while sum(map(int, re.findall(rb"^lost (\d+)$", found, re.MULTILINE))) < lost:
        found += os.read(end, 1 << 20)
    return found


def longest(sink: Sink, count: int) -> float:
    """Seconds that one of so many writes took."""
    found = 0.0
    for _ in range(count):
        began = time.perf_counter()
        sink.write(LINE)
        found = max(found, time.perf_counter() - began)
    return found


def test_what_is_read_comes_at_once_and_without_a_thread(pipe: tuple[int, int]) -> None:
    sink = Sink(pipe[1], lost)
    before = threading.active_count()
    sink.write(b"one\n")
    sink.write(b"two\n")
    assert os.read(pipe[0], 100) == b"one\ntwo\n"
    assert threading.active_count() == before


@pytest.mark.parametrize("reopens", [True, False])
def test_nobody_waits_for_a_reader_who_does_not_read(
    pipe: tuple[int, int], reopens: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not reopens:
        monkeypatch.setattr("model_functions.sink._reopened", lambda number: None)
    sink = Sink(pipe[1], lost)
    count = 2 * MOST // len(LINE)
    assert longest(sink, count) < BOUND_S
    kept = count - sink.lost
    assert sink.lost > 0
    found = read(pipe[0], sink.lost)
    assert re.sub(rb"lost \d+\n", b"", found) == LINE * kept
    sink.write(b"more\n")
    assert os.read(pipe[0], 100) == b"more\n"


def test_a_reader_who_is_gone_disturbs_nobody(pipe: tuple[int, int]) -> None:
    sink = Sink(pipe[1], lost)
    os.close(pipe[0])
    assert longest(sink, 1000) < BOUND_S
    sink.flush()
    assert sink.lost == 1000


def test_a_reader_who_goes_while_much_waits_disturbs_nobody(pipe: tuple[int, int]) -> None:
    sink = Sink(pipe[1], lost)
    longest(sink, 500)
    os.close(pipe[0])
    sink.flush(5)
    assert sink.lost > 0
    assert longest(sink, 10) < BOUND_S


def test_the_end_of_the_process_waits_a_little_only(pipe: tuple[int, int]) -> None:
    sink = Sink(pipe[1], lost)
    longest(sink, 500)
    began = time.monotonic()
    sink.flush(0.1)
    assert time.monotonic() - began < 2


def test_without_a_standard_output_nothing_happens() -> None:
    sink = Sink(None, lost)
    sink.write(LINE)
    assert sink.lost == 1


def test_a_file_is_written_as_it_is(tmp_path: Path) -> None:
    with open(tmp_path / "log", "wb") as file:
        file.write(b"before\n")
        file.flush()
        sink = Sink(file.fileno(), lost)
        sink.write(LINE * 100)
    assert (tmp_path / "log").read_bytes() == b"before\n" + LINE * 100
