"""Who asks, as keys and ID tokens prove it, and what it may."""

import math
import time
from collections.abc import Collection
from fnmatch import fnmatchcase
from functools import lru_cache

from model_functions.access.keys import AccessKey
from model_functions.access.quota import TokenBucket
from model_functions.errors import Forbidden, KeyExpired, RateLimited, Unauthenticated

#: Seconds by which a clock may be wrong, of ours or of who set when a key or a token begins and ends.
LEEWAY_S = 60

#: The scope of who may ask every model.
EVERYTHING = ("*/*",)


class Known:
    """A caller who is known.

    Args:
        name: for the log.
        may: of settings.ACTIONS.
        scopes: the models that it may ask, as FAMILY/MODEL.
    """

    def __init__(self, name: str, may: Collection[str], scopes: tuple[str, ...] = EVERYTHING) -> None:
        self.name: str | None = name
        self._may = frozenset(may)
        self._scopes = scopes
        self._sees_all = "*/*" in scopes

    def check_may(self, action: str) -> None:
        """Raises Forbidden."""
        if action not in self._may:
            raise forbidden()

    def check(self, family: str | None, model: str) -> None:
        if not self._sees_all and not _covered(self._scopes, family, model):
            raise forbidden()

    def sees(self, family: str, model: str) -> bool:
        return self._sees_all or _covered(self._scopes, family, model)

    def take(self) -> None:
        """Whom an ID token proves has no quota here."""


class KeyHolder(Known):
    """Who has a key.

    Args:
        bucket: of the requests that it may still make; None: any number.
    """

    def __init__(self, key: AccessKey, bucket: TokenBucket | None) -> None:
        super().__init__(key.id, key.may, key.scopes)
        self.key = key
        self.bucket = bucket
        self.digest = bytes.fromhex(key.digest)
        self._begins = math.inf if key.revoked is not None else key.not_before - LEEWAY_S
        self._ends = math.inf if key.expires is None else key.expires + LEEWAY_S

    def check_time(self) -> None:
        """Raises Unauthenticated, KeyExpired."""
        now = time.time()
        if now < self._begins:
            raise unauthenticated()
        if now > self._ends:
            raise KeyExpired("The access key has expired. Ask for a new one.")

    def take(self) -> None:
        seconds = 0.0 if self.bucket is None else self.bucket.take()
        if seconds:
            again = math.ceil(seconds)
            raise RateLimited(
                f"The access key may ask {self.key.rate:g} times a second. Ask again in {again} s.", retry_after=again
            )


def unauthenticated() -> Unauthenticated:
    """The same for whatever is wrong with a key."""
    return Unauthenticated(
        'Nobody is let in without an access key that counts. Send yours as "X-Api-Key: KEY", or as '
        '"Authorization: Bearer KEY".'
    )


def forbidden() -> Forbidden:
    """The same for all that a caller may not, whether it is there or not."""
    return Forbidden("This is not for the key or account that asks. Ask for one whose scope has it.")


@lru_cache(maxsize=4096)
def _covered(scopes: tuple[str, ...], family: str | None, model: str) -> bool:
    # What no family has is for the eyes of who may ask every family for a model of that name: to the others, it must
    # look like one that they may not ask.
    for scope in scopes:
        families, _, models = scope.partition("/")
        if (families == "*" if family is None else fnmatchcase(family, families)) and fnmatchcase(model, models):
            return True
    return False
