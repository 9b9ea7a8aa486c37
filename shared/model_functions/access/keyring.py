"""The keys that count now, as their list says."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from model_functions.access.identity import KeyHolder
from model_functions.access.keys import AccessKey, KeyList
from model_functions.access.quota import TokenBucket
from model_functions.access.renewal import Ages, Renewal
from model_functions.errors import ManifestInvalid

#: Seconds for which the last list counts while it cannot be read again.
LAST_GOOD_S = 600.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Keyring:
    """The holders of keys, by the keys' ids."""

    serial: int
    holders: Mapping[str, KeyHolder]


def keyring(
    read: Callable[[], KeyList], refresh_s: float, clock: Callable[[], float] = time.monotonic
) -> Renewal[Keyring]:
    """The keys' holders.

    Args:
        read: the list; raises where there is none that counts.
        refresh_s: for which a revoked key counts at most; halfway the list is read again, and nobody waits for it.
        clock: seconds that never go back.
    """
    ages = Ages(refresh_s / 2, refresh_s, max(LAST_GOOD_S, refresh_s))
    return Renewal("key list", lambda last: _renewed(read(), last, clock), ages, clock)


def _renewed(found: KeyList, last: Keyring | None, clock: Callable[[], float]) -> Keyring:
    if last is not None:
        if found.serial == last.serial:
            return last
        if found.serial < last.serial:
            raise ManifestInvalid(
                f"The key list has the serial {found.serial}, and {last.serial} was read before: an old list was put "
                "back. Write it again: python -m deploy keys"
            )
    log.info("read the key list", extra={"fields": {"serial": found.serial, "keys": len(found.keys)}})
    before = {} if last is None else last.holders
    return Keyring(found.serial, {key.id: KeyHolder(key, _bucket(key, before, clock)) for key in found.keys})


def _bucket(key: AccessKey, before: Mapping[str, KeyHolder], clock: Callable[[], float]) -> TokenBucket | None:
    """The one that the key had before, unless its quota is another now."""
    if key.rate is None:
        return None
    burst = key.burst or max(1, round(key.rate))
    old = before[key.id].bucket if key.id in before else None
    if old is not None and (old.rate, old.burst) == (key.rate, burst):
        return old
    return TokenBucket(key.rate, burst, clock)
