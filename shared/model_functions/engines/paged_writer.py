"""Goes on with texts as TransformersWriter does, from a graph and a tokenizer, for all callers side by side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from model_functions.engines.pages import PAGE_TOKENS
from model_functions.engines.scheduler import Graph, PagedDecoder, Scheduler, need
from model_functions.engines.search import Rules

if TYPE_CHECKING:
    # A model without a template needs no jinja2.
    from model_functions.engines.chat import ChatTemplate


class Tokenizer(Protocol):
    def numbers(self, text: str, *, special: bool) -> list[int]:
        """The text's tokens."""

    def text(self, numbers: list[int]) -> str:
        """The text of tokens, without special ones."""

    def specials(self) -> dict[int, str]:
        """The special tokens, and their texts."""

    @property
    def vocabulary(self) -> int:
        """How many tokens there are."""


@dataclass(frozen=True)
class Facts:
    """What else a writer knows of its model.

    Args:
        positions: of a prompt and its answer together; None: any number.
        defaults: the generation parameters that the model brings with it.
    """

    positions: int | None
    defaults: dict[str, Any]


class PagedWriter:
    """A decoder as a graph whose attention reads pages."""

    def __init__(self, tokenizer: Any, graph: Any, rules: Rules, chat: ChatTemplate | None, facts: Facts) -> None:
        self.tokenizer: Tokenizer = tokenizer
        self.graph: Graph = graph
        self.rules = rules
        self.chat = chat
        self.facts = facts

    @property
    def positions(self) -> int | None:
        room = self.graph.pages * PAGE_TOKENS
        return room if self.facts.positions is None else min(self.facts.positions, room)

    @cached_property
    def scheduler(self) -> Scheduler:
        return Scheduler(self.graph)

    def fits(self, prompt: int, longest: int, answers: int) -> bool:
        return need(prompt, longest, answers) <= self.graph.pages

    def numbers(self, text: str, *, special: bool) -> list[int]:
        return self.tokenizer.numbers(text, special=special)

    def text(self, numbers: list[int]) -> str:
        return self.tokenizer.text(numbers)

    def specials(self) -> dict[int, str]:
        return self.tokenizer.specials()

    @property
    def vocabulary(self) -> int:
        return self.tokenizer.vocabulary

    def read(self, prompts: list[list[int]]) -> PagedDecoder:
        [prompt] = prompts
        return PagedDecoder(self.scheduler, prompt)

    def generation_defaults(self) -> dict[str, Any]:
        return self.facts.defaults

    def memory_bytes(self) -> int:
        """What the sequences may take beside the weights."""
        return self.graph.memory_bytes()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "scheduler"}
