"""One JSON object a line on standard output, in Cloud Logging's form."""

import json
import logging
import sys
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

#: The platform's id of the execution that a line belongs to, where the framework itself does not write it.
EXECUTION: ContextVar[str | None] = ContextVar("EXECUTION", default=None)


_ENCODE = json.JSONEncoder(default=str).encode


class JsonFormatter(logging.Formatter):
    """``severity``, ``message``, ``time``, and what ``extra={"fields": {…}}`` brings."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.exc_info:
            # Error Reporting groups errors by the traceback in the message.
            message += "\n" + self.formatException(record.exc_info)
        return _line(record.levelname, message, record.created, record.name, getattr(record, "fields", {}))


def answered(
    logger: str, method: str, route: str, status: int, request_id: str, seconds: float, phases: list[tuple[str, str]]
) -> None:
    """Writes that a request was; put together by hand in a quarter of the time, since there is one for each."""
    if _is_the_sites:
        text = "%s %s %d in %.1f ms"
        logging.getLogger(logger).info(text, method, route, status, seconds * 1000, extra={"request_id": request_id})
        return
    timed = ", ".join([f'"{name}": {milliseconds}' for name, milliseconds in phases])
    _write(
        f'{{"severity": "INFO", "message": {_said(method, route, status)}, "time": "{_time(time.time())}", '
        f'"logger": "{logger}", "request_id": "{request_id}", "status": {status}, '
        f'"milliseconds": {seconds * 1000:.1f}, "phases": {{{timed}}}{_labels()}}}\n'
    )


@lru_cache
def _said(method: str, route: str, status: int) -> str:
    return _ENCODE(f"{method} {route} {status}")


def _line(severity: str, message: str, seconds: float, logger: str, fields: dict[str, Any]) -> str:
    entry = {"severity": severity, "message": message, "time": _time(seconds), "logger": logger, **fields}
    # ensure_ascii also keeps a caller's control characters and line separators out of the line.
    return f"{_ENCODE(entry)[:-1]}{_labels()}}}"


def _labels() -> str:
    execution = EXECUTION.get()
    if execution is None:
        return ""
    return f', "logging.googleapis.com/labels": {{"execution_id": {_ENCODE(execution)}}}'


def _time(seconds: float) -> str:
    second = int(seconds)
    return f"{_to_the_second(second)}.{int((seconds - second) * 1000):03d}Z"


@lru_cache(maxsize=2)
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


class _Stdout(logging.Handler):
    """Writes to what standard output is now: the framework replaces it after this handler is made."""

    def emit(self, record: logging.LogRecord) -> None:
        _write(self.format(record) + "\n")


class _Collected:
    """Lines of one round of an event loop, written together: each write wakes whoever reads them."""

    def __init__(self, soon: Callable[[Callable[[], None]], object]) -> None:
        self._soon = soon
        self._thread = threading.get_ident()
        self._lines: list[str] = []

    def takes(self, line: str) -> bool:
        if threading.get_ident() != self._thread:
            return False
        if not self._lines:
            try:
                self._soon(self._write)
            except RuntimeError:
                # The loop is closed.
                return False
        self._lines.append(line)
        return True

    def _write(self) -> None:
        lines, self._lines = self._lines, []
        sys.stdout.write("".join(lines))
        sys.stdout.flush()


_collected: list[_Collected] = []

_is_the_sites = False


def collect(soon: Callable[[Callable[[], None]], object]) -> None:
    """Writes the lines of this thread, an event loop's, a little later: all of a round together.

    Args:
        soon: calls a function in the loop's next round.
    """
    _collected[:] = [_Collected(soon)]


def _write(line: str) -> None:
    if _collected and _collected[0].takes(line):
        return
    sys.stdout.write(line)
    sys.stdout.flush()


def configure(level: str) -> None:
    """Sends this package's records to standard output; the root logger is the framework's own."""
    log = logging.getLogger("model_functions")
    log.setLevel(level)
    log.propagate = False
    if not log.handlers:
        handler = _Stdout()
        handler.setFormatter(JsonFormatter())
        log.addHandler(handler)


def leave_to_the_site() -> None:
    """Every line is a record, for the logging of the site that has mounted a function."""
    global _is_the_sites
    _is_the_sites = True
