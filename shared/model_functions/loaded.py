"""A model in memory, or on its way there: what is known of it, who waits for it, who uses it."""

import math
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

from model_functions.artifact.manifest import Manifest
from model_functions.caller import Caller
from model_functions.errors import ServingError
from model_functions.pace import Pace
from model_functions.tally import Tally
from model_functions.wrapper import ModelWrapper


@dataclass
class Freshness:
    """What is known of a revision's place in the store.

    Args:
        is_stale: whether the alias names another by now, or could not be asked.
    """

    is_stale: bool = False


@dataclass(frozen=True)
class LoadedModel:
    """A wrapper that is ready to predict.

    Args:
        pace: how long it takes lately.
        tally: of its answers.
    """

    wrapper: ModelWrapper
    manifest: Manifest
    pace: Pace = field(default_factory=Pace)
    tally: Tally = field(default_factory=Tally)
    freshness: Freshness = field(default_factory=Freshness)


@dataclass(eq=False)
class Entry:
    """One revision in the cache, from its first request to its eviction.

    Args:
        since: when its load or its latest use began.
        outcome: the model, or what made its load fail, for those who wait for it.
        ready: the model, once it is loaded.
        users: who wait for the model or use it; it stays while there are any.
        leaving: whether it goes with the last of them.
        look_at: when the next use has the store looked at for another revision.
        replaced: whether another has taken its place, which is told when it has ``left``.
    """

    name: str
    since: float
    outcome: Future[LoadedModel | ServingError] = field(default_factory=Future)
    ready: LoadedModel | None = None
    users: int = 0
    leaving: bool = False
    look_at: float = math.inf
    replaced: bool = False
    left: threading.Event = field(default_factory=threading.Event)

    @property
    def loaded(self) -> bool:
        return self.ready is not None

    def forget(self) -> None:
        self.ready, self.outcome = None, Future()

    def model(self, caller: Caller) -> LoadedModel:
        """Waits for the model. Raises what made its load fail, or the caller go."""
        if self.ready is not None:
            return self.ready
        waiting, settled = self.outcome, threading.Event()
        waiting.add_done_callback(lambda _: settled.set())
        while not waiting.done():
            caller.wait(settled)
            if not waiting.done():
                caller.check()
        outcome = waiting.result()
        if isinstance(outcome, ServingError):
            raise outcome.again()
        return outcome
