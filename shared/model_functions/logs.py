"""One JSON object a line on standard output, in Cloud Logging's form."""

import json
import logging
import sys
import time


class JsonFormatter(logging.Formatter):
    """``severity``, ``message``, ``time``, and what ``extra={"fields": {…}}`` brings."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "severity": record.levelname,
            "message": record.getMessage(),
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "logger": record.name,
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            # Error Reporting groups errors by the traceback in the message.
            entry["message"] += "\n" + self.formatException(record.exc_info)
        # ensure_ascii also keeps a caller's control characters and line separators out of the line.
        return json.dumps(entry, default=str)


class _Stdout(logging.Handler):
    """Writes to what standard output is now: the framework replaces it after this handler is made."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stdout, flush=True)


def configure(level: str) -> None:
    """Sends this package's records to standard output; the root logger is the framework's own."""
    log = logging.getLogger("model_functions")
    log.setLevel(level)
    log.propagate = False
    if not log.handlers:
        handler = _Stdout()
        handler.setFormatter(JsonFormatter())
        log.addHandler(handler)
