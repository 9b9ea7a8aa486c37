"""The fast lane of a wrapper that labels tokens: one graph and a tokenizer."""

import copy
from typing import Any

import numpy as np

from deploy import graphs
from deploy.lanes import TOLERANCE, Lane, NotEqual, as_stored, batches, check_predictions, longest, texts_of
from model_functions.artifact.manifest import EngineRecord
from model_functions.engines import Tokens
from model_functions.engines.graph import GraphTagger
from model_functions.wrapper import ModelWrapper

ENGINES = tuple(graphs.BUILDERS)


def export(wrapper: Any, examples: list[Any]) -> Any:
    text = next(texts_of(examples), "a text of some words")
    # Two texts of different lengths, so that the exporter sees padding.
    tokens = wrapper.engine.encode([text, f"{text} {text}"[: len(text) + 20]])
    return graphs.export(wrapper.engine.model, tokens, "logits")


def build(wrapper: ModelWrapper, engine: str, precision: str, model: Any, examples: list[Any]) -> Lane:
    """Raises NotEqual where the graph does not answer as the model does."""
    from model_functions.engines.tokenizers import FastTokenizer

    own: Any = wrapper.engine  # type: ignore[attr-defined]
    tokenizer = FastTokenizer.of(own.tokenizer, list(own.encode(["a"]).arrays), own.max_tokens)
    graph = graphs.BUILDERS[engine](model, half=precision == "float16")
    fast: Any = copy.copy(wrapper)
    fast.engine = GraphTagger(tokenizer, graph, own.labels)
    stored: Any = as_stored(fast)
    tolerance = TOLERANCE[precision]
    tried = [*batches(own.encode, examples), longest(own.encode, examples)]
    # By numpy, whose largest is NaN where there is one.
    difference = float(np.max([_difference(own, stored.engine, batch) for batch in tried]))
    if not difference <= tolerance:
        raise NotEqual(f"its outputs differ by {difference:.1e} of the largest, and {tolerance:.0e} is accepted")
    check_predictions(wrapper, stored, examples, tolerance)
    note = f"{engine} in {precision}: differs from torch by {difference:.1e} (accepted: {tolerance:.0e})"
    return Lane(stored, EngineRecord(engine, precision, tolerance), note)


def _difference(own: Any, fast: Any, texts: list[str]) -> float:
    """The largest difference of two outputs, in parts of the largest output. Raises NotEqual for other tokens."""
    tokens, others = own.encode(texts), fast.encode(texts)
    if not _same_tokens(tokens, others):
        raise NotEqual("its tokenizer gives other tokens")
    expected, found = own.logits(tokens), fast.logits(others)
    return float(np.abs(expected - found).max() / max(1.0, np.abs(expected).max()))


def _same_tokens(own: Tokens, fast: Tokens) -> bool:
    same = own.words == fast.words and own.spans == fast.spans and own.arrays.keys() == fast.arrays.keys()
    return same and all(np.array_equal(array, fast.arrays[name]) for name, array in own.arrays.items())
