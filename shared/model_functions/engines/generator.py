"""Writes texts from two graphs and a tokenizer, as TransformersGenerator does, without torch and transformers."""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model_functions.engines import Tokens, unknown_language
from model_functions.engines.search import Check, Floats, Integers, Rules, measured


class Graph(Protocol):
    def outputs(self, arrays: dict[str, NDArray[Any]]) -> list[Floats]:
        """All that the graph gives for its inputs, by name."""


class Tokenizer(Protocol):
    def encode(self, texts: list[str], around: tuple[list[int], list[int]] | None = None) -> Tokens:
        """Raises InvalidInput for a text with more tokens than the model reads."""

    def decode(self, sequences: Integers) -> list[str]:
        """The texts without special tokens."""


@dataclass(frozen=True)
class Language:
    """A language of a model that knows several.

    Args:
        token: the first of an answer in it.
        around: the special tokens before and behind a text in it.
    """

    token: int
    around: tuple[list[int], list[int]]


@dataclass(frozen=True)
class Facts:
    """What else a generator knows of its model.

    Args:
        longest_answer: in tokens; None: any.
        defaults: the generation parameters that the model brings with it.
        source_language: of texts that name none; None for a model of one language.
        cache: heads and their size, for each of the arrays that a step remembers.
    """

    longest_answer: int | None
    defaults: dict[str, Any]
    source_language: str | None
    languages: dict[str, Language]
    cache: list[tuple[int, int]]


class GraphGenerator:
    """An encoder-decoder as graphs.

    Args:
        reader: from ``input_ids`` and ``attention_mask`` to what the steps look up of the text: ``source_0`` and on.
        stepper: from ``token``, ``attention_mask``, ``past_0`` and on and ``source_0`` and on to the scores of the
            tokens that may follow, and the next ``past_0`` and on.
    """

    def __init__(self, tokenizer: Tokenizer, reader: Any, stepper: Any, rules: Rules, facts: Facts) -> None:
        self.tokenizer = tokenizer
        self.reader: Graph = reader
        self.stepper: Graph = stepper
        self.rules = rules
        self.facts = facts

    @property
    def multilingual(self) -> bool:
        return self.facts.source_language is not None

    @property
    def longest_answer(self) -> int | None:
        return self.facts.longest_answer

    def encode_from(self, texts: list[str], language: str | None) -> Tokens:
        if self.facts.source_language is None:
            return self.tokenizer.encode(texts)
        spoken = self._language(language or self.facts.source_language, "source_language")
        return self.tokenizer.encode(texts, spoken.around)

    @property
    def copied_bytes(self) -> tuple[int, int]:
        copied = sum(getattr(graph, "copied_bytes", 0) for graph in (self.reader, self.stepper))
        return copied, copied

    def generate(self, tokens: Tokens, parameters: dict[str, Any], check: Check | None = None) -> Integers:
        return self.generate_together([tokens], parameters, check)[0]

    def generate_together(
        self, batch: list[Tokens], parameters: dict[str, Any], check: Check | None = None
    ) -> list[Integers]:
        """What ``generate`` gives for each of these, which are read and written side by side.

        Args:
            check: called before each step; what it raises ends the work.
        """
        rules, target = self.rules, parameters.get("target_language")
        if target is not None:
            rules = replace(rules, first=self._language(target, "target_language").token)
        tokens, counts = _joined(batch, rules.pad), [len(one.arrays["input_ids"]) for one in batch]
        sequences, lengths = measured(self.begin(tokens), sum(counts), rules, parameters, check)
        ends = np.cumsum(counts)[:-1] * parameters["num_return_sequences"]
        parts = zip(np.split(sequences, ends), np.split(lengths, ends), strict=True)
        return [part[:, : longest.max()] for part, longest in parts]

    def begin(self, tokens: Tokens) -> "Writing":
        """The model, having read the texts."""
        mask = tokens.arrays["attention_mask"]
        source = self.reader.outputs({"input_ids": tokens.arrays["input_ids"], "attention_mask": mask})
        return Writing(self.stepper, mask, source, self.facts.cache)

    def decode(self, sequences: Integers) -> list[str]:
        return [text.strip() for text in self.tokenizer.decode(sequences)]

    def generation_defaults(self) -> dict[str, Any]:
        return self.facts.defaults

    def _language(self, code: str, parameter: str) -> Language:
        if code not in self.facts.languages:
            raise unknown_language(code, parameter, self.facts.languages)
        return self.facts.languages[code]


def _joined(batch: list[Tokens], pad: int) -> Tokens:
    """The texts of several batches as one."""
    if len(batch) == 1:
        return batch[0]
    width = max(tokens.arrays["input_ids"].shape[1] for tokens in batch)
    arrays = {}
    for name, filler in (("input_ids", pad), ("attention_mask", 0)):
        parts = [tokens.arrays[name] for tokens in batch]
        filled = [np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=filler) for part in parts]
        arrays[name] = np.concatenate(filled)
    return Tokens(arrays, [], [])


class Writing:
    """A decoder that remembers what its earlier steps computed."""

    def __init__(self, stepper: Graph, mask: Integers, source: list[Floats], cache: list[tuple[int, int]]) -> None:
        self._stepper = stepper
        self._texts = np.arange(len(mask))
        self._read = {"attention_mask": mask} | {f"source_{index}": array for index, array in enumerate(source)}
        self._past = [np.zeros((len(mask), heads, 0, size), dtype=np.float32) for heads, size in cache]

    def step(self, tokens: Integers) -> Floats:
        past = {f"past_{index}": array for index, array in enumerate(self._past)}
        logits, *self._past = self._stepper.outputs({"token": tokens} | self._read | past)
        return logits

    def select(self, rows: Integers) -> None:
        if np.array_equal(rows, np.arange(len(self._texts))):
            return
        texts = self._texts[rows]
        self._past = [array[rows] for array in self._past]
        # Beams of one text share what was read of it.
        if not np.array_equal(texts, self._texts):
            self._read = {name: array[rows] for name, array in self._read.items()}
            self._texts = texts
