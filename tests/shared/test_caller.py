import math
import threading

import pytest

from model_functions.caller import Caller
from model_functions.errors import CallerGone, DeadlineExceeded, Overloaded
from tests.shared.clocks import Clock


def test_without_a_deadline_it_lasts() -> None:
    caller = Caller()
    caller.check()
    assert caller.remaining() == math.inf


def test_a_deadline_names_its_seconds() -> None:
    clock = Clock()
    caller = Caller(2.5, clock)
    clock.now += 2
    caller.check()
    assert caller.remaining() == 0.5
    clock.now += 0.5
    with pytest.raises(DeadlineExceeded, match=r"no answer within the request's 2.5 s. Allow more time"):
        caller.check()


def test_the_shorter_of_two_deadlines_counts() -> None:
    clock = Clock()
    caller = Caller(10, clock)
    caller.shorten(20)
    assert caller.remaining() == 10
    clock.now += 0.25
    caller.shorten(1)
    assert caller.remaining() == 0.75


def test_who_hangs_up_ends_it_and_wakes_whoever_waits() -> None:
    caller, told = Caller(), list[str]()
    caller.when_gone(lambda: told.append("woken"))
    caller.hang_up()
    assert told == ["woken"]
    assert caller.remaining() == 0
    with pytest.raises(CallerGone):
        caller.check()


def test_who_hung_up_before_is_told_at_once() -> None:
    caller, told = Caller(), list[str]()
    caller.hang_up()
    caller.when_gone(lambda: told.append("woken"))
    assert told == ["woken"]


def test_who_is_sent_away_hears_why_even_when_it_hangs_up_then() -> None:
    caller = Caller()
    caller.send_away(Overloaded("Too many."))
    caller.hang_up()
    with pytest.raises(Overloaded, match="Too many"):
        caller.check()


def test_to_wait_ends_with_what_is_waited_for_or_with_the_caller() -> None:
    settled = threading.Event()
    caller = Caller(0.01)
    caller.wait(settled)
    assert caller.remaining() == 0
    settled.set()
    Caller().wait(settled)
    gone = Caller()
    threading.Timer(0.01, gone.hang_up).start()
    waited = threading.Event()
    gone.wait(waited, 10)
    with pytest.raises(CallerGone):
        gone.check()
    Caller().wait(threading.Event(), 0.01)
