"""One JSON object a line on standard output, in Cloud Logging's form."""

import json
import logging
import sys
import time
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


def tell(logger: logging.Logger, message: str, fields: dict[str, Any]) -> None:
    """Writes what ``logger.info`` would, in half the time: there is such a line for each request."""
    if logger.isEnabledFor(logging.INFO):
        sys.stdout.write(_line("INFO", message, time.time(), logger.name, fields) + "\n")
        sys.stdout.flush()


def _line(severity: str, message: str, seconds: float, logger: str, fields: dict[str, Any]) -> str:
    second = int(seconds)
    entry = {
        "severity": severity,
        "message": message,
        "time": f"{_to_the_second(second)}.{int((seconds - second) * 1000):03d}Z",
        "logger": logger,
        **fields,
    }
    execution = EXECUTION.get()
    if execution is not None:
        entry["logging.googleapis.com/labels"] = {"execution_id": execution}
    # ensure_ascii also keeps a caller's control characters and line separators out of the line.
    return _ENCODE(entry)


@lru_cache(maxsize=2)
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


class _Stdout(logging.Handler):
    """Writes to what standard output is now: the framework replaces it after this handler is made."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stdout.write(self.format(record) + "\n")
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
