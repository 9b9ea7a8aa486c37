"""Failures that are remembered for a while: what is broken is not tried again for every request."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from model_functions.errors import ServingError, StoreUnavailable

#: Of a model that a request asks for, in seconds.
FIRST_S = 1
LONGEST_S = 60

#: Names that are remembered: while the store is away, any name of a request fails.
MOST = 1000


@dataclass(frozen=True)
class _Failure:
    """What happened, and for how long it counts.

    Args:
        count: of failures in a row that the model itself is to blame for.
    """

    error: ServingError
    until: float
    count: int


class Backoff:
    """The last failure of each name; the caller sees to it that one thread at a time asks.

    Args:
        first_s: seconds for which the first failure counts; each further one counts twice as long.
        longest_s: at most.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, first_s: int = FIRST_S, longest_s: int = LONGEST_S
    ) -> None:
        self._clock = clock
        self._first_s, self._longest_s = first_s, longest_s
        self._failures: dict[str, _Failure] = {}

    def check(self, name: str) -> None:
        """Raises the name's last failure again while it counts."""
        failure = self._failures.get(name)
        if failure is not None and failure.until > self._clock():
            raise self._told(failure)

    def remember(self, name: str, error: ServingError) -> ServingError:
        """The error as those who wait shall hear it; the one that is given must not be raised any more.

        A store that is away says nothing about the model: it is asked again after the first step, always.
        """
        known = self._failures.pop(name, None)
        count = known.count if known else 0
        seconds = self._first_s
        if not isinstance(error, StoreUnavailable):
            seconds = min(self._first_s * 2**count, self._longest_s)
            count += 1
        failure = _Failure(error, self._clock() + seconds, count)
        self._failures[name] = failure
        if len(self._failures) > MOST:
            del self._failures[next(iter(self._failures))]
        return self._told(failure)

    def forget(self, name: str) -> None:
        self._failures.pop(name, None)

    def _told(self, failure: _Failure) -> ServingError:
        # Only a 503 promises that a retry may help.
        retryable = failure.error.status == 503
        seconds = max(1, math.ceil(failure.until - self._clock()))
        return failure.error.again(seconds if retryable else None)
