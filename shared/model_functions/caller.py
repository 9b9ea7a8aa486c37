"""How long a caller waits for an answer: until a deadline, until it hangs up."""

import math
import threading
import time
from collections.abc import Callable

from model_functions.errors import CallerGone, DeadlineExceeded, ServingError

#: For all of them: it is held for no longer than to look at two fields.
_LOCK = threading.Lock()


class Caller:
    """One request's.

    Args:
        seconds: from now on.
        clock: seconds that never go back.
    """

    def __init__(self, seconds: float = math.inf, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds = seconds
        self._began = clock()
        self._until = self._began + seconds
        self._gone = False
        self._why: ServingError | None = None
        self._told: Callable[[], object] | None = None

    def shorten(self, seconds: float) -> None:
        """Waits at most so long, counted from its beginning."""
        if self._began + seconds < self._until:
            self._seconds, self._until = seconds, self._began + seconds

    def remaining(self) -> float:
        """Seconds; 0 where the caller does not wait any more."""
        return 0.0 if self._gone else max(0.0, self._until - self._clock())

    def hang_up(self) -> None:
        """Tells whoever works for the caller that nobody waits for it. Any thread may call it, more than once."""
        self._end(None)

    def send_away(self, why: ServingError) -> None:
        """Tells whoever works for the caller to tell it this instead. Any thread may call it."""
        self._end(why)

    def wait(self, settled: threading.Event, seconds: float = math.inf) -> None:
        """Until then, or until the caller does not wait any more: its ``check`` tells.

        Args:
            seconds: at most.
        """
        self.when_gone(settled.set)
        seconds = min(seconds, self.remaining())
        try:
            settled.wait(None if seconds == math.inf else seconds)
        finally:
            self.when_gone(None)

    def when_gone(self, told: Callable[[], object] | None) -> None:
        """Calls ``told`` when the caller hangs up, at once if it already has; the latest one counts."""
        with _LOCK:
            self._told, gone = told, self._gone
        if gone and told is not None:
            told()

    def check(self) -> None:
        """Raises CallerGone, DeadlineExceeded, or why the caller was sent away."""
        if self._gone or self._clock() >= self._until:
            raise self.reason()

    def reason(self) -> ServingError:
        """What is told to whom it still concerns, of a caller that waits no longer."""
        if self._why is not None:
            return self._why.again()
        if self._gone:
            return CallerGone("The caller hung up.")
        return DeadlineExceeded(
            f"There was no answer within the request's {self._seconds:g} s. Allow more time, or send less."
        )

    def _end(self, why: ServingError | None) -> None:
        with _LOCK:
            self._gone, told = True, self._told
            self._why = self._why or why
        if told is not None:
            told()
