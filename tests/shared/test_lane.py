import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_functions.errors import CallerGone, DeadlineExceeded, InvalidInput, ModelError, Overloaded, ServingError
from model_functions.lane import ALONE, QUICK_S, Lane, Pace, Work
from model_functions.patience import Patience
from model_functions.rows import Batch, Row

TOGETHER = Batch(100, 10)


class Model:
    """Doubles numbers, once the gate is open; keeps what it was given at a time."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.pace = Pace()
        self.read: list[list[int]] = []
        self.running = threading.Event()
        self.gate = threading.Event()
        if is_open:
            self.gate.set()

    def __call__(self, numbers: list[int]) -> list[int]:
        self.read.append(list(numbers))
        self.running.set()
        assert self.gate.wait(10)
        if 13 in numbers:
            raise RuntimeError("13")
        if 14 in numbers:
            raise InvalidInput("data", "14 is no number.")
        return [2 * number for number in numbers]

    def work(self, *numbers: int, batch: Batch = TOGETHER, patience: Patience | None = None) -> Work:
        rows = [Row(number) for number in numbers]
        return Work("doubles", self.pace, self, rows, batch, patience or Patience(), "id")


class Asking(threading.Thread):
    """Somebody who waits for a work's outputs."""

    def __init__(self, lane: Lane, work: Work) -> None:
        super().__init__(daemon=True)
        self.lane, self.work = lane, work
        self.outcome: Any = None
        self.start()

    def run(self) -> None:
        try:
            self.outcome = self.lane.run(self.work)
        except ServingError as exc:
            self.outcome = exc

    def result(self) -> Any:
        self.join(10)
        return self.outcome


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def busy(lane: Lane, model: Model) -> Asking:
    """Somebody for whom the model runs until its gate is opened."""
    first = Asking(lane, model.work(0))
    assert model.running.wait(10)
    return first


def test_what_waits_is_read_together_once_the_model_is_free() -> None:
    lane, model = Lane(8), Model(is_open=False)
    first = busy(lane, model)
    others = []
    for number in (1, 2, 3):
        others.append(Asking(lane, model.work(number)))
        until(lambda: lane.waiting == len(others))
    model.gate.set()
    assert [one.result() for one in (first, *others)] == [[0], [2], [4], [6]]
    assert model.read == [[0], [1, 2, 3]]
    assert (lane.batches, lane.rows, lane.waiting) == (2, 4, 0)


def test_an_idle_lane_reads_what_comes_at_once_and_alone() -> None:
    lane, model = Lane(8), Model()
    assert [lane.run(model.work(number)) for number in (1, 2)] == [[2], [4]]
    assert model.read == [[1], [2]]


def test_works_that_are_to_be_alone_are_alone() -> None:
    lane, model = Lane(8), Model(is_open=False)
    first = busy(lane, model)
    others = [Asking(lane, model.work(number, batch=ALONE)) for number in (1, 2)]
    until(lambda: lane.waiting == 2)
    model.gate.set()
    assert [one.result() for one in (first, *others)] == [[0], [2], [4]]
    assert sorted(model.read) == [[0], [1], [2]]


def test_models_are_not_mixed_and_run_one_at_a_time() -> None:
    lane, one, other = Lane(8), Model(is_open=False), Model()
    first = busy(lane, one)
    second, third = Asking(lane, other.work(5)), Asking(lane, one.work(6))
    until(lambda: lane.waiting == 2)
    assert other.read == []
    one.gate.set()
    assert [asking.result() for asking in (first, second, third)] == [[0], [10], [12]]


@pytest.mark.parametrize(("bad", "error"), [(13, ModelError), (14, InvalidInput)])
def test_a_bad_row_fails_alone(bad: int, error: type[Exception]) -> None:
    lane, model = Lane(8), Model(is_open=False)
    first = busy(lane, model)
    others = []
    for number in (1, bad, 3):
        others.append(Asking(lane, model.work(number)))
        until(lambda: lane.waiting == len(others))
    model.gate.set()
    found = [one.result() for one in (first, *others)]
    assert found[:2] + found[3:] == [[0], [2], [6]]
    assert isinstance(found[2], error)
    assert lane.run(model.work(4)) == [8]


def test_a_large_request_lets_others_between_its_parts() -> None:
    lane, model = Lane(8), Model(is_open=False)
    first = busy(lane, model)
    large = Asking(lane, model.work(*range(100, 130)))
    until(lambda: lane.waiting == 1)
    small = Asking(lane, model.work(1, batch=TOGETHER))
    until(lambda: lane.waiting == 2)
    model.gate.set()
    assert large.result() == [2 * number for number in range(100, 130)]
    assert (first.result(), small.result()) == ([0], [2])
    assert [len(numbers) for numbers in model.read] == [1, 10, 10, 10, 1]
    assert model.read[2][0] == 1


def test_a_part_that_fails_ends_the_whole_request() -> None:
    lane, model = Lane(8), Model()
    found = Asking(lane, model.work(*range(1, 31))).result()
    assert isinstance(found, ModelError)
    assert lane.is_idle
    assert lane.run(model.work(1)) == [2]


def test_the_next_is_refused_when_as_many_wait_as_may() -> None:
    lane, model = Lane(2), Model(is_open=False)
    model.pace.add(1.5, 1)
    model.pace.slowest = 0.0
    asking = [busy(lane, model), *(Asking(lane, model.work(1, batch=ALONE)) for _ in range(2))]
    until(lambda: lane.waiting == 2)
    with pytest.raises(Overloaded, match=r"2 requests wait here already, for about 4\.\d s, and no more are") as caught:
        lane.run(model.work(3))
    assert caught.value.headers == {"Retry-After": "5"}
    assert (lane.refused, lane.waiting) == (1, 2)
    model.gate.set()
    assert [one.result() for one in asking] == [[0], [2], [2]]


