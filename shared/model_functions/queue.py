"""Where models run: one thread that owns the engines and all cores, and reads the rows of waiting requests together.

An idle instance adds no delay: what comes is begun at once, and alone. While it runs, others arrive; what of them can
be read together is the next batch. What takes no longer than to wake the thread is run by whoever asks.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

from model_functions import logs
from model_functions.caller import Caller
from model_functions.errors import CallerGone, ModelError, Overloaded, ServingError
from model_functions.metrics import ROWS, SECONDS, Histogram
from model_functions.pace import QUICK_S, SHORT_S, Pace
from model_functions.rows import Batch, Collector, Row
from model_functions.tracing import Trace

log = logging.getLogger(__name__)

#: How works are read that nothing is read together with.
ALONE = Batch(0, 1)

#: Instead of what would have to wait.
LATER = object()
#: However many may wait that are expected to be begun so soon,
SOON_S = 0.1
#: or in this many times what the slowest take: beyond, more would only wait longer, and no more be done.
PATIENT = 2

#: What runs so much longer than expected is taken to need as long again as it is late already, and is stuck if nobody
#: waits for it any more,
LATE_S = 1.0
#: or once it is so late: the others wait for it no longer.
STUCK_S = 30.0
#: How often those who wait look whether it is.
_LOOK_S = 5.0
#: The longest that anybody is told to wait for what is stuck: nobody knows.
_MAX_RETRY_S = 60


@dataclass(eq=False)
class Work:
    """What a request wants of a model's engine.

    Args:
        name: of the model, for messages.
        pace: the model's.
        read: the outputs of rows, for their features; of this work and of others with the same ``batch``.
        batch: what may be read at once; ALONE: this work's rows one by one.
        request_id: for the log.
        belonging: for the log, what ``logs.enter`` takes.
    """

    name: str
    pace: Pace
    read: Callable[[list[Any]], list[Any]]
    rows: Sequence[Row]
    batch: Batch
    caller: Caller
    request_id: str
    belonging: tuple[Mapping[str, str], Trace | None] = field(default=({}, None), kw_only=True)
    outputs: list[Any] = field(init=False)
    asked: float = 0.0
    began: float = 0.0
    ended: float = 0.0

    def __post_init__(self) -> None:
        self.asked = time.perf_counter()
        self.size = sum(row.size for row in self.rows)
        self.outputs = [None] * len(self.rows)
        self._left = sorted(range(len(self.rows)), key=lambda place: -self.rows[place].size)
        self._open = len(self.rows)
        self._error: ServingError | None = None
        self._told: Callable[[], None] | None = None
        self._queue: WorkQueue

    def taken(self, collector: Collector) -> list[int]:
        """The places of the rows that are read now."""
        taken = list[int]()
        for place in self._left:
            if collector.full:
                break
            if collector.takes(self.rows[place]):
                taken.append(place)
        done = set(taken)
        self._left = [place for place in self._left if place not in done]
        return taken

    @property
    def first(self) -> Row:
        return self.rows[self._left[0]]

    @property
    def begun(self) -> bool:
        """Whether all rows are read, or being read."""
        return not self._left

    def answered(self, places: list[int], outputs: list[Any]) -> None:
        for place, output in zip(places, outputs, strict=True):
            self.outputs[place] = output
        self._open -= len(places)
        if not self._open:
            self._settle()

    def failed(self, error: ServingError) -> None:
        self._error, self._left = error, []
        self._settle()

    def result(self) -> list[Any]:
        if self._error is not None:
            raise self._error
        return self.outputs

    def entered(self, queue: WorkQueue) -> None:
        self._queue = queue

    def wait(self) -> None:
        """Until it is settled: with its outputs, or with what is raised instead of them."""
        self._queue.wait(self)

    def help(self) -> None:
        """For an event loop that waits for it."""
        self._queue.run_short()

    def when_settled(self, told: Callable[[], None]) -> None:
        """Calls ``told`` then, perhaps twice, in whatever thread settles it."""
        self._told = told
        if self.is_settled:
            told()

    @property
    def is_wanted(self) -> bool:
        return self.caller.remaining() > 0

    @property
    def is_settled(self) -> bool:
        return self._error is not None or not self._open

    def _settle(self) -> None:
        self.ended = time.perf_counter()
        if self._told is not None:
            self._told()


class WorkQueue:
    """One for all models of an instance.

    Args:
        max_waiting: works beyond which the next is refused, unless it would be begun soon.
    """

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._waiting: list[Work] = []
        self._busy = False
        #: What is known of what runs, if anything does. Whoever ends another turn has been stuck.
        self._turn = 0
        self._running: list[Work] = []
        self._began = self._free_at = 0.0
        self._pace: Pace | None = None
        self._holder: threading.Thread | None = None
        self._mine = threading.local()
        self._stuck: dict[Pace, float] = {}
        self._runner: threading.Thread | None = None
        self.sizes, self.waits = Histogram(ROWS), Histogram(SECONDS)
        """Of what was read at once, in rows; of what works waited, in seconds."""
        self.refusals = {"deadline": 0, "full": 0, "stuck": 0}

    @property
    def batches(self) -> int:
        return self.sizes.count

    @property
    def rows(self) -> int:
        return int(self.sizes.sum)

    @property
    def refused(self) -> int:
        return sum(self.refusals.values())

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def is_idle(self) -> bool:
        with self._lock:
            return not self._busy and not self._waiting

    @property
    def stuck_s(self) -> float:
        """Seconds since something began to run that is stuck; 0 where nothing is."""
        with self._lock:
            self._look()
            return time.perf_counter() - min(self._stuck.values()) if self._stuck else 0.0

    def check(self) -> None:
        """For what runs, between its steps: raises CallerGone once nobody waits for it any more."""
        if not any(work.is_wanted for work in self._mine.running):
            raise CallerGone("Nobody waits for the answer any more.")

    def at_once(self, pace: Pace, rows: int, size: int, call: Callable[[], Any]) -> Any:
        """What the call returns, if it is quick and nothing else runs; else LATER, and nothing has been called."""
        with self._lock:
            if self._busy or self._waiting or not pace.is_quick(size) or pace in self._stuck:
                return LATER
            started = time.perf_counter()
            turn = self._take(pace, started, started + QUICK_S)
        try:
            found = call()
            pace.ran(time.perf_counter() - started, size)
            self.sizes.add(rows)
        finally:
            self._end(turn, pace)
        return found

    def run(self, work: Work, *, admitted: bool = False) -> list[Any]:
        """The work's outputs, once it is its turn; waits for it.

        Args:
            admitted: it goes on with what has been let in before.

        Raises Overloaded, DeadlineExceeded, CallerGone, ModelError, and what the model's wrapper means to raise.
        """
        self.enter(work, admitted=admitted)
        self.wait(work)
        return work.result()

    def check_room(self, name: str, pace: Pace, caller: Caller) -> None:
        """Refuses at once what ``enter`` would refuse, however little it is. Raises Overloaded."""
        with self._lock:
            self._look()
            self._check_stuck(name, pace)
            self._admit(pace, 0, caller)

    def enter(self, work: Work, *, admitted: bool = False) -> None:
        """Puts the work behind the others. Raises Overloaded, DeadlineExceeded, CallerGone."""
        work.caller.check()
        with self._lock:
            self._look()
            self._check_stuck(work.name, work.pace)
            if not admitted:
                self._admit(work.pace, work.size, work.caller)
            self._waiting.append(work)
        work.entered(self)

    def start(self) -> None:
        """Sees to it that what waits is run, for somebody who does not wait for it."""
        with self._lock:
            self._wake()

    def wait(self, work: Work) -> None:
        """Until the work, which has entered, is settled, or its caller does not wait any more."""
        settled = threading.Event()
        work.when_settled(settled.set)
        with self._lock:
            self._wake()
        while not work.is_settled:
            work.caller.wait(settled, _LOOK_S)
            self.give_up(work)

    def give_up(self, work: Work) -> None:
        """Takes a work that nobody waits for any more out of the queue; it fails by what made its caller go."""
        if work.is_settled:
            return
        try:
            work.caller.check()
        except ServingError as error:
            self._fail(work, error)
        with self._lock:
            self._look()

    def is_short(self, work: Work) -> bool:
        """Whether an event loop may wait for the work, and for all that is before it."""
        with self._lock:
            overdue = self._busy and self._free_at <= time.perf_counter()
            known = work.pace.is_short and not overdue
            return known and self._seconds_until_free() + work.pace.expected(work.size) <= SOON_S

    def run_short(self) -> None:
        """Runs what waits in this thread, an event loop's, if it is short; else sees to it that it runs elsewhere."""
        with self._lock:
            if self._busy or not self._waiting:
                return
            if not all(work.pace.is_short for work in self._waiting) or self._seconds_until_free() > SHORT_S:
                self._wake()
                return
            turn, parts = self._begin()
        self._run(turn, parts)

    def _wake(self) -> None:
        if self._runner is None:
            # Not before: a thread of the process that this one was forked from would not be here.
            self._runner = threading.Thread(target=self._run_forever, name="queue", daemon=True)
            self._runner.start()
        self._arrived.notify()

    def _check_stuck(self, name: str, pace: Pace) -> None:
        if pace in self._stuck:
            raise self._refusal_of_the_stuck(name, pace)

    def _admit(self, pace: Pace, size: int, caller: Caller) -> None:
        seconds = self._seconds_until_free()
        count = len(self._waiting)
        late = seconds + pace.expected(size) > caller.remaining()
        soon = max(SOON_S, PATIENT * pace.slowest)
        if late or (count >= self._max_waiting and seconds > soon):
            self.refusals["deadline" if late else "full"] += 1
            after = max(1, math.ceil(seconds))
            what = "longer than the request allows" if late else "and no more are taken"
            raise Overloaded(
                f"{count} requests wait here already, for about {seconds:.1f} s, {what}. Ask again in {after} s.",
                retry_after=after,
            )

    def _seconds_until_free(self) -> float:
        waiting = sum(work.pace.expected(work.size) for work in self._waiting)
        if not self._busy:
            return waiting
        running = self._free_at - time.perf_counter()
        return waiting + (-running if running < -LATE_S else max(0.0, running))

    def _run_forever(self) -> None:
        while True:
            with self._lock:
                if self._runner is not threading.current_thread():
                    # It was stuck, and another has taken its place.
                    return
                while self._busy or not self._waiting:
                    self._arrived.wait()
                turn, parts = self._begin()
            self._run(turn, parts)
            # Else what was asked last would stay in memory until something else is.
            del parts

    def _begin(self) -> tuple[int, list[tuple[Work, list[int]]]]:
        """What runs now; it may be nothing."""
        for work in [work for work in self._waiting if not work.is_wanted]:
            self._waiting.remove(work)
            self._drop(work)
        parts = self._next() if self._waiting else []
        if not parts:
            return 0, []
        pace, now = parts[0][0].pace, time.perf_counter()
        size = sum(work.rows[place].size for work, places in parts for place in places)
        turn = self._take(pace, now, now + pace.expected(size))
        self._running, self._holder = [work for work, _ in parts], threading.current_thread()
        return turn, parts

    def _take(self, pace: Pace, began: float, free_at: float) -> int:
        self._busy, self._holder = True, None
        self._pace, self._began, self._free_at = pace, began, free_at
        self._turn += 1
        return self._turn

    def _end(self, turn: int, pace: Pace) -> None:
        with self._lock:
            if turn != self._turn:
                began = self._stuck.pop(pace, 0.0)
                log.warning("what was stuck went on after %.0f s", time.perf_counter() - began)
                return
            self._busy, self._running = False, []
            if self._waiting:
                self._wake()

    def _look(self) -> None:
        """Leaves what is stuck to its thread, and the others to another one."""
        if not self._busy or self._pace is None:
            return
        late = time.perf_counter() - self._free_at
        wanted = not self._running or any(work.is_wanted for work in self._running)
        if late <= LATE_S or (wanted and late <= STUCK_S):
            return
        name = self._running[0].name if self._running else "a model"
        log.error("%s is stuck", name, extra={"fields": {"model": name, "seconds": round(late, 1)}})
        self._stuck[self._pace] = self._began
        if self._runner is self._holder:
            self._runner = None
        self._turn += 1
        self._busy, self._running = False, []
        for work in [work for work in self._waiting if work.pace in self._stuck]:
            self._waiting.remove(work)
            work.failed(self._refusal_of_the_stuck(work.name, work.pace))
        if self._waiting:
            self._wake()

    def _refusal_of_the_stuck(self, name: str, pace: Pace) -> Overloaded:
        self.refusals["stuck"] += 1
        seconds = math.ceil(time.perf_counter() - self._stuck[pace])
        after = min(seconds, _MAX_RETRY_S)
        return Overloaded(
            f"{name} has been busy with one request for {seconds} s, and takes no other. Ask again in {after} s.",
            retry_after=after,
        )

    def _drop(self, work: Work) -> None:
        try:
            work.caller.check()
        except ServingError as error:
            work.failed(error)

    def _next(self) -> list[tuple[Work, list[int]]]:
        """The works that run now, the one that has waited longest first, and the places of their rows."""
        head = self._waiting[0]
        collector = Collector(head.batch, head.first)
        parts = [(head, head.taken(collector))]
        for work in self._waiting[1:]:
            if collector.full:
                break
            if work.pace is head.pace and (places := work.taken(collector)):
                parts.append((work, places))
        # What is not read whole goes behind the others: a large request keeps nobody waiting for all of it.
        rest = [work for work in self._waiting[1:] if not work.begun]
        self._waiting = rest if head.begun else [*rest, head]
        return parts

    def _leave(self, work: Work) -> None:
        with self._lock:
            if work in self._waiting:
                self._waiting.remove(work)

    def _fail(self, work: Work, exc: BaseException) -> None:
        self._leave(work)
        # What was raised in another thread must not hold what the model was reading.
        known = exc.again() if isinstance(exc, ServingError) else Context().run(_unforeseen, work, exc)
        work.failed(known)

    def _run(self, turn: int, parts: list[tuple[Work, list[int]]]) -> None:
        if parts:
            self._read(parts)
            # Else this thread would hold the model until it runs something else, also one that was evicted meanwhile.
            self._mine.running = []
            self._end(turn, parts[0][0].pace)

    def _read(self, parts: list[tuple[Work, list[int]]]) -> None:
        """Reads the rows together; where that fails, those of each work alone, so that one spoils no other."""
        features = [work.rows[place].features for work, places in parts for place in places]
        started = time.perf_counter()
        self._mine.running = [work for work, _ in parts]
        for work, _ in parts:
            if not work.began:
                work.began = started
                self.waits.add(started - work.asked)
        try:
            outputs = parts[0][0].read(features)
            if len(outputs) != len(features):
                raise ValueError(f"{len(outputs)} outputs for {len(features)} rows")
        except BaseException as exc:  # noqa: BLE001 - told to who asked
            # A model may raise anything, SystemExit included; the instance goes on.
            for part in parts:
                if len(parts) > 1 and part[0].is_wanted:
                    self._read([part])
                else:
                    self._fail(part[0], exc)
            return
        sizes = [sum(work.rows[place].size for place in places) for work, places in parts]
        parts[0][0].pace.ran(time.perf_counter() - started, *sizes)
        self.sizes.add(len(features))
        for work, places in parts:
            work.answered(places, outputs[: len(places)])
            outputs = outputs[len(places) :]


def _unforeseen(work: Work, exc: BaseException) -> ModelError:
    logs.enter(*work.belonging)
    return unforeseen(work.name, work.request_id, exc)


def unforeseen(model: str, request_id: str, exc: BaseException) -> ModelError:
    """What a model was not meant to raise, for its caller; the log has the rest."""
    log.error("predict failed", exc_info=exc, extra={"fields": {"request_id": request_id, "model": model}})
    return ModelError(f"{model} failed on this input. The function's log has the reason under this request id.")
