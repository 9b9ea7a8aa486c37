import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_functions import queue as queues
from model_functions.caller import Caller
from model_functions.errors import CallerGone, DeadlineExceeded, InvalidInput, ModelError, Overloaded, ServingError
from model_functions.pace import QUICK_S, SHORT_S, Pace
from model_functions.queue import ALONE, LATER, Work, WorkQueue
from model_functions.rows import Batch, Row

TOGETHER = Batch(100, 10)


class Model:
    """Doubles numbers, once the gate is open; keeps what it was given at a time."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.pace = Pace()
        self.pace.ran(1, 1)
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

    def work(self, *numbers: int, batch: Batch = TOGETHER, caller: Caller | None = None) -> Work:
        rows = [Row(number) for number in numbers]
        return Work("doubles", self.pace, self, rows, batch, caller or Caller(), "id")


class Asking(threading.Thread):
    """Somebody who waits for a work's outputs."""

    def __init__(self, queue: WorkQueue, work: Work) -> None:
        super().__init__(daemon=True)
        self.queue, self.work = queue, work
        self.outcome: Any = None
        self.start()

    def run(self) -> None:
        try:
            self.outcome = self.queue.run(self.work)
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


def busy(queue: WorkQueue, model: Model) -> Asking:
    """Somebody for whom the model runs until its gate is opened."""
    first = Asking(queue, model.work(0))
    assert model.running.wait(10)
    return first


def test_what_waits_is_read_together_once_the_model_is_free() -> None:
    queue, model = WorkQueue(8), Model(is_open=False)
    first = busy(queue, model)
    others = []
    for number in (1, 2, 3):
        others.append(Asking(queue, model.work(number)))
        until(lambda: queue.waiting == len(others))
    model.gate.set()
    assert [one.result() for one in (first, *others)] == [[0], [2], [4], [6]]
    assert model.read == [[0], [1, 2, 3]]
    assert (queue.batches, queue.rows, queue.waiting) == (2, 4, 0)


def test_an_idle_lane_reads_what_comes_at_once_and_alone() -> None:
    queue, model = WorkQueue(8), Model()
    assert [queue.run(model.work(number)) for number in (1, 2)] == [[2], [4]]
    assert model.read == [[1], [2]]


def test_works_that_are_to_be_alone_are_alone() -> None:
    queue, model = WorkQueue(8), Model(is_open=False)
    first = busy(queue, model)
    others = [Asking(queue, model.work(number, batch=ALONE)) for number in (1, 2)]
    until(lambda: queue.waiting == 2)
    model.gate.set()
    assert [one.result() for one in (first, *others)] == [[0], [2], [4]]
    assert sorted(model.read) == [[0], [1], [2]]


def test_models_are_not_mixed_and_run_one_at_a_time() -> None:
    queue, one, other = WorkQueue(8), Model(is_open=False), Model()
    first = busy(queue, one)
    second, third = Asking(queue, other.work(5)), Asking(queue, one.work(6))
    until(lambda: queue.waiting == 2)
    assert other.read == []
    one.gate.set()
    assert [asking.result() for asking in (first, second, third)] == [[0], [10], [12]]


@pytest.mark.parametrize(("bad", "error"), [(13, ModelError), (14, InvalidInput)])
def test_a_bad_row_fails_alone(bad: int, error: type[Exception]) -> None:
    queue, model = WorkQueue(8), Model(is_open=False)
    first = busy(queue, model)
    others = []
    for number in (1, bad, 3):
        others.append(Asking(queue, model.work(number)))
        until(lambda: queue.waiting == len(others))
    model.gate.set()
    found = [one.result() for one in (first, *others)]
    assert found[:2] + found[3:] == [[0], [2], [6]]
    assert isinstance(found[2], error)
    assert queue.run(model.work(4)) == [8]


def test_a_large_request_lets_others_between_its_parts() -> None:
    queue, model = WorkQueue(8), Model(is_open=False)
    first = busy(queue, model)
    large = Asking(queue, model.work(*range(100, 130)))
    until(lambda: queue.waiting == 1)
    small = Asking(queue, model.work(1, batch=TOGETHER))
    until(lambda: queue.waiting == 2)
    model.gate.set()
    assert large.result() == [2 * number for number in range(100, 130)]
    assert (first.result(), small.result()) == ([0], [2])
    assert [len(numbers) for numbers in model.read] == [1, 10, 10, 10, 1]
    assert model.read[2][0] == 1