def test_more_may_wait_where_the_model_is_slow_for_some() -> None:
    """Requests of the size of the slowest would wait as long for one of their own kind."""
    lane, model = Lane(1), Model(is_open=False)
    model.pace.add(0.5, 10)
    model.pace.add(0.4, 2, 6, 2)
    assert model.pace.slowest == pytest.approx(0.49)
    asking = [busy(lane, model)]
    while not lane.refused:
        asking.append(Asking(lane, model.work(1, batch=ALONE)))
        until(lambda: lane.waiting + lane.refused == len(asking) - 1)
    assert 15 < lane.waiting < 25
    model.gate.set()
    assert [one.result() for one in asking[:-1]] == [[0]] + [[2]] * (len(asking) - 2)


def test_any_number_may_wait_that_is_through_soon() -> None:
    lane, model = Lane(2), Model(is_open=False)
    model.pace.add(0.001, 1)
    asking = [busy(lane, model), *(Asking(lane, model.work(1)) for _ in range(20))]
    until(lambda: lane.waiting == 20)
    model.gate.set()
    assert all(one.result() is not None for one in asking)
    assert lane.refused == 0


def test_what_cannot_be_done_in_time_is_refused_at_once() -> None:
    lane, model = Lane(8), Model(is_open=False)
    model.pace.add(3, 1)
    first = busy(lane, model)
    with pytest.raises(Overloaded, match=r"0 requests wait here already, for about 3\.0 s, longer than the request"):
        lane.run(model.work(1, patience=Patience(2)))
    model.gate.set()
    assert first.result() == [0]


def test_a_deadline_ends_the_wait_of_what_has_begun_too() -> None:
    lane, model = Lane(8), Model(is_open=False)
    with pytest.raises(DeadlineExceeded, match=r"within the request's 0.05 s"):
        lane.run(model.work(1, patience=Patience(0.05)))
    model.gate.set()
    until(lambda: lane.is_idle)
    assert lane.run(model.work(2)) == [4]


def test_what_nobody_waits_for_is_never_begun() -> None:
    lane, model = Lane(8), Model(is_open=False)
    first, patience = busy(lane, model), Patience()
    gone, late = Asking(lane, model.work(1, patience=patience)), Asking(lane, model.work(2, patience=Patience(0.05)))
    until(lambda: lane.waiting == 2)
    patience.hang_up()
    assert isinstance(gone.result(), CallerGone)
    assert isinstance(late.result(), DeadlineExceeded)
    model.gate.set()
    assert first.result() == [0]
    assert model.read == [[0]]
    with pytest.raises(DeadlineExceeded):
        lane.run(model.work(3, patience=Patience(0)))


def test_work_in_steps_ends_once_nobody_waits_for_it() -> None:
    lane, stepped, patiences = Lane(8), list[int](), [Patience(), Patience()]
    running = threading.Event()

    def steps(numbers: list[int]) -> list[int]:
        running.set()
        for step in range(10_000):
            lane.check()
            stepped.append(step)
            time.sleep(0.001)
        return numbers

    pace = Pace()
    blocking = busy(lane, model := Model(is_open=False))
    asking = [
        Asking(lane, Work("m", pace, steps, [Row(number)], TOGETHER, patience, "id"))
        for number, patience in enumerate(patiences)
    ]
    until(lambda: lane.waiting == 2)
    model.gate.set()
    assert blocking.result() == [0]
    assert running.wait(10)
    patiences[0].hang_up()
    assert isinstance(asking[0].result(), CallerGone)
    count = len(stepped)
    until(lambda: len(stepped) > count)
    patiences[1].hang_up()
    assert isinstance(asking[1].result(), CallerGone)
    until(lambda: lane.is_idle)
    assert len(stepped) < 10_000


def test_a_quick_model_runs_in_the_thread_that_asks() -> None:
    lane, model = Lane(8), Model()
    threads: list[str] = []

    def read(numbers: list[int]) -> list[int]:
        threads.append(threading.current_thread().name)
        return numbers

    for _ in range(2):
        lane.run(Work("m", model.pace, read, [Row(1)], TOGETHER, Patience(), "id"))
    assert threads == ["lane", threading.current_thread().name]


def test_what_cannot_run_at_once_is_left_alone() -> None:
    lane, model = Lane(8), Model()
    assert not lane.run_at_once(model.work(1))
    model.pace.add(QUICK_S / 2, 1)
    assert lane.run_at_once(model.work(1))
    assert not lane.run_at_once(model.work(*range(20, 26)))
    assert model.read == [[1]]


def test_a_model_that_was_slow_once_is_quick_again_after_a_while() -> None:
    pace = Pace()
    pace.add(0.5, 1)
    assert not pace.is_quick(1)
    for _ in range(300):
        pace.add(0.0001, 1)
    assert pace.is_quick(1)
    assert not pace.is_quick(100)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(st.integers(20, 1000), min_size=1, max_size=30), min_size=1, max_size=12))
def test_each_caller_gets_its_own(requests: list[list[int]]) -> None:
    lane, model = Lane(100), Model()
    asking = [Asking(lane, model.work(*numbers)) for numbers in requests]
    assert [one.result() for one in asking] == [[2 * number for number in numbers] for numbers in requests]
    assert lane.is_idle
