"""What is read again and again while it is used: never for longer than is said, and never more often."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from model_functions.errors import AuthUnavailable

T = TypeVar("T")

#: Seconds for which a request waits for a reading.
PATIENCE_S = 5.0
#: Seconds between two tries while there is nothing yet.
RETRY_S = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ages:
    """Seconds since the reading began that brought what there is.

    Args:
        renewed: after which it is read again, while it still counts; no two readings begin in less.
        waited_for: after which it counts no more, but for a reading that fails.
        last_good: after which it counts no more, whatever fails.
    """

    renewed: float
    waited_for: float
    last_good: float


class Renewal(Generic[T]):
    """A value that is read by a thread of its own, in time for nobody to wait while it is asked for now and then.

    Args:
        what: for messages.
        read: is given the last value; raises where there is none that counts.
        clock: seconds that never go back.
    """

    def __init__(
        self, what: str, read: Callable[[T | None], T], ages: Ages, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what = what
        self._read = read
        self._ages = ages
        self._clock = clock
        self._value: T | None = None
        self._at = -float("inf")
        self._began = -float("inf")
        self._next = -float("inf")
        self._counts_for = ages.waited_for
        self._reading: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def is_fresh(self) -> bool:
        """Whether ``value`` waits for nothing."""
        now = self._clock()
        return now - self._at <= self._counts_for or (self._reading is None and now < self._next)

    def value(self) -> T:
        """Raises AuthUnavailable."""
        value, age = self._value, self._clock() - self._at
        if value is None or age > self._ages.renewed:
            self.start()
            if value is None or age > self._counts_for:
                return self._awaited()
        return value

    def start(self) -> None:
        """Begins to read, if that is due."""
        with self._lock:
            now = self._clock()
            if self._reading is None and now >= self._next:
                self._began, self._next = now, now + self._ages.renewed
                # Set before it runs, because it takes itself away.
                self._reading = threading.Thread(target=self._look, args=(now,), name=self._what, daemon=True)
                try:
                    self._reading.start()
                except RuntimeError as exc:
                    # The instance can have no more threads.
                    self._reading = None
                    self._failed(exc)

    def hurry(self, seconds: float) -> None:
        """Reads again, in time before it is due, unless that was begun within so many seconds."""
        with self._lock:
            self._next = min(self._next, self._began + seconds)
        self.start()

    def _awaited(self) -> T:
        """What there is once it has been read; what there was, where that fails and it may count on."""
        ends = time.monotonic() + PATIENCE_S
        self._join(ends)
        if self._clock() - self._at > self._ages.waited_for:
            # That reading may have begun when the last request came, long ago, and have stood still since.
            self.start()
            self._join(ends)
        value, now = self._value, self._clock()
        if value is None or now - self._at > self._ages.last_good:
            again = max(1, round(RETRY_S if self._reading is not None else self._next - now))
            raise AuthUnavailable(
                f"Nobody can be let in without the {self._what}, and there is none. Ask again in {again} s.",
                retry_after=again,
            )
        return value

    def _join(self, ends: float) -> None:
        reading = self._reading
        if reading is not None:
            reading.join(max(0.0, ends - time.monotonic()))

    def _look(self, now: float) -> None:
        try:
            self._value = self._read(self._value)
            self._at = now
            self._counts_for = self._ages.waited_for
        except Exception as exc:  # noqa: BLE001 - whatever it is, the last value may count on
            self._failed(exc)
        finally:
            self._reading = None

    def _failed(self, exc: Exception) -> None:
        if self._value is None:
            self._next = min(self._next, self._clock() + RETRY_S)
            log.error("nobody is let in: no %s", self._what, exc_info=exc)
            return
        # Who asks does not wait for the next try, which may take as long to fail.
        self._counts_for = self._ages.last_good
        left = max(0, round(self._ages.last_good - (self._clock() - self._at)))
        fields = {"last_one_counts_s": left}
        log.error("the %s cannot be read again", self._what, exc_info=exc, extra={"fields": fields})
