"""Where a request's time went, for ``Server-Timing`` and the log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Phases:
    """Milliseconds by phase, in the order in which the phases began.

    A phase inside another one is taken out of it, so that the phases add up to the time they cover. One thread's.
    """

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}
        self._stack: list[str] = []
        self._since = 0.0

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self._charge()
        self._stack.append(name)
        self.milliseconds.setdefault(name, 0.0)
        try:
            yield
        finally:
            self._charge()
            self._stack.pop()

    def add(self, name: str, milliseconds: float) -> None:
        """A phase that was measured elsewhere."""
        self.milliseconds[name] = self.milliseconds.get(name, 0.0) + milliseconds

    def server_timing(self) -> str:
        """As the ``Server-Timing`` header has it: ``download;dur=12.3, load;dur=4.5``."""
        return ", ".join(f"{name};dur={duration:.1f}" for name, duration in self.milliseconds.items())

    def _charge(self) -> None:
        """Gives the time since the last charge to the innermost phase."""
        now = time.perf_counter()
        if self._stack:
            self.milliseconds[self._stack[-1]] += (now - self._since) * 1000
        self._since = now
