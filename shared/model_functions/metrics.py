"""Counters that an instance keeps of itself, in Prometheus' text form and in OpenMetrics'.

prometheus_client would do this too, and costs more to import than all of our own modules together.
"""

import math
import os
import platform
import resource
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

#: Seconds of a request, and of a wait; rows of a batch.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)

#: Models that are told apart; a publisher may make any number of them.
MODELS = 100
OTHER = "other"

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Labels = tuple[tuple[str, str], ...]
Sample = tuple[str, Labels, float]

#: What is read off something else: a number, or one for each value of a label.
Read = Callable[[], "float | Mapping[str, float] | Histogram"]


class Histogram:
    """How many values there were up to each bound. The caller sees to it that one thread at a time adds."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.add_all([value])

    def add_all(self, values: list[float]) -> None:
        for value in values:
            self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += sum(values)

    @property
    def count(self) -> int:
        return sum(self.counts)

    def samples(self, labels: Labels) -> Iterator[Sample]:
        count = 0
        for bound, hits in zip((*map(_number, self.bounds), "+Inf"), self.counts, strict=True):
            count += hits
            yield "_bucket", (*labels, ("le", bound)), count
        yield "_sum", labels, self.sum
        yield "_count", labels, count


class _Requests:
    """Of one route, model and status. Args: seconds: of all of the model's."""

    __slots__ = ("count", "seconds")

    def __init__(self, seconds: Histogram) -> None:
        self.count = 0
        self.seconds = seconds


class Gauge:
    """A number that goes up and down."""

    def __init__(self) -> None:
        self.value = 0
        self._lock = threading.Lock()

    def change(self, by: int) -> None:
        with self._lock:
            self.value += by


class Metric(NamedTuple):
    """Args: name: without the ``_total`` of a counter."""

    kind: str
    name: str
    text: str
    samples: Iterable[Sample]


class _Watched(NamedTuple):
    kind: str
    name: str
    text: str
    read: Read
    label: str


