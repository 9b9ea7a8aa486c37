"""One JSON object a line on standard output, in Cloud Logging's form."""

import json
import logging
import sys
import time
from contextvars import ContextVar
from functools import lru_cache

#: The platform's id of the execution that a line belongs to, where the framework itself does not write it.
EXECUTION: ContextVar[str | None] = ContextVar("EXECUTION", default=None)


_ENCODE = json.JSONEncoder(default=str).encode


class JsonFormatter(logging.Formatter):
    """``severity``, ``message``, ``time``, and what ``extra={"fields": {…}}`` brings."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "severity": record.levelname,
            "message": record.getMessage(),
            "time": f"{_to_the_second(int(record.created))}.{int(record.msecs):03d}Z",
            "logger": record.name,
            **getattr(record, "fields", {}),
        }
        execution = EXECUTION.get()
        if execution is not None:
            entry["logging.googleapis.com/labels"] = {"execution_id": execution}
        if record.exc_info:
            # Error Reporting groups errors by the traceback in the message.
            entry["message"] += "\n" + self.formatException(record.exc_info)
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
