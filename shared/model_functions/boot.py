"""When this instance started, which is what the phases of its first load are counted from."""

import os
import threading
import time

from model_functions.phases import Phases


def _process_age_s() -> float:
    """Seconds since this process was started, to 10 ms; 0 where /proc does not tell."""
    try:
        with open("/proc/self/stat", encoding="ascii", errors="replace") as file:
            # The command's name, in brackets, may hold anything.
            ticks = float(file.read().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return 0.0


class Boot:
    """``boot`` is from the process' start to the worker's, ``idle`` from there to what is timed."""

    def __init__(self) -> None:
        self.started = time.perf_counter() - _process_age_s()
        self.ended = time.perf_counter()
        self._first = threading.Lock()
        # The framework imports a function in gunicorn's master, and serves from a fork.
        os.register_at_fork(after_in_child=self._forked)

    def charge(self, phases: Phases) -> None:
        """Counts what lies before them to the phases of the instance's first load; does nothing for later ones."""
        if self._first.acquire(blocking=False):
            phases.start_earlier(self.started, boot=self.ended - self.started, idle=phases.started - self.ended)

    def _forked(self) -> None:
        self.ended = time.perf_counter()


#: Of this process, as soon as it imports us.
BOOT = Boot()