class Metrics:
    """Requests by route, model and status, their latency, cold starts, and what others count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, str, int], _Requests] = {}
        self._seconds: dict[str, Histogram] = {}
        self._errors: dict[str, int] = {}
        self._loads: dict[str, int] = {}
        self._phases: dict[str, list[float]] = {}
        self._watched: list[_Watched] = []
        self.streams = Gauge()
        self.watch("gauge", "open_streams", "Answers that are being sent piece by piece.", lambda: self.streams.value)

    def requests(self, route: str, model: str, status: int, seconds: list[float], code: str | None = None) -> None:
        """Some that are alike.

        Args:
            model: one that there is, or an empty text.
            seconds: of each.
            code: of an error, that of who is not let in, too.
        """
        with self._lock:
            counted = self._requests.get((route, model, status)) or self._counted(route, model, status)
            counted.count += len(seconds)
            counted.seconds.add_all(seconds)
            if code is not None:
                self._errors[code] = self._errors.get(code, 0) + len(seconds)

    def _counted(self, route: str, model: str, status: int) -> "_Requests":
        if len(self._seconds) > MODELS and model not in self._seconds:
            model = OTHER
        histogram = self._seconds.setdefault(model, Histogram(SECONDS))
        return self._requests.setdefault((route, model, status), _Requests(histogram))

    def cold_start(self, milliseconds: Mapping[str, float], total: float) -> None:
        """A request has loaded its model, and been answered.

        Args:
            milliseconds: by phase.
            total: seconds.
        """
        with self._lock:
            for phase, duration in (*milliseconds.items(), ("total", total * 1000)):
                found = self._phases.setdefault(phase, [0, 0.0])
                found[0] += 1
                found[1] += duration / 1000

    def load(self, model: str) -> None:
        with self._lock:
            if len(self._loads) > MODELS and model not in self._loads:
                model = OTHER
            self._loads[model] = self._loads.get(model, 0) + 1

    def watch(self, kind: str, name: str, text: str, read: Read, label: str = "") -> None:
        """Shows what somebody else keeps, under ``model_functions_NAME``; a counter's name ends with ``_total``.

        Args:
            label: of the keys, where it is a number for each of several.
        """
        self._watched.append(_Watched(kind, f"model_functions_{name}", text, read, label))

    def render(self, *, open_metrics: bool = False) -> str:
        lines = [line for metric in self._all() for line in _lines(metric, open_metrics)]
        if open_metrics:
            lines.append("# EOF")
        return "\n".join(lines) + "\n"

    def _all(self) -> Iterator[Metric]:
        # Whoever is watched has locks of its own.
        watched = [(one, one.read()) for one in self._watched]
        with self._lock:
            requests = [
                ("_total", (("model", model), ("route", route), ("status", str(status))), counted.count)
                for (route, model, status), counted in sorted(self._requests.items())
            ]
            seconds = [
                sample for model, one in sorted(self._seconds.items()) for sample in one.samples((("model", model),))
            ]
            errors = _by("code", self._errors)
            loads = _by("model", self._loads)
            phases = [
                (suffix, (("phase", phase),), value)
                for phase, (count, total) in self._phases.items()
                for suffix, value in (("_sum", total), ("_count", count))
            ]
        yield Metric("counter", "model_functions_requests", "Requests answered.", requests)
        yield Metric("histogram", "model_functions_request_seconds", "Time to answer.", seconds)
        yield Metric("counter", "model_functions_errors", "Requests answered with an error.", errors)
        yield Metric("counter", "model_functions_cold_loads", "Models loaded by a request.", loads)
        yield Metric("summary", "model_functions_cold_start_seconds", "Time of requests that loaded a model.", phases)
        for one, found in watched:
            yield Metric(one.kind, one.name.removesuffix("_total"), one.text, _read(one, found))
        yield from _about_us()
        yield from _process()


def _by(label: str, counts: Mapping[str, int]) -> list[Sample]:
    return [("_total", ((label, value),), count) for value, count in sorted(counts.items())]


def _read(one: _Watched, found: float | Mapping[str, float] | Histogram) -> Iterable[Sample]:
    if isinstance(found, Histogram):
        return found.samples(())
    suffix = "_total" if one.kind == "counter" else ""
    if isinstance(found, Mapping):
        return [(suffix, ((one.label, key),), value) for key, value in sorted(found.items())]
    return [(suffix, (), found)]


def _about_us() -> Iterator[Metric]:
    told = (
        ("python", platform.python_version()),
        ("revision", os.environ.get("K_REVISION", "")),
        ("service", os.environ.get("K_SERVICE", "")),
    )
    yield Metric("gauge", "model_functions_build_info", "What runs here.", [("", told, 1)])


def _process() -> Iterator[Metric]:
    """What Prometheus' own clients tell of a process, by the same names; nothing where there is no /proc."""
    try:
        with open("/proc/self/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        return
    page, tick = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / tick
    cpu = (int(fields[11]) + int(fields[12])) / tick
    gauges = {
        "process_start_time_seconds": ("When the process began, since 1970.", time.time() - age),
        "model_functions_uptime_seconds": ("Since the process began.", age),
        "process_virtual_memory_bytes": ("Its address space.", int(fields[20])),
        "process_resident_memory_bytes": ("Its memory.", int(fields[21]) * page),
        "process_open_fds": ("File descriptors that are open.", descriptors),
        "process_max_fds": ("File descriptors that may be.", resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        "process_threads": ("Its threads.", int(fields[17])),
    }
    yield Metric("counter", "process_cpu_seconds", "What it has used of the processor.", [("_total", (), cpu)])
    for name, (text, value) in gauges.items():
        yield Metric("gauge", name, text, [("", (), value)])


def _lines(metric: Metric, open_metrics: bool) -> Iterator[str]:
    # The older form names a counter with its ending.
    name = metric.name if open_metrics or metric.kind != "counter" else f"{metric.name}_total"
    yield f"# HELP {name} {metric.text}"
    yield f"# TYPE {name} {metric.kind}"
    for suffix, labels, value in metric.samples:
        spelled = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
        yield (
            f"{metric.name}{suffix}{{{spelled}}} {_number(value)}"
            if spelled
            else (f"{metric.name}{suffix} {_number(value)}")
        )


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if value == math.inf:
        return "+Inf"
    return str(int(value)) if value == int(value) else f"{value:.6f}".rstrip("0")