def test_a_part_that_fails_ends_the_whole_request() -> None:
    queue, model = WorkQueue(8), Model()
    found = Asking(queue, model.work(*range(1, 31))).result()
    assert isinstance(found, ModelError)
    until(lambda: queue.is_idle)
    assert queue.run(model.work(1)) == [2]


def test_the_next_is_refused_when_as_many_wait_as_may() -> None:
    queue, model = WorkQueue(2), Model(is_open=False)
    model.pace.ran(1.5, 1)
    model.pace.slowest = 0.0
    asking = [busy(queue, model), *(Asking(queue, model.work(1, batch=ALONE)) for _ in range(2))]
    until(lambda: queue.waiting == 2)
    with pytest.raises(Overloaded, match=r"2 requests wait here already, for about 4\.\d s, and no more are") as caught:
        queue.run(model.work(3))
    assert caught.value.headers == {"Retry-After": "5"}
    assert (queue.refused, queue.waiting) == (1, 2)
    model.gate.set()
    assert [one.result() for one in asking] == [[0], [2], [2]]


def test_more_may_wait_where_the_model_is_slow_for_some() -> None:
    """Requests of the size of the slowest would wait as long for one of their own kind."""
    queue, model = WorkQueue(1), Model(is_open=False)
    model.pace.ran(0.5, 10)
    model.pace.ran(0.4, 2, 6, 2)
    assert model.pace.slowest == pytest.approx(0.49)
    asking = [busy(queue, model)]
    while not queue.refused:
        asking.append(Asking(queue, model.work(1, batch=ALONE)))
        until(lambda: queue.waiting + queue.refused == len(asking) - 1)
    assert 15 < queue.waiting < 25
    model.gate.set()
    assert [one.result() for one in asking[:-1]] == [[0]] + [[2]] * (len(asking) - 2)


def test_any_number_may_wait_that_is_through_soon() -> None:
    queue, model = WorkQueue(2), Model(is_open=False)
    model.pace.ran(0.001, 1)
    asking = [busy(queue, model), *(Asking(queue, model.work(1)) for _ in range(20))]
    until(lambda: queue.waiting == 20)
    model.gate.set()
    assert all(one.result() is not None for one in asking)
    assert queue.refused == 0


def test_what_cannot_be_done_in_time_is_refused_at_once() -> None:
    queue, model = WorkQueue(8), Model(is_open=False)
    model.pace.ran(3, 1)
    first = busy(queue, model)
    with pytest.raises(Overloaded, match=r"0 requests wait here already, for about 3\.0 s, longer than the request"):
        queue.run(model.work(1, caller=Caller(2)))
    model.gate.set()
    assert first.result() == [0]


def test_a_deadline_ends_the_wait_of_what_has_begun_too() -> None:
    queue, model = WorkQueue(8), Model(is_open=False)
    with pytest.raises(DeadlineExceeded, match=r"within the request's 0.05 s"):
        queue.run(model.work(1, caller=Caller(0.05)))
    model.gate.set()
    until(lambda: queue.is_idle)
    assert queue.run(model.work(2)) == [4]


def test_what_nobody_waits_for_is_never_begun() -> None:
    queue, model = WorkQueue(8), Model(is_open=False)
    first, caller = busy(queue, model), Caller()
    gone, late = Asking(queue, model.work(1, caller=caller)), Asking(queue, model.work(2, caller=Caller(0.05)))
    until(lambda: queue.waiting == 2)
    caller.hang_up()
    assert isinstance(gone.result(), CallerGone)
    assert isinstance(late.result(), DeadlineExceeded)
    model.gate.set()
    assert first.result() == [0]
    assert model.read == [[0]]
    with pytest.raises(DeadlineExceeded):
        queue.run(model.work(3, caller=Caller(0)))


