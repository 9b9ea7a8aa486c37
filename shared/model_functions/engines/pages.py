"""Which pages of memory hold which sequence's keys and values."""

from collections.abc import Iterable
from typing import NamedTuple

from model_functions.engines.search import Integers

#: Tokens of a page: the only size that OpenVINO's kernel for processors knows.
PAGE_TOKENS = 32


class Row(NamedTuple):
    """The next tokens of a sequence.

    Args:
        past: tokens before them, whose keys and values lie in the pages.
        pages: with room for these tokens too.
    """

    tokens: Integers
    past: int
    pages: list[int]


def pages_for(tokens: int) -> int:
    """How many pages so many tokens take."""
    return -(-tokens // PAGE_TOKENS)


class Pages:
    """So many pages, each of one sequence, or of several whose beginnings are the same.

    Who takes some has reserved them before: an answer that has begun never lacks room.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.reserved = 0
        # The lowest first: memory that nobody has written to yet costs nothing.
        self._free = list(range(count - 1, -1, -1))
        self._owners = [0] * count

    @property
    def taken(self) -> int:
        return self.count - len(self._free)

    def reserve(self, count: int) -> bool:
        """Whether there are so many that nobody else has reserved: they are kept then."""
        if self.reserved + count > self.count:
            return False
        self.reserved += count
        return True

    def give_back(self, count: int) -> None:
        """Ends a reservation."""
        self.reserved -= count

    def take(self) -> int:
        page = self._free.pop()
        self._owners[page] = 1
        return page

    def share(self, pages: Iterable[int]) -> None:
        """One sequence more has these."""
        for page in pages:
            self._owners[page] += 1

    def release(self, pages: Iterable[int]) -> None:
        """One sequence less has these."""
        for page in pages:
            self._owners[page] -= 1
            if self._owners[page] == 0:
                self._free.append(page)
