"""What is written down of each request once it is answered: counted, logged, and handed on as a span.

A request only leaves itself here. An event loop's are written down together, in its next round, or under load a little
later: in the midst of answering each would take three times as long, and each write wakes whoever reads the log.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from model_functions import logs, spans
from model_functions.http.message import Request
from model_functions.metrics import Metrics

#: Seconds, and requests, that are waited for under load.
TOGETHER_S = 0.02
TOGETHER = 64


class Loop(Protocol):
    """An event loop, of whichever library."""

    def call_soon(self, call: Callable[[], None], /) -> object: ...

    def call_later(self, seconds: float, call: Callable[[], None], /) -> object: ...


class Answered(NamedTuple):
    """Args: timing: as ``Server-Timing`` has it. ended: of the clock of ``Request.came``."""

    request: Request
    status: int
    headers: Mapping[str, str]
    timing: str
    ended: float


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

    def ended(self, request: Request, status: int, headers: Mapping[str, str], timing: str) -> None:
        one = Answered(request, status, headers, timing, time.perf_counter())
        if not (_loops and _loops[0].takes(self, one)):
            logs.write(self.told(one, time.time() - one.ended))

    def told(self, one: Answered, zero: float) -> str:
        """The request's line, once it is counted. Args: zero: when the requests' clock was 0, since 1970."""
        request, status, headers, timing, ended = one
        seconds, code = ended - request.came, headers.get("X-Error-Code")
        self._metrics.request(request.route, request.served, status, seconds, code)
        if "load" in request.phases.milliseconds and status < 400:
            self._metrics.cold_start(request.phases.milliseconds, seconds)
        about = (
            ("family", self._family),
            ("model", request.served),
            ("revision", headers.get("X-Model-Revision")),
            ("error", code),
            ("caller", request.identity.name),
        )
        trace = request.trace
        if trace is not None and trace.sampled:
            spans.ended(request, status, about, ended, zero)
        return logs.answered(
            self._log,
            request.method[:10],
            request.route,
            status,
            request.id,
            seconds,
            timing,
            zero + ended,
            logs.context(request.headers, trace),
            about,
            request.trouble,
        )


class _Together:
    """Those of an event loop's thread."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._thread = threading.get_ident()
        self._waiting: list[tuple[Observer, Answered]] = []
        self._written = 0.0

    def takes(self, observer: Observer, one: Answered) -> bool:
        if threading.get_ident() != self._thread:
            return False
        waiting = self._waiting
        if not waiting or len(waiting) == TOGETHER:
            try:
                if waiting or one.ended - self._written > TOGETHER_S:
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
        if threading.get_ident() == self._thread:
            self.write()


_loops: list[_Together] = []


def collect(loop: Loop) -> None:
    """From now on the requests of this thread, the loop's, are written down together."""
    _loops[:] = [_Together(loop)]


def write_now() -> None:
    """What this thread has left to write down."""
    for loop in _loops:
        loop.write_now()