def test_work_in_steps_ends_once_nobody_waits_for_it() -> None:
    queue, stepped, callers = WorkQueue(8), list[int](), [Caller(), Caller()]
    running = threading.Event()

    def steps(numbers: list[int]) -> list[int]:
        running.set()
        for step in range(10_000):
            queue.check()
            stepped.append(step)
            time.sleep(0.001)
        return numbers

    pace = Pace()
    blocking = busy(queue, model := Model(is_open=False))
    asking = [
        Asking(queue, Work("m", pace, steps, [Row(number)], TOGETHER, caller, "id"))
        for number, caller in enumerate(callers)
    ]
    until(lambda: queue.waiting == 2)
    model.gate.set()
    assert blocking.result() == [0]
    assert running.wait(10)
    callers[0].hang_up()
    assert isinstance(asking[0].result(), CallerGone)
    count = len(stepped)
    until(lambda: len(stepped) > count)
    callers[1].hang_up()
    assert isinstance(asking[1].result(), CallerGone)
    until(lambda: queue.is_idle)
    assert len(stepped) < 10_000


def test_what_cannot_run_at_once_is_left_alone() -> None:
    queue, model = WorkQueue(8), Model()

    def asked(size: int) -> Any:
        return queue.at_once(model.pace, 1, size, lambda: model([size]))

    assert asked(1) is LATER
    model.pace.ran(QUICK_S / 2, 1)
    assert asked(1) == [2]
    assert asked(1000) is LATER
    with pytest.raises(InvalidInput):
        queue.at_once(model.pace, 1, 1, lambda: model([14]))
    until(lambda: queue.is_idle)
    model.gate.clear()
    first = busy(queue, model)
    assert asked(1) is LATER
    model.gate.set()
    assert first.result() == [0]
    assert model.read == [[1], [14], [0]]


class Waiting:
    """What an event loop has of a work that it waits for."""

    def __init__(self, queue: WorkQueue, work: Work) -> None:
        self.work, self.told = work, list[str]()
        queue.enter(work)
        work.when_settled(lambda: self.told.append(threading.current_thread().name))


def short(model: Model) -> Model:
    for _ in range(50):
        model.pace.ran(SHORT_S / 10, 10)
    return model


def test_an_event_loop_runs_together_what_has_arrived_there() -> None:
    queue, model = WorkQueue(8), short(Model())
    waiting = [Waiting(queue, model.work(number)) for number in (1, 2, 3)]
    assert model.read == []
    for one in waiting:
        one.work.help()
    assert model.read == [[1, 2, 3]]
    assert [one.work.result() for one in waiting] == [[2], [4], [6]]
    assert [set(one.told) for one in waiting] == [{threading.current_thread().name}] * 3


def test_an_event_loop_leaves_what_takes_longer_to_the_queues_own_thread() -> None:
    queue, model = WorkQueue(100), short(Model())
    waiting = [Waiting(queue, model.work(*range(100, 140))) for _ in range(4)]
    waiting[0].work.help()
    until(lambda: all(one.told for one in waiting))
    assert {name for one in waiting for name in one.told} == {"queue"}
    assert [one.work.result() for one in waiting] == [[2 * number for number in range(100, 140)]] * 4


@pytest.mark.parametrize("on_loop", [True, False], ids=["event loop", "own thread"])
def test_nothing_holds_a_model_that_has_run(on_loop: bool) -> None:
    queue, model = WorkQueue(8), short(Model()) if on_loop else Model()
    work = model.work(1)
    if on_loop:
        queue.enter(work)
        queue.run_short()
    else:
        queue.run(work)
    assert work.result() == [2]
    gone = weakref.ref(model)
    del work, model
    until(lambda: gone() is None)


def test_an_event_loop_does_not_wait_for_what_is_slow_or_behind_it() -> None:
    queue, slow, model = WorkQueue(8), Model(is_open=False), short(Model())
    assert not queue.is_short(slow.work(1))
    assert queue.is_short(model.work(1))
    assert not queue.is_short(model.work(*range(100, 5100)))
    first = busy(queue, slow)
    assert not queue.is_short(model.work(1)), "nobody knows how long a first run takes"
    slow.gate.set()
    assert first.result() == [0]


def test_a_model_that_was_slow_once_is_quick_again_after_a_while() -> None:
    pace = Pace()
    pace.ran(9, 1)
    assert (pace.expected(1), pace.slowest) == (0, 0), "a first run tells nothing"
    pace.ran(0.5, 1)
    assert not pace.is_quick(1)
    for _ in range(300):
        pace.ran(0.0001, 1)
    assert pace.is_quick(1)
    assert not pace.is_quick(100)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(st.integers(20, 1000), min_size=1, max_size=30), min_size=1, max_size=12))
