"""One JSON object a line on standard output, in Cloud Logging's form.

No line shows a caller's input or what an exception says, unless ``LOG_INPUTS`` asks for it; nothing that is logged can
end its line, and nobody waits for whoever reads them.
"""

import json
import logging
import math
import os
import re
import time
from collections.abc import Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from model_functions.phases import timing_json
from model_functions.sink import Sink, standard_output
from model_functions.stack_trace import stack_trace
from model_functions.tracing import SAMPLED, TRACEPARENT, Trace, trace_of

#: Characters of a text that are logged, and of a stack trace; and entries of a list or an object.
LONGEST, LONGEST_TRACE, MOST = 8 * 1024, 32 * 1024, 100

#: What Error Reporting takes for an error, whatever else the line has.
REPORTED = "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent"

_EXECUTION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

_ENCODE = json.JSONEncoder(allow_nan=False).encode

#: The headers of whichever request this thread or task is about, and the span that it is where spans are exported.
_REQUEST: ContextVar[tuple[Mapping[str, str], Trace | None]] = ContextVar("_REQUEST", default=({}, None))


def enter(headers: Mapping[str, str], span: Trace | None) -> None:
    """From now on this thread's or task's lines are about a request; not for what is quick, which it would slow down.

    Args:
        headers: by lower-case name.
        span: the request itself, where it is one.
    """
    _REQUEST.set((headers, span))


def context(headers: Mapping[str, str], span: Trace | None = None) -> str:
    """The fields of a request, as JSON that begins with a comma."""
    trace = span or trace_of(headers)
    told = "" if trace is None else _traced(trace.id, trace.span, trace.sampled)
    execution = headers.get("function-execution-id")
    if execution is not None and _EXECUTION_ID.fullmatch(execution):
        told += f', "logging.googleapis.com/labels": {{"execution_id": "{execution}"}}'
    return told


def of_parent(traceparent: str) -> str:
    """The same, where there is no other header of it."""
    found = TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return ""
    trace, span, flags = found.groups()
    return _traced(trace, span, flags in SAMPLED)


def _traced(trace: str, span: str, sampled: bool) -> str:
    return (
        f', "logging.googleapis.com/trace": "{project.prefix}{trace}", "logging.googleapis.com/spanId": "{span}", '
        f'"logging.googleapis.com/trace_sampled": {"true" if sampled else "false"}'
    )


class Project:
    """Whose traces they are: without it Cloud Logging does not find them."""

    def __init__(self) -> None:
        self.prefix = ""
        self.found(next((os.environ[name] for name in _PROJECT if os.environ.get(name)), ""))

    def found(self, name: str) -> None:
        self.prefix = f"projects/{_ENCODE(name)[1:-1]}/traces/" if name else ""


_PROJECT = ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "GCP_PROJECT")
project = Project()


class JsonFormatter(logging.Formatter):
    """``severity``, ``message``, ``time``, and what ``extra={"fields": {…}}`` brings; raises nothing."""

    def format(self, record: logging.LogRecord) -> str:
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - arguments that do not fit the text; the line must not be lost for it
            message = f"{record.msg} {record.args}"
        fields = dict(getattr(record, "fields", {}))
        exc = record.exc_info[1] if record.exc_info else None
        if exc is not None:
            fields["stack_trace"] = _cut(stack_trace(exc, words=_shows.inputs), LONGEST_TRACE)
        if record.levelno >= logging.ERROR:
            fields |= _reported(record, exc)
        return line(record.levelname, message, record.created, record.name, fields)


class _Shows:
    inputs = False


_shows = _Shows()


def line(severity: str, message: str, seconds: float, logger: str, fields: Mapping[str, Any]) -> str:
    """Args: seconds: since 1970."""
    entry = {"severity": severity, "message": _plain(message), "time": _moment(int(seconds * 1000)), "logger": logger}
    entry |= {name: value if name == "stack_trace" else _plain(value) for name, value in fields.items()}
    # JSON in ASCII keeps a caller's control characters and line separators out of the line; all but this one.
    text = _ENCODE(entry).replace("\x7f", "\\u007f")
    return f"{text[:-1]}{context(*_REQUEST.get())}}}"


