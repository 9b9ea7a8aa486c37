"""What is written down of each request once it is answered: counted, logged, and handed on as a span.

A request only leaves itself here. An event loop's are written down together, in its next round, or under load a little
later: in the midst of answering each would take three times as long, and each write wakes whoever reads the log. So are
those of a server's threads under load: at each write another one of them would take the interpreter.
"""

import atexit
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from model_functions import logs, spans
from model_functions.http.message import Request
from model_functions.metrics import Metrics

#: Seconds that are waited under load, and requests of a loop.
TOGETHER_S = 0.02
TOGETHER = 64

#: Beginnings of lines that are remembered.
MOST = 1024


class Loop(Protocol):
    """An event loop, of whichever library."""

    def call_soon(self, call: Callable[[], None], /) -> object: ...

    def call_later(self, seconds: float, call: Callable[[], None], /) -> object: ...


#: What many requests have in common: whose they are, route, model, status, error's code, revision, caller, method,
#: trouble.
Kind = tuple["Observer", str, str, int, str | None, str | None, str | None, str, str]

#: A request: its kind, id, seconds, ``Server-Timing``, when it ended, ``traceparent``, and what else it belongs to. Not
#: the request itself: what it holds would be in the way of the next ones.
Answered = tuple[Kind, str, float, str, float, str | None, str]


class Observer:
    """One front door's.

    Args:
        log: whose lines they are.
        family: whose requests they are; None: of several.
    """

    def __init__(self, log: logging.Logger, metrics: Metrics, family: str | None) -> None:
        self._log = log
        self._metrics = metrics
        self._family = family
        self._heads: dict[Kind, str] = {}

    def ended(self, request: Request, status: int, headers: Mapping[str, str], timing: str) -> None:
        ended = time.perf_counter()
        get, trace = request.headers.get, request.trace
        parent, execution = get("traceparent"), get("function-execution-id")
        belonging = ""
        if trace is not None or execution is not None or parent is None:
            belonging, parent = logs.context(request.headers, trace), None
        kind = (
            self,
            request.route,
            request.served,
            status,
            headers.get("X-Error-Code"),
            headers.get("X-Model-Revision"),
            request.identity.name,
            request.method,
            request.trouble,
        )
        one = kind, request.id, ended - request.came, timing, ended, parent, belonging
        if not (_collectors and _collectors[0].takes(one)):
            logs.write(told([one], time.time() - ended))
        if "load" in request.phases.milliseconds and status < 400:
            self._metrics.cold_start(request.phases.milliseconds, ended - request.came)
        if trace is not None and trace.sampled:
            spans.ended(request, status, self._about(kind), ended, time.time() - ended)

    def count(self, kind: Kind, seconds: list[float]) -> None:
        """Args: seconds: of each of the requests."""
        _, route, model, status, code, *_ = kind
        self._metrics.requests(route, model, status, seconds, code)

    def head(self, kind: Kind) -> str:
        """What the requests' lines begin with; an empty text where they have none of ours."""
        level = _level(kind)
        if logs.is_the_sites() or not self._log.isEnabledFor(level):
            return ""
        head = self._heads.get(kind)
        if head is None:
            if len(self._heads) == MOST:
                self._heads.clear()
            _, route, _, status, _, _, _, method, trouble = kind
            head = logs.head(level, self._log.name, method[:10], route, status, self._about(kind), trouble)
            self._heads[kind] = head
        return head

    def leave_to_the_site(self, kind: Kind, request_id: str, seconds: float) -> None:
        _, route, _, status, _, _, _, method, _ = kind
        told = {name: value for name, value in self._about(kind) if value} | {"request_id": request_id}
        self._log.log(_level(kind), "%s %s %d in %.1f ms", method[:10], route, status, seconds * 1000, extra=told)

    def _about(self, kind: Kind) -> tuple[tuple[str, str | None], ...]:
        _, _, model, _, code, revision, caller, _, _ = kind
        fields = ("family", self._family), ("model", model), ("revision", revision), ("error", code)
        return (*fields, ("caller", caller))


def _level(kind: Kind) -> int:
    status = kind[3]
    return logging.INFO if status < 500 else logging.ERROR if status == 500 else logging.WARNING


def told(some: Iterable[Answered], zero: float) -> str:
    """The requests' lines, once they are counted. Args: zero: when the requests' clock was 0, since 1970."""
    lines: list[str] = []
    alike: dict[Kind, tuple[str, list[float]]] = {}
    for kind, request_id, seconds, timing, ended, parent, belonging in some:
        found = alike.get(kind)
        if found is None:
            found = alike[kind] = kind[0].head(kind), []
        head, all_seconds = found
        all_seconds.append(seconds)
        if head:
            context = belonging if parent is None else logs.of_parent(parent)
            lines.append(logs.request_line(head, request_id, seconds, timing, zero + ended, context))
        elif logs.is_the_sites():
            kind[0].leave_to_the_site(kind, request_id, seconds)
    for kind, (_, all_seconds) in alike.items():
        kind[0].count(kind, all_seconds)
    return "".join(lines)


class _OfLoop:
    """Those of an event loop's thread."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._thread = threading.get_ident()
        self._waiting: list[Answered] = []
        self._written = 0.0

    def is_here(self) -> bool:
        return threading.get_ident() == self._thread

    def takes(self, one: Answered) -> bool:
        if not self.is_here():
            return False
        waiting = self._waiting
        if not waiting or len(waiting) == TOGETHER:
            try:
                if waiting or one[4] - self._written > TOGETHER_S:
                    self._loop.call_soon(self.write)
                else:
                    self._loop.call_later(TOGETHER_S, self.write)
            except RuntimeError:
                # The loop is closed.
                return False
        waiting.append(one)
        return True

    def write(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        self._written = time.perf_counter()
        logs.write(told(waiting, time.time() - self._written))

    def write_now(self) -> None:
        if self.is_here():
            self.write()


class _OfThreads:
    """Those of a server's threads. One that comes alone is not taken: its thread writes it down before it answers,
    since afterwards Google Cloud may take the processor away.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Answered] = []
        self._written = 0.0
        self._come = threading.Event()
        self._writer: threading.Thread | None = None

    def is_here(self) -> bool:
        return False

    def takes(self, one: Answered) -> bool:
        with self._lock:
            if not self._waiting and one[4] - self._written > TOGETHER_S:
                self._written = one[4]
                return False
            self._waiting.append(one)
            is_first = len(self._waiting) == 1
            if self._writer is None:
                # Not before: a thread of the process that this one was forked from would not be here.
                self._writer = threading.Thread(target=self._write_forever, name="requests' log", daemon=True)
                self._writer.start()
                atexit.register(self.write_now)
        if is_first:
            self._come.set()
        return True

    def _write_forever(self) -> None:
        while True:
            self._come.wait()
            self._come.clear()
            time.sleep(TOGETHER_S)
            self.write_now()

    def write_now(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
            self._written = time.perf_counter()
        logs.write(told(waiting, time.time() - self._written))


_collectors: list[_OfLoop | _OfThreads] = []


def collect(loop: Loop) -> None:
    """From now on the requests of this thread, the loop's, are written down together."""
    _collectors[:] = [_OfLoop(loop)]
    atexit.register(write_now)


def collect_of_threads() -> None:
    """From now on the requests of all threads are written down together."""
    _collectors[:] = [_OfThreads()]


def on_loop() -> bool:
    """Whether this thread is the loop's."""
    return bool(_collectors) and _collectors[0].is_here()


def write_now() -> None:
    """What is left to write down, by this thread if it is a loop's."""
    for collector in _collectors:
        collector.write_now()
