"""What an instance does before it ends: it answers what it has, for as long as it may, and takes nothing more."""

from model_functions.caller import Caller
from model_functions.errors import Draining


class Drain:
    """One for a process; it begins with the signal that ends it.

    Args:
        running: those who wait for an answer now.
    """

    def __init__(self) -> None:
        self.running = set[Caller]()
        self.has_begun = False

    def begin(self) -> None:
        """From now on nothing is taken."""
        self.has_begun = True

    def check(self) -> None:
        """For what has just come. Raises Draining."""
        if self.has_begun:
            raise _refusal("This instance is about to end and takes nothing more.")

    def send_away(self) -> None:
        """Whoever still waits is told to ask another instance."""
        error = _refusal("This instance had to end before the answer was there.")
        for caller in self.running.copy():
            caller.send_away(error)


def _refusal(what: str) -> Draining:
    text = f"{what} Ask again: another one answers."
    return Draining(text, headers={"Connection": "close"}, retry_after=1)


#: This process's. In somebody's site it never begins: the site's own server ends it.
DRAIN = Drain()
