"""Counters that an instance keeps of itself, in Prometheus' text form.

prometheus_client would do this too, and costs more to import than all of our own modules together.
"""

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

Labels = tuple[tuple[str, str], ...]


class Metrics:
    """Requests by route and status, their latency, cold loads, and what others count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, int], int] = defaultdict(int)
        self._loads: dict[Labels, int] = defaultdict(int)
        self._buckets = [0] * (len(BUCKETS_S) + 1)
        self._seconds = 0.0
        self._watched: list[tuple[str, str, str, Callable[[], int]]] = []

    def request(self, route: str, status: int, seconds: float) -> None:
        with self._lock:
            self._requests[route, status] += 1
            self._seconds += seconds
            self._buckets[bisect_left(BUCKETS_S, seconds)] += 1

    def load(self, model: str) -> None:
        with self._lock:
            self._loads[(("model", model),)] += 1

    def watch(self, kind: str, name: str, text: str, read: Callable[[], int]) -> None:
        """Shows a number that somebody else keeps, under ``model_functions_NAME``."""
        self._watched.append((f"model_functions_{name}", text, kind, read))

    def render(self) -> str:
        watched = [
            line for name, text, kind, read in self._watched for line in (*_head(name, text, kind), f"{name} {read()}")
        ]
        with self._lock:
            requests: dict[Labels, int] = {
                (("route", route), ("status", str(status))): count for (route, status), count in self._requests.items()
            }
            lines = [
                *_counter("model_functions_requests_total", "Requests answered.", requests),
                *_counter("model_functions_cold_loads_total", "Models loaded by a request.", self._loads),
                *self._histogram("model_functions_request_seconds", "Time to answer."),
                *watched,
            ]
        return "\n".join(lines) + "\n"

    def _histogram(self, name: str, text: str) -> list[str]:
        lines = _head(name, text, "histogram")
        count = 0
        for bound, hits in zip((*map(str, BUCKETS_S), "+Inf"), self._buckets, strict=True):
            count += hits
            lines.append(f'{name}_bucket{{le="{bound}"}} {count}')
        return [*lines, f"{name}_sum {self._seconds:.6f}", f"{name}_count {count}"]


def _counter(name: str, text: str, values: dict[Labels, int]) -> list[str]:
    rows = (f"{name}{{{_spelled(labels)}}} {value}" for labels, value in sorted(values.items()))
    return [*_head(name, text, "counter"), *rows]


def _head(name: str, text: str, kind: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def _spelled(labels: Labels) -> str:
    # Routes and model names are ours: nothing in them needs escaping.
    return ",".join(f'{key}="{value}"' for key, value in labels)
