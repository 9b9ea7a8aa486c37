"""Who may ask for what: what a guard of the front door is, and what it finds out about a caller."""

from collections.abc import Mapping
from typing import Protocol


class Identity(Protocol):
    """A caller, once it is known who it is."""

    @property
    def name(self) -> str | None:
        """For the log: a key's id, an account's address; None for anybody."""

    def check(self, family: str | None, model: str) -> None:
        """Refuses a model that the caller may not ask, whether there is such a model or not.

        Args:
            family: None where no family has the model.

        Raises Forbidden.
        """

    def sees(self, family: str, model: str) -> bool:
        """Whether the model is for the caller's eyes."""

    def take(self) -> None:
        """Counts a request against the caller's quota. Raises RateLimited."""


class Guard(Protocol):
    """Lets callers in, or not, by what their headers prove."""

    def is_fresh(self, headers: Mapping[str, str]) -> bool:
        """Whether ``admit`` waits for nothing, given these headers."""

    def admit(self, headers: Mapping[str, str], action: str) -> Identity:
        """Who asks.

        Args:
            headers: by lower-case name.
            action: one of settings.ACTIONS.

        Raises Unauthenticated, KeyExpired, Forbidden, AuthUnavailable.
        """


class _Anybody:
    name = None

    def check(self, family: str | None, model: str) -> None:
        pass

    def sees(self, family: str, model: str) -> bool:
        return True

    def take(self) -> None:
        pass


#: Who asks where nobody is asked who it is.
ANYBODY: Identity = _Anybody()