def _reported(record: logging.LogRecord, exc: BaseException | None) -> dict[str, Any]:
    """What Error Reporting wants beside the message: whose error it is, and without a stack trace where it is."""
    service, version = os.environ.get("K_SERVICE"), os.environ.get("K_REVISION")
    found: dict[str, Any] = {"@type": REPORTED}
    found["serviceContext"] = {"service": service or "model-functions"} | ({"version": version} if version else {})
    if exc is None:
        place = {"filePath": record.pathname, "lineNumber": record.lineno, "functionName": record.funcName}
        found["context"] = {"reportLocation": place}
    return found


def _plain(value: Any, depth: int = 0) -> Any:
    """What JSON has for the value, if not too much of it."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping) and depth < 8:
        return {_cut(str(key), 200): _plain(value[key], depth + 1) for key in list(value)[:MOST]}
    if isinstance(value, list | tuple | set | frozenset) and depth < 8:
        return [_plain(entry, depth + 1) for entry in list(value)[:MOST]]
    try:
        return _cut(str(value), LONGEST)
    except Exception:  # noqa: BLE001 - it is somebody else's, and may raise anything
        return f"a {type(value).__name__}"


def _cut(text: str, longest: int) -> str:
    if not text.isascii():
        # Half a surrogate pair is no text that a reader of JSON would take.
        text = text.encode(errors="replace").decode()
    if len(text) <= longest:
        return text
    return f"{text[: longest // 2]}… {len(text) - longest} characters …{text[-(longest // 2) :]}"


#: Fields with few values; None for what a line has not.
About = tuple[tuple[str, str | None], ...]


def request_line(head: str, request_id: str, seconds: float, timing: str, when: float, belonging: str) -> str:
    """Of a request that was answered; put together by hand in a quarter of the time, since there is one for each.

    Args:
        timing: as ``Server-Timing`` has it.
        when: in seconds since 1970.
        belonging: its ``context``.
    """
    return (
        f'{head}{seconds:.6f}s"}}, "time": "{_moment(int(when * 1000))}", "request_id": "{request_id}", '
        f'"phases": {timing_json(timing)}{belonging}}}\n'
    )


def head(level: int, logger: str, method: str, route: str, status: int, about: About, trouble: str) -> str:
    """What many requests' lines begin with.

    Args:
        about: what else they say.
        trouble: why they failed.
    """
    message = f"{method} {route} {status}" + (f": {_cut(trouble, LONGEST)}" if trouble else "")
    entry = {"severity": logging.getLevelName(level), "message": message, "logger": logger}
    entry |= {name: _cut(value, 200) for name, value in about if value}
    request = {"requestMethod": method, "status": status}
    text = f'{_ENCODE(entry)[:-1]}, "httpRequest": {_ENCODE(request)[:-1]}, "latency": "'
    return text.replace("\x7f", "\\u007f")


@lru_cache(maxsize=2)
def _moment(milliseconds: int) -> str:
    return f"{_to_the_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


@lru_cache(maxsize=2)
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


class Handler(logging.Handler):
    """Writes to the process' standard output; raises nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        write(self.format(record) + "\n")


_is_the_sites = False


def is_the_sites() -> bool:
    """Whether lines are a site's to write."""
    return _is_the_sites


def write(lines: str) -> None:
    """Whole lines; an empty text is none."""
    if lines:
        sink.write(lines.encode())


def _lost(count: int) -> bytes:
    text = f"{count} lines are lost: nobody read them in time"
    return (line("WARNING", text, time.time(), __name__, {"lost": count}) + "\n").encode()


sink: Sink = standard_output(_lost)


def configure(level: str, *, inputs: bool = False) -> None:
    """Sends this package's records to standard output; the root logger is the framework's own.

    Args:
        inputs: whether what exceptions say is shown, which may quote what a caller sent.
    """
    log = logging.getLogger("model_functions")
    log.setLevel(level)
    log.propagate = False
    _shows.inputs = inputs
    if not log.handlers:
        log.addHandler(Handler())


def leave_to_the_site() -> None:
    """Every line is a record, for the logging of the site that has mounted a function."""
    global _is_the_sites
    _is_the_sites = True
