"""How often a caller may ask: a token bucket, each instance's own."""

import threading
import time
from collections.abc import Callable


class TokenBucket:
    """Holds ``burst`` at most, and fills by ``rate`` a second; each request takes one.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self.burst = burst
        self._clock = clock
        self._left = float(burst)
        self._filled = clock()
        self._lock = threading.Lock()

    def take(self) -> float:
        """0 for a request that may go on, else the seconds until one may."""
        with self._lock:
            now = self._clock()
            self._left = min(self.burst, self._left + (now - self._filled) * self.rate)
            self._filled = now
            if self._left >= 1:
                self._left -= 1
                return 0.0
            return (1 - self._left) / self.rate
