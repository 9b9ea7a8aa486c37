import math

import pytest

from model_functions.errors import CallerGone, DeadlineExceeded
from model_functions.patience import Patience
from tests.shared.clocks import Clock


def test_without_a_deadline_it_lasts() -> None:
    patience = Patience()
    patience.check()
    assert patience.remaining() == math.inf


def test_a_deadline_names_its_seconds() -> None:
    clock = Clock()
    patience = Patience(2.5, clock)
    clock.now += 2
    patience.check()
    assert patience.remaining() == 0.5
    clock.now += 0.5
    with pytest.raises(DeadlineExceeded, match=r"no answer within the request's 2.5 s. Allow more time"):
        patience.check()


def test_the_shorter_of_two_deadlines_counts() -> None:
    clock = Clock()
    patience = Patience(10, clock)
    patience.shorten(20)
    assert patience.remaining() == 10
    patience.shorten(1)
    assert patience.remaining() == 1


def test_who_hangs_up_ends_it_and_wakes_whoever_waits() -> None:
    patience, told = Patience(), list[str]()
    patience.when_gone(lambda: told.append("woken"))
    patience.hang_up()
    assert told == ["woken"]
    assert patience.remaining() == 0
    with pytest.raises(CallerGone):
        patience.check()


def test_who_hung_up_before_is_told_at_once() -> None:
    patience, told = Patience(), list[str]()
    patience.hang_up()
    patience.when_gone(lambda: told.append("woken"))
    assert told == ["woken"]
