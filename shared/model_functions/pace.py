"""How long a model takes lately, which decides who runs it: whoever asks, the event loop, or the queue's own thread."""

#: What takes no longer is run by the thread that asks, while nothing else runs: to wake another would take as long.
QUICK_S = 0.0005
#: What takes no longer may run on an event loop, together with all that has arrived there: it would wait for Python's
#: lock as long, and be woken later.
SHORT_S = 0.005

#: A run that takes so many times as long as expected is taken for a machine's hiccup, unless the next one does too.
ODD = 8


class Pace:
    """How long a model takes lately."""

    def __init__(self) -> None:
        self._seconds = self._size = self._longest = 0.0
        self._is_warm = self._was_odd = False
        self.runs = 0
        self.slowest = 0.0
        """Seconds that the slowest requests take, when nobody is in their way."""

    def ran(self, seconds: float, *sizes: int) -> None:
        """Counts one run, if it is not the first: that one makes what the others find, and tells nothing of them.

        Args:
            sizes: of each request's part in it.
        """
        self.runs += 1
        if not self._is_warm:
            self._is_warm = True
            return
        size = sum(sizes)
        self._was_odd = not self._was_odd and 0 < ODD * self.expected(size) < seconds
        if not self._was_odd:
            weight = 0.1 if self._size else 1.0
            self._seconds += weight * (seconds - self._seconds)
            self._size += weight * (size - self._size)
        self._longest = max(seconds, 0.95 * self._longest)
        self.slowest = max(seconds * max(sizes) / size, 0.98 * self.slowest)

    def expected(self, size: int) -> float:
        """Seconds for rows of so much together; 0 before anything has run."""
        return self._seconds / self._size * size if self._size else 0.0

    @property
    def is_short(self) -> bool:
        """Whether an event loop may wait for it."""
        return 0 < self._seconds <= SHORT_S

    def is_quick(self, size: int) -> bool:
        return 0 < self._longest <= QUICK_S and self.expected(size) <= QUICK_S
