"""How often a model was asked since it was loaded, and what its answers took."""

import threading
import time
from typing import Protocol

from model_functions.phases import Phases


class Asked(Protocol):
    """A request.

    Args:
        came: when it did.
    """

    came: float
    phases: Phases


class Tally:
    """One model's. Seconds are those of answered requests, all together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.answered = self.failed = self.items = 0
        self.answered_s = self.failed_s = self.input_s = self.queue_s = self.infer_s = self.output_s = 0.0
        self.latest = 0.0
        """When the latest answer was given, in seconds since 1970; 0 before the first."""

    def counting(self, request: Asked) -> "_Counting":
        """For ``with``: the request is answered at its end, or has failed where something is raised."""
        return _Counting(self, request)

    def read(self, items: int) -> None:
        """A request was of so many items."""
        with self._lock:
            self.items += items

    def answer(self, request: Asked, now: float) -> None:
        phases, total = request.phases, now - request.came
        recorded = phases.milliseconds
        output = now - phases.recorded if phases.recorded else 0.0
        with self._lock:
            self.answered += 1
            self.answered_s += total
            self.queue_s += recorded.get("queue", 0.0) / 1000
            self.infer_s += recorded.get("infer", 0.0) / 1000
            self.output_s += output
            # What is neither: reading the request, and making of it what the model reads.
            self.input_s += max(0.0, total - output - sum(recorded.values()) / 1000)
            self.latest = time.time()

    def fail(self, request: Asked, now: float) -> None:
        with self._lock:
            self.failed += 1
            self.failed_s += now - request.came


class _Counting:
    """A generator would take three times as long."""

    __slots__ = ("_request", "_tally")

    def __init__(self, tally: Tally, request: Asked) -> None:
        self._tally = tally
        self._request = request

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, *raised: object) -> None:
        now = time.perf_counter()
        if kind is None:
            self._tally.answer(self._request, now)
        else:
            self._tally.fail(self._request, now)