def test_each_caller_gets_its_own(requests: list[list[int]]) -> None:
    queue, model = WorkQueue(100), Model()
    asking = [Asking(queue, model.work(*numbers)) for numbers in requests]
    assert [one.result() for one in asking] == [[2 * number for number in numbers] for numbers in requests]
    until(lambda: queue.is_idle)


def test_a_work_whose_caller_is_gone_is_never_begun() -> None:
    queue, model, told = WorkQueue(8), Model(is_open=False), list[str]()
    first = busy(queue, model)
    caller = Caller()
    gone = model.work(1, caller=caller)
    # As an event loop does it: no thread waits that would take it out.
    queue.enter(gone)
    gone.when_settled(lambda: told.append("gone"))
    caller.hang_up()
    model.gate.set()
    assert first.result() == [0]
    until(lambda: bool(told))
    with pytest.raises(CallerGone):
        gone.result()
    assert model.read == [[0]]


def test_what_a_caller_gives_up_leaves_the_queue() -> None:
    queue, model, caller = WorkQueue(8), Model(is_open=False), Caller()
    first = busy(queue, model)
    work = model.work(1, caller=caller)
    queue.enter(work)
    queue.give_up(work)
    assert queue.waiting == 1
    caller.hang_up()
    queue.give_up(work)
    assert queue.waiting == 0
    with pytest.raises(CallerGone):
        work.result()
    model.gate.set()
    assert first.result() == [0]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "LATE_S", 0.05)
    monkeypatch.setattr(queues, "STUCK_S", 0.2)
    monkeypatch.setattr(queues, "_LOOK_S", 0.02)


def quick(model: Model) -> Model:
    """Its first run told nothing, the second one does."""
    model.pace.ran(0.001, 1)
    return model


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("hangs_up", [True, False])
def test_a_model_that_is_stuck_is_refused_and_the_others_go_on(hangs_up: bool) -> None:
    queue, stuck, other = WorkQueue(8), quick(Model(is_open=False)), quick(Model())
    caller = Caller()
    first = Asking(queue, stuck.work(0, caller=caller))
    assert stuck.running.wait(10)
    second, third = Asking(queue, stuck.work(1)), Asking(queue, other.work(2))
    if hangs_up:
        caller.hang_up()
        assert isinstance(first.result(), CallerGone)
    assert third.result() == [4]
    refusal = second.result()
    assert isinstance(refusal, Overloaded)
    assert refusal.message == "doubles has been busy with one request for 1 s, and takes no other. Ask again in 1 s."
    assert refusal.headers == {"Retry-After": "1"}
    assert queue.stuck_s > 0
    for admitted in (True, False):
        with pytest.raises(Overloaded):
            queue.run(stuck.work(3), admitted=admitted)
    assert queue.at_once(stuck.pace, 1, 1, lambda: 0) is LATER
    assert queue.run(other.work(4)) == [8]
    stuck.gate.set()
    assert hangs_up or first.result() == [0]
    until(lambda: queue.stuck_s == 0)
    assert queue.run(stuck.work(5)) == [10]
    assert sum(thread.name == "queue" and thread.is_alive() for thread in threading.enumerate()) >= 1


@pytest.mark.usefixtures("impatient")
def test_a_call_at_once_that_is_stuck_leaves_the_others_their_turn() -> None:
    queue, stuck, other, begun, gate = WorkQueue(8), Model(), quick(Model()), threading.Event(), threading.Event()
    for _ in range(50):
        stuck.pace.ran(QUICK_S / 10, 1)

    def call() -> str:
        begun.set()
        gate.wait(10)
        return "late"

    late = list[Any]()
    thread = threading.Thread(target=lambda: late.append(queue.at_once(stuck.pace, 1, 1, call)), daemon=True)
    thread.start()
    assert begun.wait(10)
    assert queue.run(other.work(1)) == [2]
    gate.set()
    thread.join(10)
    assert late == ["late"]
    assert queue.stuck_s == 0
    until(lambda: queue.is_idle)


def test_who_asks_behind_what_is_late_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "LATE_S", 0.01)
    queue, model = WorkQueue(1), quick(Model(is_open=False))
    first = busy(queue, model)
    time.sleep(1.1)
    second = Asking(queue, model.work(1))
    until(lambda: queue.waiting == 1)
    with pytest.raises(Overloaded, match=r"for about 1\.\d s, and no more are taken. Ask again in 2 s\."):
        queue.run(model.work(2))
    model.gate.set()
    assert (first.result(), second.result()) == ([0], [2])
