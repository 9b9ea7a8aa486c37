"""Standard output that keeps nobody waiting: what it does not take at once waits in memory, too much of it is lost."""

import atexit
import contextlib
import os
import select
import stat
import sys
import threading
from collections.abc import Callable

#: Bytes that wait for a reader who does not read; what comes on top is lost, and how much is told.
MOST = 1024 * 1024

#: Bytes that a pipe has room for as soon as it has room at all.
_ROOM = select.PIPE_BUF

#: Seconds that the end of the process waits for the reader.
LAST_S = 0.3


class Sink:
    """Raises nothing, whoever reads, or has closed, the other end. ``lost`` counts the lines that nobody will read.

    Args:
        number: of the file descriptor; None drops all.
        lost: the line that tells how many were.
    """

    def __init__(self, number: int | None, lost: Callable[[int], bytes]) -> None:
        self._number = number
        self._tell = lost
        self._own = None if number is None else _reopened(number)
        self.lost = self._untold = 0
        self.forked()

    def forked(self) -> None:
        """For the child of a fork: its parent's thread is not in it, and writes what waits there."""
        self._lock = threading.Lock()
        self._waits = threading.Condition(self._lock)
        self._waiting: list[bytes] = []
        self._size = 0
        self._writer: threading.Thread | None = None

    def write(self, lines: bytes) -> None:
        """Whole lines, in the order of the calls."""
        with self._lock:
            if not self._size:
                lines = self._now(lines)
            if lines:
                self._later(lines)

    def flush(self, seconds: float = LAST_S) -> None:
        """Waits until everything is written, but not for long."""
        with self._waits:
            self._waits.wait_for(lambda: not self._size, seconds)

    def _now(self, lines: bytes) -> bytes:
        """What is left of the lines that are taken without waiting."""
        try:
            while lines:
                if self._own is not None:
                    lines = lines[os.write(self._own, lines) :]
                elif self._number is not None and _has_room(self._number):
                    lines = lines[os.write(self._number, lines[:_ROOM]) :]
                else:
                    break
        except BlockingIOError:
            pass
        except OSError:
            self._lose(lines)
            return b""
        if self._number is None:
            self._lose(lines)
            return b""
        return lines

    def _later(self, lines: bytes) -> None:
        if self._size + len(lines) > MOST:
            self._lose(lines)
            return
        self._waiting.append(lines)
        self._size += len(lines)
        if self._writer is None:
            # Not before: a thread of the process that this one was forked from would not be here.
            self._writer = threading.Thread(target=self._write_forever, name="log", daemon=True)
            self._writer.start()
            atexit.register(self.flush)
        self._waits.notify_all()

    def _lose(self, lines: bytes) -> None:
        count = lines.count(b"\n")
        self.lost += count
        self._untold += count

    def _write_forever(self) -> None:
        assert self._number is not None  # noqa: S101 - for mypy: without one nothing waits
        while True:
            with self._waits:
                self._waits.wait_for(lambda: self._size or self._untold)
                lines, self._waiting = b"".join(self._waiting), []
                size, count = len(lines), lines.count(b"\n")
                if self._untold:
                    lines, self._untold = lines + self._tell(self._untold), 0
            view = memoryview(lines)
            with contextlib.suppress(OSError):
                while view:
                    view = view[os.write(self._number, view[:_ROOM]) :]
            with self._waits:
                if view:
                    self.lost += count
                self._size -= size
                self._waits.notify_all()


def standard_output(lost: Callable[[int], bytes]) -> Sink:
    """The process' own, whatever stands for it in ``sys.stdout``."""
    try:
        number = sys.__stdout__.fileno() if sys.__stdout__ is not None else None
    except (OSError, ValueError):
        number = None
    return Sink(number, lost)


def _reopened(number: int) -> int | None:
    """A pipe, opened once more: what does not fit is refused here, while everybody else still waits for room."""
    try:
        if stat.S_ISFIFO(os.fstat(number).st_mode):
            return os.open(f"/proc/self/fd/{number}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        pass
    return None


def _has_room(number: int) -> bool:
    poll = select.poll()
    poll.register(number, select.POLLOUT)
    return bool(poll.poll(0))
