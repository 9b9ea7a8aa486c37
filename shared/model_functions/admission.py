"""Who is let into the instance's memory, who goes for it, and what those hear for whom there is no room."""

import logging
import math
import threading
from collections.abc import Callable, Sequence

from model_functions import memory
from model_functions.artifact.manifest import MemoryNeed
from model_functions.budget import MemoryBudget, either
from model_functions.errors import InsufficientMemory, ModelTooLarge
from model_functions.loaded import Entry

log = logging.getLogger(__name__)


class Average:
    """Seconds that something takes lately."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        weight = 0.2 if self.seconds else 1.0
        self.seconds += weight * (seconds - self.seconds)


class Admission:
    """The models in memory and those on their way there, within its budget. Whoever asks holds the ``lock``.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, budget: MemoryBudget[Entry], clock: Callable[[], float]) -> None:
        self.budget = budget
        self.clock = clock
        self.lock = threading.Lock()
        self.entries: dict[str, Entry] = {}
        """What each name means now, the least recently used first."""
        self.loads, self.uses = Average(), Average()
        self.evictions = 0

    def admit(self, entry: Entry, need: MemoryNeed) -> None:
        """Makes room for the model and takes it. Raises InsufficientMemory, ModelTooLarge."""
        name = entry.name
        if self.budget.alone(need) > self.budget.size:
            raise self._too_large(name, need)
        leaving = self._leaving(need, self._idle())
        if not self.budget.fits(need, without=leaving):
            raise self._no_room(name, need)
        self._evict(leaving, name)
        self.budget.admit(entry, need)
        entry.since = self.clock()

    def admit_successor(self, old: Entry, arriving: Entry, first: MemoryNeed, need: MemoryNeed) -> bool:
        """Makes room for another revision, and says whether it is beside the old one; if not, that one leaves first.

        Args:
            first: what the old one needs, to come back if the other fails.

        Raises InsufficientMemory, ModelTooLarge.
        """
        others = [entry for entry in self._idle() if entry is not old]
        leaving = self._leaving(need, others)
        if self.budget.fits(need, without=leaving):
            self._evict(leaving, arriving.name)
            self.budget.admit(arriving, need)
            return True
        # For whichever comes back: what the old one needs is not given away meanwhile.
        both = either(need, first)
        if self.budget.alone(both) > self.budget.size:
            raise self._too_large(arriving.name, both)
        leaving = self._leaving(both, others, [old])
        if not self.budget.fits(both, without=[old, *leaving]):
            raise self._no_room(arriving.name, both)
        self._evict(leaving, arriving.name)
        self.budget.release(old)
        self.budget.admit(arriving, both)
        self.replace(old, arriving)
        return False

    def replace(self, old: Entry, arriving: Entry) -> None:
        """From now on the name means the other entry."""
        self.entries[old.name] = arriving
        old.leaving = old.replaced = True
        self.leave(old)

    def leave(self, entry: Entry) -> None:
        """The entry goes, if nobody uses it any more."""
        if entry.users:
            return
        if entry.replaced:
            entry.left.set()
            return
        if self.entries.get(entry.name) is not entry:
            return
        name = entry.name
        del self.entries[name]
        self.budget.release(entry)
        # Whoever used it last may hold it for a moment.
        entry.forget()
        memory.reclaim()
        log.info("unloaded %s", name, extra={"fields": {"model": name}})

    def _idle(self) -> list[Entry]:
        """Models that nobody uses, the least recently used first."""
        return [entry for entry in self.entries.values() if entry.loaded and not entry.users]

    def _leaving(self, need: MemoryNeed, idle: Sequence[Entry], gone: Sequence[Entry] = ()) -> list[Entry]:
        """As many idle models as must go; all of them if even that is not enough.

        Args:
            gone: those that go in any case.
        """
        leaving: list[Entry] = []
        for entry in idle:
            if self.budget.fits(need, without=[*gone, *leaving]):
                break
            leaving.append(entry)
        return leaving

    def _evict(self, entries: list[Entry], arriving: str) -> None:
        for entry in entries:
            del self.entries[entry.name]
            self.budget.release(entry)
            entry.forget()
            self.evictions += 1
            log.info("evicted %s", entry.name, extra={"fields": {"model": entry.name, "for": arriving}})
        if entries:
            # Under the lock, so that nobody is admitted to memory that is not free yet.
            memory.reclaim()

    def _too_large(self, name: str, need: MemoryNeed) -> ModelTooLarge:
        needed = self.budget.alone(need)
        log.warning("no memory for %s, ever", name, extra={"fields": {"model": name, "needed": needed}})
        size = memory.deployable(needed)
        return ModelTooLarge(
            f"{name} needs {memory.spelled(needed + self.budget.reserve)}, requests included, and this function has "
            f"{memory.spelled(self.budget.limit)}. "
            + (f"Deploy it with --memory={size}." if size else "No function has more than 32Gi: publish a smaller one.")
        )

    def _no_room(self, name: str, need: MemoryNeed) -> InsufficientMemory:
        """The refusal, with the seconds after which the model is expected to fit.

        A model in the way is expected to be free when its latest use has taken what uses take lately; one that is
        being loaded, after a load and a use. Those that are free first make room first. The last one whose room
        is needed tells the seconds: one at least, for those that take longer than usual.
        """
        idle = self._idle()
        free_after = {entry: self._expected(entry) for entry in self.budget if entry not in idle}
        in_the_way: list[Entry] = []
        for other in sorted(free_after, key=free_after.__getitem__):
            if self.budget.fits(need, without=[*idle, *in_the_way]):
                break
            in_the_way.append(other)
        seconds = max(1, math.ceil(free_after[in_the_way[-1]]))
        names = sorted({entry.name for entry in in_the_way})
        fields = {"model": name, "in_the_way": names, "retry_after": seconds}
        log.warning("no memory for %s now", name, extra={"fields": fields})
        in_use, needed = self.budget.total(without=idle), self.budget.total(need, without=idle)
        size = memory.deployable(needed)
        return InsufficientMemory(
            f"{name} needs {memory.spelled(needed - in_use)}, and {memory.spelled(self.budget.size - in_use)} can be "
            f"had while {' and '.join(names)} {'is' if len(names) == 1 else 'are'} in use. "
            f"Ask again in {seconds} s" + (f", or deploy the function with --memory={size}." if size else "."),
            retry_after=seconds,
        )

    def _expected(self, entry: Entry) -> float:
        """Seconds until nobody is expected to use the entry."""
        seconds = self.uses.seconds if entry.loaded else self.loads.seconds + self.uses.seconds
        return seconds - (self.clock() - entry.since)
