"""Where a request's time went, for ``Server-Timing`` and the log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Phases:
    """Milliseconds by phase, in the order in which the phases began."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        self.milliseconds.setdefault(name, 0.0)
        try:
            yield
        finally:
            self.milliseconds[name] += (time.perf_counter() - started) * 1000

    def server_timing(self) -> str:
        """As the ``Server-Timing`` header has it: ``download;dur=12.3, load;dur=4.5``."""
        return ", ".join(f"{name};dur={duration:.1f}" for name, duration in self.milliseconds.items())
