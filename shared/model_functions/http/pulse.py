"""Ends a worker whose event loop stands still; gunicorn's master starts another.

Models that take a few milliseconds run on the loop. Should one of them hang for once, nobody gets an answer any more,
not even from ``/health``. The server itself would wait as long as the platform lets a request take, or where nobody
says how long, for ever.
"""

import asyncio
import logging
import os
import sys
import threading
import time

from model_functions import logs

#: Seconds from one look to the next, and looks in a row at which the loop has not stirred. Not one long wait: an
#: instance whose processor is taken away misses a single look, however long that lasts.
LOOK_S, LOOKS = 5.0, 6

#: Frames that the log shows: the model's are the innermost.
FRAMES = 20

log = logging.getLogger(__name__)


def watch(loop: asyncio.AbstractEventLoop) -> None:
    """Called in the loop's thread."""
    threading.Thread(target=_watch, args=[loop, threading.get_ident()], name="pulse", daemon=True).start()


def _watch(loop: asyncio.AbstractEventLoop, thread: int) -> None:
    missed = 0
    while missed < LOOKS:
        stirred = threading.Event()
        try:
            loop.call_soon_threadsafe(stirred.set)
        except RuntimeError:
            # It is closed.
            return
        time.sleep(LOOK_S)
        missed = 0 if stirred.is_set() else missed + 1
    log.error("the event loop stands still", extra={"fields": {"stack": _stack(thread)}})
    logs.sink.flush()
    os._exit(1)


def _stack(thread: int) -> str:
    # Imported here: no cold start has use for it.
    import traceback

    return "".join(traceback.format_stack(sys._current_frames().get(thread), FRAMES))
