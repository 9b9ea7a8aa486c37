import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from model_functions.access import renewal
from model_functions.access.renewal import Ages, Renewal
from model_functions.errors import AuthUnavailable
from tests.shared.clocks import Clock


class Source:
    """Gives one number after the other, once it may."""

    def __init__(self) -> None:
        self.read_at: list[float] = []
        self.fails = False
        self.may = threading.Event()
        self.may.set()
        self.clock = Clock()

    def read(self, last: int | None) -> int:
        self.read_at.append(self.clock.now)
        self.may.wait(10)
        if self.fails:
            raise ValueError("broken")
        return len(self.read_at)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def kept(source: Source) -> Iterator[Renewal[int]]:
    yield Renewal("number", source.read, Ages(30, 60, 600), source.clock)
    source.may.set()


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def settled(kept: Renewal[int]) -> None:
    until(lambda: kept._reading is None)


def test_the_first_who_asks_waits_and_then_nobody_does(source: Source, kept: Renewal[int]) -> None:
    assert not kept.is_fresh
    assert kept.value() == 1
    assert kept.is_fresh
    source.clock.now += 30
    assert [kept.value() for _ in range(100)] == [1] * 100
    assert len(source.read_at) == 1


def test_what_is_older_than_an_interval_is_read_again_behind_the_request(source: Source, kept: Renewal[int]) -> None:
    assert kept.value() == 1
    source.may.clear()
    source.clock.now += 31
    assert [kept.value() for _ in range(10)] == [1] * 10, "while it is read"
    assert kept.is_fresh
    source.may.set()
    settled(kept)
    assert kept.value() == 2
    assert len(source.read_at) == 2


def test_what_is_older_than_two_intervals_is_waited_for(source: Source, kept: Renewal[int]) -> None:
    assert kept.value() == 1
    source.clock.now += 61
    assert not kept.is_fresh
    assert kept.value() == 2


def test_a_reading_that_stood_still_since_the_last_request_is_followed_by_another(
    source: Source, kept: Renewal[int]
) -> None:
    """As on Cloud Run, where an instance has no processor between two requests."""
    assert kept.value() == 1
    source.may.clear()
    source.clock.now += 31
    assert kept.value() == 1
    source.clock.now += 3600
    threading.Timer(0.05, source.may.set).start()
    assert kept.value() == 3, "what was read an hour ago may lack what was changed since"
    assert source.read_at == [1000, 1031, 4631]


def test_however_many_ask_it_is_read_once_an_interval(source: Source, kept: Renewal[int]) -> None:
    found: list[int] = []
    for _ in range(4):
        threads = [threading.Thread(target=lambda: found.append(kept.value())) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        source.clock.now += 61
    assert len(found) == 200
    assert source.read_at == [1000, 1061, 1122, 1183]


def test_a_request_waits_for_a_while_and_no_longer(
    source: Source, kept: Renewal[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "PATIENCE_S", 0.05)
    source.may.clear()
    with pytest.raises(AuthUnavailable):
        kept.value()
    source.may.set()
    settled(kept)
    assert kept.value() == 1
    source.may.clear()
    source.clock.now += 61
    assert kept.value() == 1, "the last one counts on"


def test_the_last_one_counts_for_ten_minutes_and_each_failure_is_logged(
    source: Source, kept: Renewal[int], caplog: pytest.LogCaptureFixture
) -> None:
    assert kept.value() == 1
    source.fails = True
    seconds = 0
    with caplog.at_level(logging.ERROR, "model_functions"):
        for seconds in range(0, 600, 10):
            source.clock.now = 1000.0 + seconds
            assert kept.value() == 1, seconds
            settled(kept)
        alerts = [record.getMessage() for record in caplog.records]
    assert set(alerts) == {"the number cannot be read again"}
    assert len(alerts) == len(source.read_at) - 1 <= 20
    source.clock.now = 1601.0
    with pytest.raises(AuthUnavailable, match="Nobody can be let in without the number, and there is none") as refused:
        kept.value()
    assert 1 <= int(refused.value.headers["Retry-After"]) <= 30
    source.fails = False
    source.clock.now += 30
    assert kept.value() == len(source.read_at)


def test_nobody_waits_for_a_source_that_was_away_the_last_time(source: Source, kept: Renewal[int]) -> None:
    assert kept.value() == 1
    source.fails = True
    source.clock.now += 31
    assert kept.value() == 1
    settled(kept)
    source.may.clear()
    for _ in range(10):
        source.clock.now += 40
        assert (kept.is_fresh, kept.value()) == (True, 1)
    source.fails = False
    source.may.set()
    settled(kept)
    assert kept.value() == 4, "that reading began long ago"


def test_where_there_is_none_yet_it_is_tried_again_after_a_few_seconds(source: Source, kept: Renewal[int]) -> None:
    source.fails = True
    for _ in range(20):
        with pytest.raises(AuthUnavailable) as refused:
            kept.value()
        assert kept.is_fresh, "who is refused, is refused at once"
    assert (len(source.read_at), refused.value.headers["Retry-After"]) == (1, "5")
    source.fails = False
    source.clock.now += 5
    assert kept.value() == 2


def test_what_is_missing_is_looked_for_before_it_is_time_but_not_for_everybody(
    source: Source, kept: Renewal[int]
) -> None:
    assert kept.value() == 1
    for _ in range(50):
        kept.hurry(10)
        settled(kept)
        source.clock.now += 1
    assert source.read_at == [1000, 1010, 1020, 1030, 1040]


def test_an_instance_that_has_no_room_for_a_thread_lets_nobody_in(
    source: Source, kept: Renewal[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", full)
        with pytest.raises(AuthUnavailable):
            kept.value()
    source.clock.now += 5
    assert kept.value() == 1
