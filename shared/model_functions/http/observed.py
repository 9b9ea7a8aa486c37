"""What is written down of each request once it is answered: counted, logged, and handed on as a span.

A request only leaves itself here. An event loop's are written down together, in its next round, or under load a little
later: in the midst of answering each would take three times as long, and each write wakes whoever reads the log.
"""

import atexit
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from model_functions import logs, spans
from model_functions.http.message import Request
from model_functions.metrics import Metrics

#: Seconds, and requests, that are waited for under load.
TOGETHER_S = 0.02
TOGETHER = 64

#: Beginnings of lines that are remembered.
MOST = 1024


class Loop(Protocol):
    """An event loop, of whichever library."""

    def call_soon(self, call: Callable[[], None], /) -> object: ...

    def call_later(self, seconds: float, call: Callable[[], None], /) -> object: ...


#: What many requests have in common: route, model, status, error's code, revision, caller, method, trouble.
Kind = tuple[str, str, int, str | None, str | None, str | None, str, str]

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
            *(request.route, request.served, status, headers.get("X-Error-Code"), headers.get("X-Model-Revision")),
            *(request.identity.name, request.method, request.trouble),
        )
        one = kind, request.id, ended - request.came, timing, ended, parent, belonging
        if not (_loops and _loops[0].takes(self, one)):
            logs.write(self.told(one, time.time() - ended))
        if "load" in request.phases.milliseconds and status < 400:
            self._metrics.cold_start(request.phases.milliseconds, ended - request.came)
        if trace is not None and trace.sampled:
            spans.ended(request, status, self._about(kind), ended, time.time() - ended)

    def told(self, one: Answered, zero: float) -> str:
        """The request's line, once it is counted. Args: zero: when the requests' clock was 0, since 1970."""
        kind, request_id, seconds, timing, ended, parent, belonging = one
        route, model, status, code, *_ = kind
        self._metrics.request(route, model, status, seconds, code)
        level = logging.INFO if status < 500 else logging.ERROR if status == 500 else logging.WARNING
        if not self._log.isEnabledFor(level):
            return ""
        if logs.is_the_sites():
            self._leave_to_the_site(level, kind, request_id, seconds)
            return ""
        head = self._heads.get(kind) or self._head(level, kind)
        if parent is not None:
            belonging = logs.of_parent(parent)
        return logs.request_line(head, request_id, seconds, timing, zero + ended, belonging)

    def _head(self, level: int, kind: Kind) -> str:
        route, _, status, _, _, _, method, trouble = kind
        if len(self._heads) == MOST:
            self._heads.clear()
        head = logs.head(level, self._log.name, method[:10], route, status, self._about(kind), trouble)
        self._heads[kind] = head
        return head

    def _leave_to_the_site(self, level: int, kind: Kind, request_id: str, seconds: float) -> None:
        route, _, status, _, _, _, method, _ = kind
        told = {name: value for name, value in self._about(kind) if value} | {"request_id": request_id}
        self._log.log(level, "%s %s %d in %.1f ms", method[:10], route, status, seconds * 1000, extra=told)

    def _about(self, kind: Kind) -> tuple[tuple[str, str | None], ...]:
        _, model, _, code, revision, caller, _, _ = kind
        fields = ("family", self._family), ("model", model), ("revision", revision), ("error", code)
        return (*fields, ("caller", caller))


class _Together:
    """Those of an event loop's thread."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._thread = threading.get_ident()
        self._waiting: list[tuple[Observer, Answered]] = []
        self._written = 0.0

    def is_here(self) -> bool:
        return threading.get_ident() == self._thread

    def takes(self, observer: Observer, one: Answered) -> bool:
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
        waiting.append((observer, one))
        return True

    def write(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        self._written = time.perf_counter()
        zero = time.time() - self._written
        logs.write("".join([observer.told(one, zero) for observer, one in waiting]))

    def write_now(self) -> None:
        if self.is_here():
            self.write()


_loops: list[_Together] = []


def collect(loop: Loop) -> None:
    """From now on the requests of this thread, the loop's, are written down together."""
    _loops[:] = [_Together(loop)]
    atexit.register(write_now)


def on_loop() -> bool:
    """Whether this thread is the loop's."""
    return bool(_loops) and _loops[0].is_here()


def write_now() -> None:
    """What this thread has left to write down."""
    for loop in _loops:
        loop.write_now()
