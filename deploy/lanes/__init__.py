"""What a fast lane is; one module for each kind of engine that has one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_functions import processor
from model_functions.artifact.manifest import EngineRecord
from model_functions.errors import InvalidInput
from model_functions.predictions import close
from model_functions.wrapper import ModelWrapper

#: What is accepted, in parts of the largest output, by the words of EngineRecord: the rounding of another kernel, of
#: halved weights, of bf16 (0.2 % in each of some seventy products in a row), of int8.
TOLERANCE = {"fp32": 1e-4, "fp16": 2e-3, "bf16": 5e-2, "int8": 5e-2, "int8-weights": 5e-2}

#: What is accepted of what a model answers of its outputs, in parts of the largest: of bf16 less than of the outputs
#: themselves, which random weights leave nearly equal, so that the rounding seems large beside them. A trained MiniLM
#: has 1 % in bf16, and 5 % in int8, where one in thirty texts is nearest to another text than in full precision.
ANSWERED = TOLERANCE | {"bf16": 2e-2}

#: Characters beyond which no model takes a text for a short one.
LONG = 4000


class NotEqual(ValueError):
    """The graph does not answer as the model does."""


@dataclass(frozen=True)
class Lane:
    """A wrapper with what runs it.

    Args:
        note: for the publisher: how equal it is, or why there is no graph.
        faster: lanes for processors that compute in their precision, the fastest first; this one is for any.
    """

    wrapper: ModelWrapper
    record: EngineRecord
    note: str = ""
    faster: "tuple[Lane, ...]" = ()


def check_native(precision: str) -> None:
    """Raises NotEqual where this processor does not compute in the precision: nothing would show what it answers."""
    if not processor.computes(precision):
        raise NotEqual(f"this machine's processor does not compute in {precision}, so it cannot be compared here")


def check_single(model: Any) -> None:
    """Raises ValueError for a torch model with weights of another type: a graph computes them otherwise."""
    kinds = {str(weights.dtype) for weights in model.parameters()}
    if kinds != {"torch.float32"}:
        raise ValueError(f"its weights are {', '.join(sorted(kinds))}, and only float32 is equal in both")


def accepted(stored: ModelWrapper, engine: str, precision: str, difference: float) -> Lane:
    """The lane of a wrapper whose outputs have been found equal enough."""
    tolerance = TOLERANCE[precision]
    note = f"{engine} in {precision}: differs from torch by {difference:.1e} (accepted: {tolerance:.0e})"
    return Lane(stored, EngineRecord(engine, precision, tolerance), note)


def checked_difference(
    differences: Iterable[float], precision: str, what: str = "outputs", accept: dict[str, float] = TOLERANCE
) -> float:
    """The largest of them. Raises NotEqual where it is more than the precision explains."""
    # By numpy, whose largest is NaN where there is one.
    difference, tolerance = float(np.max(list(differences))), accept[precision]
    if not difference <= tolerance:
        raise NotEqual(f"its {what} differ by {difference:.1e} of the largest, and {tolerance:.0e} is accepted")
    return difference


def apart(expected: NDArray[Any], found: NDArray[Any]) -> float:
    """The largest difference of two outputs, in parts of the largest output."""
    return float(np.abs(expected - found).max() / max(1.0, np.abs(expected).max()))


def as_stored(wrapper: ModelWrapper) -> ModelWrapper:
    """The wrapper as a function will load it, in the precision that is stored."""
    from model_functions.artifact import stream

    loaded: ModelWrapper = stream.load_and_list(stream.dump(wrapper))[0]
    return loaded


def texts_of(examples: Any) -> Iterator[str]:
    """Every string in the examples, however deep."""
    if isinstance(examples, str):
        yield examples
    elif isinstance(examples, dict | list):
        for part in examples.values() if isinstance(examples, dict) else examples:
            yield from texts_of(part)


def batches(encode: Any, examples: list[Any]) -> Iterator[list[str]]:
    """The examples alone, in halves, and all in one batch: other lengths and paddings than the export saw."""
    texts = list(texts_of(examples))
    halves = [half for text in texts for half in (text[: len(text) // 2], text[len(text) // 2 :])]
    for batch in [[text] for text in (*texts, *halves)] + [texts + halves, ["a"]]:
        try:
            encode(batch)
        except InvalidInput:
            continue
        yield batch


def longest(encode: Any, examples: list[Any]) -> list[str]:
    """The first example said over and over, as far as the model reads: some models attend otherwise to long texts."""
    text = next(texts_of(examples), "a")
    while len(text) < LONG:
        try:
            encode([f"{text} {text}"])
        except InvalidInput:
            break
        text = f"{text} {text}"
    return [text]


def check_predictions(wrapper: ModelWrapper, stored: ModelWrapper, examples: list[Any], tolerance: float) -> None:
    """Raises NotEqual where they predict otherwise."""
    for example in examples:
        if not close(wrapper.predict(example), stored.predict(example), tolerance):
            raise NotEqual("it predicts otherwise for an example")
