"""The keys that count now: read from their list, again and again."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from model_functions.access.identity import KeyHolder
from model_functions.access.keys import AccessKey, KeyList
from model_functions.access.quota import TokenBucket
from model_functions.errors import AuthUnavailable, ManifestInvalid

#: Intervals after which a request waits for the list, instead of being let in by the last one.
WAITED_FOR = 2
#: Seconds for which it waits.
PATIENCE_S = 5.0
#: Seconds for which the last list counts while it cannot be read again.
LAST_GOOD_S = 600.0
#: Seconds until the next try where there is no list at all.
RETRY_S = 5.0

log = logging.getLogger(__name__)


class _Known(NamedTuple):
    """The list as it was read.

    Args:
        at: when its reading began: what was changed after that, it may lack.
    """

    at: float
    serial: int
    holders: Mapping[str, KeyHolder]


class Keyring:
    """The holders of keys, by the keys' ids.

    The list is read in a thread of its own, at most once an interval whatever is asked, and in time for nobody to wait.
    Only who asks after nobody did for two intervals waits for it. So a revoked key counts for two intervals at most.

    Args:
        read: raises where there is no list that counts.
        clock: seconds that never go back.
    """

    def __init__(
        self, read: Callable[[], KeyList], interval_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._interval_s = interval_s
        self._clock = clock
        self._known: _Known | None = None
        self._reading: threading.Thread | None = None
        self._next = clock()
        self._lock = threading.Lock()

    @property
    def is_fresh(self) -> bool:
        """Whether ``holders`` waits for nothing."""
        known = self._known
        if known is not None and self._clock() - known.at <= WAITED_FOR * self._interval_s:
            return True
        return self._reading is None and self._clock() < self._next

    def holders(self) -> Mapping[str, KeyHolder]:
        """Raises AuthUnavailable."""
        known = self._known
        if known is None or self._clock() - known.at > self._interval_s:
            self.start()
            known = self._known
            if known is None or self._clock() - known.at > WAITED_FOR * self._interval_s:
                known = self._awaited()
        return known.holders

    def start(self) -> None:
        """Reads the list, if that is due, while somebody does something else."""
        with self._lock:
            now = self._clock()
            if self._reading is None and now >= self._next:
                self._next = now + self._interval_s
                self._reading = threading.Thread(target=self._look, args=(now,), name="keys", daemon=True)
                self._reading.start()

    def _awaited(self) -> _Known:
        """The list once it has been read, or the last one while that may count on."""
        ends = time.monotonic() + PATIENCE_S
        # A reading may have begun when the last request came, long ago, and have stood still since then: one more.
        for _ in range(2):
            reading = self._reading
            if reading is not None:
                reading.join(max(0.0, ends - time.monotonic()))
                self.start()
        known, now = self._known, self._clock()
        if known is None or now - known.at > max(LAST_GOOD_S, WAITED_FOR * self._interval_s):
            again = max(1, round(self._next - now))
            raise AuthUnavailable(f"Nobody can be let in: there is no list of keys. Ask again in {again} s.", retry_after=again)
        return known

    def _look(self, now: float) -> None:
        try:
            self._known = self._found(now, self._read())
        except Exception as exc:  # noqa: BLE001 - whatever it is, the last list counts on for a while
            self._failed(exc)
        finally:
            self._reading = None

    def _found(self, now: float, found: KeyList) -> _Known:
        known = self._known
        if known is not None and found.serial < known.serial:
            raise ManifestInvalid(
                f"The key list has the serial {found.serial}, and {known.serial} was read before: an old list was put back. "
                "Write it again: python -m deploy keys"
            )
        if known is not None and found.serial == known.serial:
            return known._replace(at=now)
        log.info("read the key list", extra={"fields": {"serial": found.serial, "keys": len(found.keys)}})
        before = known.holders if known is not None else {}
        return _Known(now, found.serial, {key.id: KeyHolder(key, self._bucket(key, before)) for key in found.keys})

    def _bucket(self, key: AccessKey, before: Mapping[str, KeyHolder]) -> TokenBucket | None:
        """The one that the key had before, unless its quota is another now."""
        if key.rate is None:
            return None
        burst = key.burst or max(1, round(key.rate))
        old = before[key.id].bucket if key.id in before else None
        if old is not None and (old.rate, old.burst) == (key.rate, burst):
            return old
        return TokenBucket(key.rate, burst, self._clock)

    def _failed(self, exc: Exception) -> None:
        if self._known is None:
            self._next = min(self._next, self._clock() + RETRY_S)
            log.error("there is no list of keys: nobody is let in", exc_info=exc)
        else:
            left = max(0, round(LAST_GOOD_S - (self._clock() - self._known.at)))
            log.error("the list of keys cannot be read again", exc_info=exc, extra={"fields": {"last_one_counts_s": left}})
