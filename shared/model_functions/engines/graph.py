"""The fast lane: a graph and tokenizers, without the framework that the model was trained in."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model_functions.engines import Tokens


class Graph(Protocol):
    """A model as an engine runs it."""

    def run(self, arrays: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """The graph's first output for its inputs, by name."""


class Tokenizer(Protocol):
    def encode(self, texts: list[str], *, pairs: list[str] | None = None, truncate: bool = False) -> Tokens:
        """Raises InvalidInput for a text with more tokens than the model reads, unless it is to be truncated."""


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
        return self.graph.run(tokens.arrays)


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
        return self.graph.run(tokens.arrays)


class GraphEmbedder:
    """Gives tokens vectors; what TransformersEmbedder answers, from a graph."""

    def __init__(self, tokenizer: Tokenizer, graph: Any) -> None:
        self.tokenizer = tokenizer
        self.graph: Graph = graph

    def encode(self, texts: list[str], *, truncate: bool = False) -> Tokens:
        return self.tokenizer.encode(texts, truncate=truncate)

    def last_hidden_state(self, tokens: Tokens) -> NDArray[np.float32]:
        return self.graph.run(tokens.arrays)
