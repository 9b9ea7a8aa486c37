"""Builds the fast lane of a wrapper, and accepts it only if it answers as the wrapper itself does."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from deploy import graphs
from model_functions.artifact.manifest import EngineRecord
from model_functions.engines import Tokens
from model_functions.engines.graph import GraphTagger
from model_functions.errors import InvalidInput
from model_functions.wrapper import ModelWrapper

ENGINES = ("auto", "torch", "onnxruntime", "openvino")
PRECISIONS = ("auto", "float32", "float16")

#: The engine that ``auto`` tries. With BERT-base on two cores onnxruntime is ready and has predicted in 0.2 s, in
#: 490 MB, with 68 MB in the image; openvino in 0.6 s, in 660 MB, with 180 MB (tests/benchmarks/cold).
FASTEST = "onnxruntime"

#: What is accepted, in parts of the largest output: the rounding of another kernel, or of halved weights.
TOLERANCE = {"float32": 1e-4, "float16": 2e-3}


class NotEqual(ValueError):
    """The graph does not answer as the model does."""


@dataclass(frozen=True)
class Lane:
    """A wrapper with what runs it.

    Args:
        note: for the publisher: how equal it is, or why there is no graph.
    """

    wrapper: ModelWrapper
    record: EngineRecord
    note: str = ""


def build(wrapper: ModelWrapper, engine: str, precision: str, examples: list[Any]) -> Lane:
    """The wrapper in the lane that is asked for; ``auto`` falls back to the wrapper as it is.

    Raises ValueError when the engine that is asked for cannot run it, or not within the tolerance.
    """
    own = Lane(wrapper, EngineRecord("sklearn" if wrapper.family == "tabular" else "torch"))
    if engine == "torch":
        return own
    if not _has_graph(wrapper):
        if engine == "auto":
            return own
        raise ValueError(f"There is no graph of {wrapper.family} models for {engine}. Leave --engine out.")
    failures: list[str] = []
    try:
        model = _export(wrapper.engine, examples)  # type: ignore[attr-defined]
        for tried in ("float16", "float32") if precision == "auto" else (precision,):
            try:
                return _lane(wrapper, FASTEST if engine == "auto" else engine, tried, model, examples)
            except NotEqual as exc:
                failures.append(f"{tried}: {exc}")
    except Exception as exc:  # noqa: BLE001 - an exporter fails in its own ways on the models it does not know
        failures.append(f"{type(exc).__name__}: {str(exc).partition(chr(10))[0][:300]}")
    if engine == "auto":
        return Lane(wrapper, own.record, f"no fast lane: {'; '.join(failures)}")
    raise ValueError(f"{engine} cannot serve this model: {'; '.join(failures)}. Publish with --engine torch.")


def _has_graph(wrapper: ModelWrapper) -> bool:
    return type(getattr(wrapper, "engine", None)).__name__ == "TransformersTagger"


def _export(engine: Any, examples: list[Any]) -> Any:
    text = next(iter(_texts(examples)), "a text of some words")
    # Two texts of different lengths, so that the exporter sees padding.
    return graphs.export(engine.model, engine.encode([text, f"{text} {text}"[: len(text) + 20]]), "logits")


def _lane(wrapper: ModelWrapper, engine: str, precision: str, model: Any, examples: list[Any]) -> Lane:
    from model_functions.engines.tokenizers import FastTokenizer

    own: Any = wrapper.engine  # type: ignore[attr-defined]
    tokenizer = FastTokenizer.of(own.tokenizer, list(own.encode(["a"]).arrays), own.max_tokens)
    graph = graphs.BUILDERS[engine](model, half=precision == "float16")
    tagger = GraphTagger(tokenizer, graph, own.labels)
    fast = copy.copy(wrapper)
    fast.engine = tagger  # type: ignore[attr-defined]
    stored = _as_stored(fast)
    tolerance = TOLERANCE[precision]
    difference = max(_difference(own, stored.engine, batch) for batch in _batches(own, examples))  # type: ignore[attr-defined]
    if not difference <= tolerance:  # a NaN is no number within it either
        raise NotEqual(f"its outputs differ by {difference:.1e} of the largest, and {tolerance:.0e} is accepted")
    for example in examples:
        if not _close(wrapper.predict(example), stored.predict(example), tolerance):
            raise NotEqual("it predicts otherwise for an example")
    note = f"{engine} in {precision}: differs from torch by {difference:.1e} (accepted: {tolerance:.0e})"
    return Lane(stored, EngineRecord(engine, precision, tolerance), note)


def _as_stored(wrapper: ModelWrapper) -> ModelWrapper:
    """The wrapper as a function will load it, in the precision that is stored."""
    from model_functions.artifact import stream

    loaded: ModelWrapper = stream.load_and_list(stream.dump(wrapper))[0]
    return loaded


def _texts(examples: list[Any]) -> Iterator[str]:
    for example in examples:
        yield from (text for text in (example if isinstance(example, list) else [example]) if isinstance(text, str))


def _batches(engine: Any, examples: list[Any]) -> Iterator[list[str]]:
    """The examples alone, in halves, and all in one batch: other lengths and paddings than the export saw."""
    texts = list(_texts(examples))
    halves = [half for text in texts for half in (text[: len(text) // 2], text[len(text) // 2 :])]
    batches = [[text] for text in (*texts, *halves)] + [texts + halves, ["a"]]
    for batch in batches:
        try:
            engine.encode(batch)
        except InvalidInput:
            continue
        yield batch


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


def _close(one: Any, other: Any, tolerance: float) -> bool:
    """Whether two predictions are equal but for numbers that differ within the tolerance."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= tolerance * max(1.0, abs(one))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_close(value, other[key], tolerance) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_close, one, other, [tolerance] * len(one)))
    return bool(one == other)
