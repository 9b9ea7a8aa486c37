"""The end of functions-framework's worker: it answers what it has before it goes, and goes in time.

The platform sends SIGTERM to gunicorn's master, which passes it on, and ends everything ten seconds later. Both of the
framework's servers would take nothing more at once: what has just come would hang. So the signal waits in a thread,
and the server hears of it when there is nothing more to answer. No model can keep that thread from it but by holding
Python's lock; then gunicorn's master ends the worker.
"""

import atexit
import logging
import os
import signal
import sys
import threading
import time
from contextlib import suppress

from model_functions import logs, spans
from model_functions.draining import Drain
from model_functions.sink import LAST_S

#: What runs may take so long.
FINISH_S = 7.0
#: Whoever is told to ask another instance is told so within this.
TELL_S = 0.5
#: Spans that are left are sent within this.
SPANS_S = 3.0
#: The process ends, whatever still runs.
END_S = 8

log = logging.getLogger(__name__)


def finish_on_sigterm(drain: Drain) -> None:
    """To be called before gunicorn's master forks its workers; does nothing under another server."""
    with suppress(ImportError):
        # Imported here: in a site there may be none. It allows 30 s by default, and the framework offers no way to
        # say otherwise.
        from gunicorn.config import GracefulTimeout

        GracefulTimeout.default = END_S
    master = os.getpid()

    def start() -> None:
        # Only a worker: whatever it forks later has its own end.
        if os.getppid() == master and "gunicorn.arbiter" in sys.modules:
            # First, so that it is done last. Else whatever still runs would be waited for when the server has ended.
            atexit.register(_leave, drain)
            # In every thread there will be, so that it is the one below which gets it.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            threading.Thread(target=_wait, args=(drain,), name="termination", daemon=True).start()

    os.register_at_fork(after_in_child=start)


def _wait(drain: Drain) -> None:
    signal.sigwait({signal.SIGTERM})
    began = time.monotonic()
    drain.begin()
    log.info("ends once %d requests are answered", len(drain.running))
    _until_idle(drain, began + FINISH_S)
    drain.send_away()
    _until_idle(drain, began + FINISH_S + TELL_S)
    # Here: in the last moments of a process nothing can be imported any more.
    spans.flush(max(0.1, min(SPANS_S, began + FINISH_S - time.monotonic())))
    # To the server, which this thread hands it to now: it ends when its answers have been sent.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(max(0.0, began + END_S - LAST_S - time.monotonic()))
    _leave(drain)


def _leave(drain: Drain) -> None:
    if drain.has_begun:
        logs.sink.flush()
        os._exit(0)


def _until_idle(drain: Drain, moment: float) -> None:
    while drain.running and time.monotonic() < moment:
        time.sleep(0.02)
