"""Requests as OpenTelemetry's spans, where the environment names an exporter; the only module that imports it.

A request costs no more than to be remembered: its spans are made, and sent, by a thread of their own.
"""

import atexit
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from model_functions import tracing
from model_functions.phases import Phases
from model_functions.tracing import Trace

#: Requests that wait to be told of; the oldest of more are lost.
MOST = 4096
#: Seconds in which those that have ended are told of together.
TOGETHER_S = 0.2

log = logging.getLogger(__name__)


class Answered(Protocol):
    """A request. Args: id, trouble: as the log has them."""

    method: str
    route: str
    id: str
    came: float
    phases: Phases
    trace: Trace | None
    trouble: str


class _Ended(NamedTuple):
    request: Answered
    status: int
    about: tuple[tuple[str, str | None], ...]
    now: float
    zero: float

    def ns(self, moment: float) -> int:
        """Nanoseconds since 1970."""
        return round((self.zero + moment) * 1e9)


_exporters: list["_Exporter"] = []


def ended(request: Answered, status: int, about: tuple[tuple[str, str | None], ...], now: float, zero: float) -> None:
    """A request of a trace that is sampled has been answered.

    Args:
        about: as the log has it.
        now: when, of the clock of phases, which was 0 at ``zero``, in seconds since 1970.
    """
    for exporter in _exporters:
        exporter.take(_Ended(request, status, about, now, zero))


def configure(environment: Mapping[str, str] = os.environ) -> None:
    """As OpenTelemetry's own variables say; what they say wrongly is logged, and no reason not to serve."""
    try:
        if not _is_asked(environment):
            return
        tracing.export(tracing.sampler(environment))
    except ValueError as exc:
        log.error("%s Nothing is exported.", exc)
        return
    Phases.keeps = True
    _exporters[:] = [_Exporter(environment)]


def flush(seconds: float = 2.0) -> None:
    """Sends what has ended; for the end of the process."""
    for exporter in _exporters:
        exporter.flush(seconds)


def _is_asked(environment: Mapping[str, str]) -> bool:
    """Whether spans are to be exported. Raises ValueError for an exporter that is not here."""
    name = environment.get("OTEL_TRACES_EXPORTER", "").strip()
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or name == "none":
        return False
    if not name and not any(environment.get(endpoint) for endpoint in endpoints):
        return False
    if name not in ("", "otlp"):
        raise ValueError(f'OTEL_TRACES_EXPORTER is "{name[:40]}". Set it to otlp or none.')
    protocol = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environment.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol not in (None, "", "http/protobuf"):
        raise ValueError(f'OTEL_EXPORTER_OTLP_PROTOCOL is "{protocol[:40]}". Set it to http/protobuf.')
    return True


class _Exporter:
    """Its thread is started by a request: one of the process that this one was forked from would not be here."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._thread: threading.Thread | None = None
        self._starting, self._lock = threading.Lock(), threading.Lock()
        self._telling: _Telling | None = None
        self._ended: deque[_Ended] = deque(maxlen=MOST)
        self._come = threading.Event()

    def take(self, one: _Ended) -> None:
        self._ended.append(one)
        if self._come.is_set():
            return
        self._come.set()
        if self._thread is None:
            # Not the lock of those who tell: they import for longer than a request may wait.
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
                    self._thread.start()

    def flush(self, seconds: float) -> None:
        # What sends them may be on its way still.
        if self._thread is not None and self._lock.acquire(timeout=seconds):
            self._lock.release()
            self._tell()
            if self._telling is not None:
                self._telling.provider.force_flush(round(seconds * 1000))

    def _run(self) -> None:
        with self._lock:
            self._prepare()
        # Now: at the end of the process nothing can be imported any more that has threads of its own.
        atexit.register(flush)
        while True:
            self._come.wait()
            time.sleep(TOGETHER_S)
            self._come.clear()
            self._tell()

    def _tell(self) -> None:
        with self._lock:
            while self._telling is not None and self._ended:
                self._telling.tell(self._ended.popleft())

    def _prepare(self) -> None:
        try:
            self._telling = _Telling(self._environment)
        except ModuleNotFoundError as exc:
            _exporters.clear()
            log.error(
                "%s is not installed, so that no spans are exported. Add opentelemetry-exporter-otlp-proto-http "
                "to the function's requirements.txt, or unset OTEL_EXPORTER_OTLP_ENDPOINT.",
                exc.name,
            )


class _Telling:
    """OpenTelemetry's part: makes spans of what has ended, and sends them in batches."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON

        class Ids(RandomIdGenerator):
            """Those that are in the log already, and in what we asked others."""

            trace = span = 0

            def generate_trace_id(self) -> int:
                return self.trace

            def generate_span_id(self) -> int:
                span, self.span = self.span, 0
                return span or super().generate_span_id()

        attributes = {"service.version": environment.get("K_REVISION", "")}
        if not environment.get("OTEL_SERVICE_NAME"):
            attributes["service.name"] = environment.get("K_SERVICE") or "model-functions"
        self._ids = Ids()
        # Whether a trace is sampled has been decided when the request came.
        self.provider = TracerProvider(
            ALWAYS_ON,
            Resource.create({name: value for name, value in attributes.items() if value}),
            id_generator=self._ids,
        )
        self.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self.provider.get_tracer("model_functions")

    def tell(self, one: _Ended) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

        request, trace = one.request, one.request.trace
        if trace is None:
            return
        self._ids.trace, self._ids.span = int(trace.id, 16), int(trace.span, 16)
        span = self._tracer.start_span(
            f"{request.method[:10]} {request.route}",
            _context_of(trace),
            SpanKind.SERVER,
            _attributes(one),
            start_time=one.ns(request.came),
        )
        within = set_span_in_context(span)
        for name, began, until in request.phases.intervals or ():
            inner = self._tracer.start_span(name, within, start_time=one.ns(began))
            inner.end(one.ns(until or one.now))
        if one.status >= 500:
            span.set_status(Status(StatusCode.ERROR, request.trouble or None))
        span.end(one.ns(one.now))


def _context_of(trace: Trace) -> Any:
    """The caller's span, as it told us of it."""
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, set_span_in_context

    if not trace.parent:
        return Context()
    state = TraceState.from_header([trace.state]) if trace.state else None
    parent = SpanContext(int(trace.id, 16), int(trace.parent, 16), True, TraceFlags(int(trace.sampled)), state)
    return set_span_in_context(NonRecordingSpan(parent), Context())


def _attributes(one: _Ended) -> dict[str, str | int]:
    """By OpenTelemetry's names where it has any."""
    names = {"error": "error.type", "caller": "enduser.id"}
    told: dict[str, str | int] = {
        names.get(name, f"model_functions.{name}"): value for name, value in one.about if value
    }
    return told | {
        "http.request.method": one.request.method[:10],
        "http.route": one.request.route,
        "http.response.status_code": one.status,
        "model_functions.request_id": one.request.id,
    }
