"""The fast lane: a graph and tokenizers, without the framework that the model was trained in."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model_functions.engines import Tokens
from model_functions.engines.texts import length, widened


class Graph(Protocol):
    """A model as an engine runs it."""

    multiple: int
    """Texts are filled up to a multiple of so many tokens."""

    def run(self, arrays: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """The graph's first output for its inputs, by name."""


class Tokenizer(Protocol):
    max_tokens: int | None

    def encode(self, texts: list[str], *, pairs: list[str] | None = None, truncate: bool = False) -> Tokens:
        """Raises InvalidInput for a text with more tokens than the model reads, unless it is to be truncated."""


def _of_tokens(graph: Graph, tokenizer: Tokenizer, tokens: Tokens) -> NDArray[np.float32]:
    """What the graph gives for each token of the batch."""
    wide = widened(tokens, graph.multiple, tokenizer.max_tokens)
    output, width = graph.run(wide.arrays), length(tokens)
    return output[:, length(wide) - width :] if tokens.padded_left else output[:, :width]


class GraphImageClassifier:
    """Labels images; what ImageClassifier answers, from a graph."""

    def __init__(self, graph: Any, labels: list[str]) -> None:
        self.graph: Graph = graph
        self.labels = labels

    def logits(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.graph.run({"pixel_values": pixels})


class GraphTagger:
    """Labels every token; what TransformersTagger answers, from a graph."""

    def __init__(self, tokenizer: Tokenizer, graph: Any, labels: list[str]) -> None:
        self.tokenizer = tokenizer
        self.graph: Graph = graph
        self.labels = labels

    def encode(self, texts: list[str]) -> Tokens:
        return self.tokenizer.encode(texts)

    def logits(self, tokens: Tokens) -> NDArray[np.float32]:
        return _of_tokens(self.graph, self.tokenizer, tokens)


class GraphClassifier:
    """Labels texts; what TransformersClassifier answers, from a graph."""

    def __init__(self, tokenizer: Tokenizer, graph: Any, labels: list[str], function_to_apply: str) -> None:
        self.tokenizer = tokenizer
        self.graph: Graph = graph
        self.labels = labels
        self.function_to_apply = function_to_apply

    def encode(self, texts: list[str], pairs: list[str] | None = None) -> Tokens:
        return self.tokenizer.encode(texts, pairs=pairs)

    def logits(self, tokens: Tokens) -> NDArray[np.float32]:
        return self.graph.run(widened(tokens, self.graph.multiple, self.tokenizer.max_tokens).arrays)


class GraphEmbedder:
    """Gives tokens vectors; what TransformersEmbedder answers, from a graph."""

    def __init__(self, tokenizer: Tokenizer, graph: Any) -> None:
        self.tokenizer = tokenizer
        self.graph: Graph = graph

    def encode(self, texts: list[str], *, truncate: bool = False) -> Tokens:
        return self.tokenizer.encode(texts, truncate=truncate)

    def last_hidden_state(self, tokens: Tokens) -> NDArray[np.float32]:
        return _of_tokens(self.graph, self.tokenizer, tokens)
