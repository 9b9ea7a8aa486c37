"""The whole process' log in our form, where it is a function's own: what the server, the libraries and Python say.

A site that mounts a function keeps its own.
"""

import faulthandler
import http.client
import logging
import os
import sys
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any

from model_functions import logs

#: The loggers that do not pass on what they have to the root. Those of their access logs stay silent: every request has
#: a line of ours, and theirs would show whole URLs, in which somebody may have put a key.
_SERVERS = ("gunicorn.error", "uvicorn", "uvicorn.error", "uvicorn.asgi")

log = logging.getLogger(__name__)


def take_over() -> None:
    """From the fork on in which the function is served: at import the framework has not made its own log yet."""
    master = os.getpid()
    os.register_at_fork(after_in_parent=_servers, after_in_child=lambda: _worker(master))


def tell_of_the_end() -> None:
    """Of this process, by an exception that nobody catches: above all, of a function that cannot be imported."""
    logs.configure("INFO")
    sys.excepthook = _uncaught


def _worker(master: int) -> None:
    # Only the first fork: whatever the worker forks later is not a server.
    if os.getppid() != master:
        return
    logs.sink.forked()
    root = logging.getLogger()
    root.handlers[:] = [logs.Handler()]
    _servers()
    for name, logger in logging.root.manager.loggerDict.items():
        # The framework, where it logs execution ids, disables whatever was there before.
        if name.startswith("model_functions") and isinstance(logger, logging.Logger):
            logger.disabled = False
    logging.captureWarnings(True)
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable
    with suppress(ValueError, OSError, AttributeError):
        # Where native code crashes, nothing else tells in which call; needs no Python to do it.
        faulthandler.enable()
    if os.environ.get("K_SERVICE") and not logs.project.prefix:
        threading.Thread(target=_ask_for_the_project, name="project", daemon=True).start()


def _servers() -> None:
    for name in _SERVERS:
        logging.getLogger(name).handlers[:] = [logs.Handler()]


def _uncaught(kind: type[BaseException], exc: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, Exception):
        sys.__excepthook__(kind, exc, trace)
        return
    # It is about no request, and whoever deployed the function must read it.
    log.critical("%s: %s", kind.__name__, exc, exc_info=(kind, exc, trace))
    logs.sink.flush()


def _uncaught_in_thread(caught: threading.ExceptHookArgs) -> None:
    if caught.exc_value is None or caught.exc_type is SystemExit:
        return
    thread = caught.thread.name if caught.thread is not None else "a thread"
    log.error("%s ended", thread, exc_info=caught.exc_value)


def _unraisable(caught: Any) -> None:
    # The object itself may hold anything.
    kind = type(caught.object).__qualname__
    log.error("%s, in a %s", caught.err_msg or "ignored", kind, exc_info=caught.exc_value)


def _ask_for_the_project() -> None:
    """Google Cloud tells the instance, but not in its environment."""
    host = os.environ.get("GCE_METADATA_HOST") or "metadata.google.internal"
    connection = http.client.HTTPConnection(host, timeout=3)
    with suppress(OSError, http.client.HTTPException, UnicodeDecodeError):
        try:
            connection.request("GET", "/computeMetadata/v1/project/project-id", headers={"Metadata-Flavor": "Google"})
            response = connection.getresponse()
            if response.status == 200:
                logs.project.found(response.read(100).decode("ascii"))
        finally:
            connection.close()
