"""Where a request's time went, for ``Server-Timing`` and the log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Phases:
    """Milliseconds by phase, in the order in which the phases began.

    A phase inside another one is taken out of it, and ``other`` is what no phase covers: together they are the
    wall time. For one thread.
    """

    def __init__(self) -> None:
        self.started = time.perf_counter()
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

    def record(self, name: str, seconds: float) -> None:
        """Adds what another thread has spent on the request, or what this one has measured itself."""
        self.milliseconds[name] = self.milliseconds.get(name, 0.0) + seconds * 1000

    def start_earlier(self, started: float, **seconds: float) -> None:
        """Counts from a moment before these phases were made, whose time went into the phases named."""
        self.started = started
        before = {name: duration * 1000 for name, duration in seconds.items()}
        self.milliseconds = before | self.milliseconds

    def ledger(self) -> dict[str, float]:
        """Milliseconds by phase, with ``other`` and their sum, ``total``: the wall time until now."""
        self._charge()
        total = (time.perf_counter() - self.started) * 1000
        other = {"other": total - sum(self.milliseconds.values())} if self.milliseconds else {}
        entries = self.milliseconds | other | {"total": total}
        return {name: round(duration, 1) for name, duration in entries.items()}

    def server_timing(self) -> str:
        """As the ``Server-Timing`` header has it: ``download;dur=12.3, load;dur=4.5, total;dur=17.0``."""
        return ", ".join(f"{name};dur={duration:.1f}" for name, duration in self.ledger().items())

    def _charge(self) -> None:
        """Gives the time since the last charge to the innermost phase."""
        now = time.perf_counter()
        if self._stack:
            self.milliseconds[self._stack[-1]] += (now - self._since) * 1000
        self._since = now
