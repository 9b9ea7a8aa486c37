"""The fast lane of a wrapper whose engine is an encoder: one graph and a tokenizer."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deploy.lanes import (
    ANSWERED,
    LONG,
    TOLERANCE,
    Lane,
    NotEqual,
    accepted,
    apart,
    as_stored,
    batches,
    check_predictions,
    checked_difference,
    graphs,
    longest,
    texts_of,
)
from model_functions.engines import Tokens
from model_functions.engines.graph import GraphClassifier, GraphEmbedder, GraphTagger
from model_functions.engines.scores import APPLIED, softmax
from model_functions.errors import InvalidInput
from model_functions.wrapper import ModelWrapper

ENGINES = tuple(graphs.BUILDERS)

#: What an engine's ``encode`` is given, by name.
Asked = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """An engine that has a lane.

    Args:
        output: the attribute of the model's answer, and the engine's method that gives it.
        made: the engine of the same answers from a tokenizer, a graph and the wrapper's own engine.
        more: in which other ways its ``encode`` is asked for batches of texts.
        answered: what is answered of the output, by the wrapper's own engine.
    """

    output: str
    made: Callable[[Any, Any, Any], Any]
    more: Callable[[list[list[str]]], list[Asked]] = lambda tried: []
    answered: Callable[[Any, NDArray[Any]], NDArray[Any]] = lambda own, output: output


def _as_pairs(tried: list[list[str]]) -> list[Asked]:
    return [{"texts": texts, "pairs": texts[::-1]} for texts in tried]


def _truncated(tried: list[list[str]]) -> list[Asked]:
    text = tried[0][0]
    return [{"texts": [text, f"{text} " * (LONG // len(text) + 1)], "truncate": True}]


def _scores(own: Any, logits: NDArray[Any]) -> NDArray[Any]:
    return APPLIED[own.function_to_apply](logits)


_KINDS = {
    "TransformersTagger": Kind(
        "logits",
        lambda tokens, graph, own: GraphTagger(tokens, graph, own.labels),
        answered=lambda own, logits: softmax(logits),
    ),
    "TransformersClassifier": Kind(
        "logits",
        lambda tokens, graph, own: GraphClassifier(tokens, graph, own.labels, own.function_to_apply),
        _as_pairs,
        _scores,
    ),
    "TransformersEmbedder": Kind(
        "last_hidden_state", lambda tokens, graph, own: GraphEmbedder(tokens, graph), _truncated
    ),
}

NAMES = tuple(_KINDS)


def export(wrapper: Any, examples: list[Any]) -> Any:
    text = next(texts_of(examples), "a text of some words")
    # Two texts of different lengths, so that the exporter sees padding.
    tokens = wrapper.engine.encode([text, f"{text} {text}"[: len(text) + 20]])
    return graphs.export(wrapper.engine.model, tokens, _KINDS[type(wrapper.engine).__name__].output)


def build(wrapper: ModelWrapper, engine: str, precision: str, model: Any, examples: list[Any]) -> Lane:
    """Raises NotEqual where the graph does not answer as the model does."""
    from model_functions.engines.tokenizers import FastTokenizer

    own: Any = wrapper.engine  # type: ignore[attr-defined]
    kind = _KINDS[type(own).__name__]
    tokenizer = FastTokenizer.of(own.tokenizer, list(own.encode(["a"]).arrays), own.max_tokens)
    graph = graphs.BUILDERS[engine](model, precision)
    fast: Any = copy.copy(wrapper)
    fast.engine = kind.made(tokenizer, graph, own)
    stored: Any = as_stored(fast)
    found = [_differences(kind, own, stored.engine, asked) for asked in _asked(kind, own.encode, examples)]
    difference = checked_difference((one.outputs for one in found), precision)
    checked_difference((one.answers for one in found), precision, "answers", ANSWERED)
    check_predictions(wrapper, stored, examples, TOLERANCE[precision])
    return accepted(stored, engine, precision, difference)


def _asked(kind: Kind, encode: Any, examples: list[Any]) -> Iterator[Asked]:
    tried = [*batches(encode, examples), longest(encode, examples)]
    yield from ({"texts": texts} for texts in tried)
    for asked in kind.more(tried):
        try:
            encode(**asked)
        except InvalidInput:
            continue
        yield asked


class _Differences(NamedTuple):
    """The largest of two outputs, and of what is answered of them, in parts of the largest."""

    outputs: float
    answers: float


def _differences(kind: Kind, own: Any, fast: Any, asked: Asked) -> _Differences:
    """Raises NotEqual for other tokens."""
    tokens, others = own.encode(**asked), fast.encode(**asked)
    if not _same_tokens(tokens, others):
        raise NotEqual("its tokenizer gives other tokens")
    expected, found = getattr(own, kind.output)(tokens), getattr(fast, kind.output)(others)
    return _Differences(apart(expected, found), apart(kind.answered(own, expected), kind.answered(own, found)))


def _same_tokens(own: Tokens, fast: Tokens) -> bool:
    same = own.words == fast.words and own.spans == fast.spans and own.arrays.keys() == fast.arrays.keys()
    return same and all(np.array_equal(array, fast.arrays[name]) for name, array in own.arrays.items())
