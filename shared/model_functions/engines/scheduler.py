"""Writes the answers to many prompts side by side: each step takes everybody's a token further.

Prompts come and answers leave between steps. A prompt is read in parts beside the answers that go on, so that a long
one does not keep them waiting, and it waits itself while the pages are others'.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np

from model_functions.engines.choice import Choice
from model_functions.engines.pages import PAGE_TOKENS, Pages, Row, pages_for
from model_functions.engines.search import Floats, Integers

#: Tokens of prompts that a step reads: beside answers that go on, and where there are none.
BESIDE, ALONE = 64, 512


class Graph(Protocol):
    """A decoder whose attention reads pages."""

    pages: int

    def run(self, rows: list[Row]) -> Floats:
        """How likely each token is to follow each row; valid until the next run."""

    def copy(self, page: int, other: int) -> None:
        """Makes the other page the same."""

    def memory_bytes(self) -> int:
        """Of all pages, at most."""


class Sequence:
    """Tokens, those first of them that have been read, and where their keys and values lie."""

    def __init__(self, tokens: Integers) -> None:
        self._tokens = tokens
        self.count = len(tokens)
        self.read = 0
        self.pages: list[int] = []

    @property
    def tokens(self) -> Integers:
        return self._tokens[: self.count]

    def add(self, token: int) -> None:
        if self.count == len(self._tokens):
            # Room for as many more, in an array that nobody else has.
            self._tokens = np.append(self._tokens, np.empty(self.count + PAGE_TOKENS, dtype=np.int64))
        self._tokens[self.count] = token
        self.count += 1

    def row(self, until: int, pages: Pages) -> Row:
        """What the model reads of it next."""
        while len(self.pages) * PAGE_TOKENS < until:
            self.pages.append(pages.take())
        return Row(self._tokens[self.read : until], self.read, self.pages)


class Seat:
    """A claim to so many pages, for as long as it is not over.

    Args:
        need: pages.
    """

    def __init__(self, need: int) -> None:
        self.need = need
        self.taken = self.left = False

    @property
    def over(self) -> bool:
        return self.left


class Text(Seat):
    """A prompt whose answers are written.

    Args:
        longest: an answer, in tokens.
        choices: one for each answer.
        take: is told each answer's tokens by its number, and says whether it goes on.
    """

    def __init__(
        self, prompt: list[int], longest: int, choices: list[Choice], take: Callable[[int, int], bool]
    ) -> None:
        super().__init__(need(len(prompt), longest, len(choices)))
        self.sequences = [Sequence(np.array(prompt, dtype=np.int64)) for _ in choices]
        self.choices, self.take = choices, take
        self.going_on = list(range(len(choices)))
        self.length = 0
        """Of the answers, in tokens; 0 until the prompt has been read to its end."""
        self.failure: Exception | None = None

    @property
    def over(self) -> bool:
        return self.left or self.failure is not None or not self.going_on


def need(prompt: int, longest: int, answers: int) -> int:
    """The pages that answers to a prompt of so many tokens may take: they share those that the prompt fills."""
    shared = prompt // PAGE_TOKENS
    # An answer's last token is never read.
    return shared + answers * (pages_for(prompt + longest - 1) - shared)


class Scheduler:
    """All that one model writes. Only one thread may be inside at a time, ``leave`` excepted."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.pages = Pages(graph.pages)
        self._waiting: deque[Seat] = deque()
        self._seats: list[Seat] = []

    def join(self, seat: Seat) -> None:
        """Lets it wait for its pages; a text is written from then on."""
        if seat.need > self.pages.count:
            raise ValueError(f"It needs {seat.need} pages, and there are {self.pages.count}.")
        self._waiting.append(seat)

    def leave(self, seat: Seat) -> None:
        """Gives its pages to others before the next step; whoever hangs up is in no step."""
        seat.left = True

    def step(self) -> None:
        """Takes all that goes on a token further, and reads on in prompts. What fails is told to its text alone."""
        self._settle()
        texts = [seat for seat in self._seats if isinstance(seat, Text)]
        rows = [
            (text, text.sequences[number], text.sequences[number].count)
            for text in texts
            if text.length > 0
            for number in text.going_on
        ]
        room = BESIDE if rows else ALONE
        for text in texts:
            if text.length == 0 and room > 0:
                sequence = text.sequences[0]
                until = min(sequence.count, sequence.read + room)
                room -= until - sequence.read
                rows.append((text, sequence, until))
        if rows:
            self._run(rows)

    def _run(self, rows: list[tuple[Text, Sequence, int]]) -> None:
        try:
            scores = self.graph.run([sequence.row(until, self.pages) for _, sequence, until in rows])
        except Exception as exc:  # noqa: BLE001 - whatever it is, their owners raise it
            for text, _, _ in rows:
                text.failure = exc
            return
        found: dict[int, tuple[Text, list[Floats]]] = {}
        for (text, sequence, until), row in zip(rows, scores, strict=True):
            sequence.read = until
            if until == sequence.count:
                found.setdefault(id(text), (text, []))[1].append(row)
        for text, own in found.values():
            try:
                self._write(text, own)
            except Exception as exc:  # noqa: BLE001 - the same
                text.failure = exc

    def _write(self, text: Text, scores: list[Floats]) -> None:
        """Adds a token to each of the text's answers."""
        if text.length == 0:
            for other in text.sequences[1:]:
                self.fork(text.sequences[0], other)
            scores *= len(text.sequences)
        text.length += 1
        for number, row in zip(list(text.going_on), scores, strict=True):
            sequence = text.sequences[number]
            token = text.choices[number].token(row, sequence.tokens, text.length)
            sequence.add(token)
            if not text.take(number, token):
                text.going_on.remove(number)
                self.release([sequence])

    def fork(self, sequence: Sequence, other: Sequence) -> None:
        """Gives the other what this one has read: the pages that it fills, and copies of what it goes on in."""
        full = sequence.read // PAGE_TOKENS
        other.read, other.pages = sequence.read, sequence.pages[:full]
        self.pages.share(other.pages)
        for page in sequence.pages[full : pages_for(sequence.read)]:
            other.pages.append(self.pages.take())
            self.graph.copy(page, other.pages[-1])

    def release(self, sequences: Iterable[Sequence]) -> None:
        for sequence in sequences:
            self.pages.release(sequence.pages)
            sequence.pages = []

    def _settle(self) -> None:
        """Takes the pages of those that are over, and gives those that wait their seats, in the order they came."""
        for seat in [seat for seat in self._seats if seat.over]:
            self._seats.remove(seat)
            self.pages.give_back(seat.need)
            if isinstance(seat, Text):
                self.release(seat.sequences)
        self._waiting = deque(seat for seat in self._waiting if not seat.over)
        while self._waiting and self.pages.reserve(self._waiting[0].need):
            seat = self._waiting.popleft()
            seat.taken = True
            self._seats.append(seat)


