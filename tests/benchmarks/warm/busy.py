"""What others compute on the same cores while something is measured."""

import os
import time

#: Cores that others kept busy: with more, a figure is held against nothing.
DISTURBED = 0.2


class Busy:
    """How much others have computed since: where it is more than a little, a round tells nothing of the model."""

    def __init__(self) -> None:
        self._started, self._all, self._own = time.monotonic(), _busy_seconds(), time.process_time()

    def others(self) -> float:
        """In cores."""
        others = _busy_seconds() - self._all - (time.process_time() - self._own)
        return max(0.0, others / (time.monotonic() - self._started))


def _busy_seconds() -> float:
    """Of all cores, since they were started, with what other machines on them took."""
    with open("/proc/stat", encoding="ascii") as lines:
        user, nice, system, _idle, _waiting, *interrupts = map(int, lines.readline().split()[1:9])
    return sum((user, nice, system, *interrupts)) / os.sysconf("SC_CLK_TCK")
