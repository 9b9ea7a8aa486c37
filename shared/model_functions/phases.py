"""Where a request's time went, for ``Server-Timing`` and the log."""

import time

#: Milliseconds by phase, as texts.
Entries = list[tuple[str, str]]


class Phases:
    """Milliseconds by phase, in the order in which the phases began.

    A phase inside another one is taken out of it, and ``other`` is what no phase covers: together they are the
    wall time. For one thread.
    """

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.milliseconds: dict[str, float] = {}
        self.recorded = 0.0
        """When ``record`` was called last; 0 before."""
        self._stack: list[str] = []
        self._since = 0.0

    def __call__(self, name: str) -> "_Phase":
        """A block of the phase."""
        return _Phase(self, name)

    def begin(self, name: str) -> None:
        self._charge()
        self._stack.append(name)
        self.milliseconds.setdefault(name, 0.0)

    def end(self) -> None:
        self._charge()
        self._stack.pop()

    def record(self, name: str, seconds: float) -> None:
        """Adds what another thread has spent on the request, or what this one has measured itself."""
        self.milliseconds[name] = self.milliseconds.get(name, 0.0) + seconds * 1000
        self.recorded = time.perf_counter()

    def start_earlier(self, started: float, **seconds: float) -> None:
        """Counts from a moment before these phases were made, whose time went into the phases named."""
        self.started = started
        before = {name: duration * 1000 for name, duration in seconds.items()}
        self.milliseconds = before | self.milliseconds

    def of_another_thread(self) -> "Phases":
        """Phases of what is done there meanwhile, for ``add`` when that is over."""
        phases = Phases()
        phases.started = self.started
        return phases

    def add(self, done: "Phases") -> None:
        """Counts what another thread has done meanwhile."""
        self.started = min(self.started, done.started)
        self.milliseconds = done.milliseconds | self.milliseconds

    def ledger(self) -> dict[str, float]:
        """Milliseconds by phase, with ``other`` and their sum, ``total``: the wall time until now."""
        return {name: round(duration, 1) for name, duration in self._durations()}

    def entries(self) -> Entries:
        """The ledger as it is written."""
        return [(name, f"{duration:.1f}") for name, duration in self._durations()]

    def _durations(self) -> list[tuple[str, float]]:
        self._charge()
        total = (self._since - self.started) * 1000
        if not self.milliseconds:
            return [("total", total)]
        other = total - sum(self.milliseconds.values())
        return [*self.milliseconds.items(), ("other", other), ("total", total)]

    def _charge(self) -> None:
        """Gives the time since the last charge to the innermost phase."""
        now = time.perf_counter()
        if self._stack:
            self.milliseconds[self._stack[-1]] += (now - self._since) * 1000
        self._since = now


class _Phase:
    """What ``with phases(name):`` enters; a generator would take three times as long."""

    __slots__ = ("_name", "_phases")

    def __init__(self, phases: Phases, name: str) -> None:
        self._phases = phases
        self._name = name

    def __enter__(self) -> None:
        self._phases.begin(self._name)

    def __exit__(self, *raised: object) -> None:
        self._phases.end()


def server_timing(entries: Entries) -> str:
    """As the ``Server-Timing`` header has it: ``download;dur=12.3, load;dur=4.5, total;dur=17.0``."""
    return ", ".join([f"{name};dur={milliseconds}" for name, milliseconds in entries])