class PagedDecoder:
    """One prompt's beams: what a search steps through by itself, in the pages of a seat that it has taken."""

    def __init__(self, scheduler: Scheduler, prompt: list[int]) -> None:
        self._scheduler = scheduler
        self._sequences = [Sequence(np.array(prompt[:-1], dtype=np.int64))]

    def step(self, tokens: Integers) -> Floats:
        for sequence, token in zip(self._sequences, tokens[:, -1].tolist(), strict=True):
            sequence.add(token)
        while True:
            parts = [(one, min(one.count, one.read + ALONE)) for one in self._sequences]
            scores = self._scheduler.graph.run([one.row(until, self._scheduler.pages) for one, until in parts])
            for one, until in parts:
                one.read = until
            if all(one.read == one.count for one in self._sequences):
                return scores.copy()

    def select(self, rows: Integers) -> None:
        before, found = self._sequences, list[Sequence]()
        uses = Counter(rows.tolist())
        self._scheduler.release(sequence for row, sequence in enumerate(before) if row not in uses)
        for row in rows.tolist():
            uses[row] -= 1
            if uses[row] == 0:
                # The last that goes on from a row has its pages for itself.
                found.append(before[row])
                continue
            found.append(Sequence(before[row].tokens.copy()))
            self._scheduler.fork(before[row], found[-1])
        self._sequences = found

    def close(self) -> None:
        self._scheduler.release(self._sequences)
