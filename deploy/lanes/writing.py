"""The fast lane of a wrapper that goes on with texts: one graph for all that write side by side, and a tokenizer."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from deploy.lanes import (
    Lane,
    NotEqual,
    accepted,
    apart,
    as_stored,
    check_predictions,
    check_single,
    checked_difference,
    flat_graphs,
    texts_of,
)
from deploy.lanes.flat_graphs import Exported
from model_functions.engines.paged_writer import Facts, PagedWriter
from model_functions.engines.pages import PAGE_TOKENS, pages_for
from model_functions.errors import InvalidInput
from model_functions.wrapper import ModelWrapper

ENGINES = ("openvino",)

#: As fast_lane's. Unasked, an answer is the same alone and among others, which rounding in bf16 does not promise.
PLANS: dict[tuple[str, str], list[tuple[str, ...]]] = {
    ("openvino", "auto"): [("fp32",)],
    ("openvino", "fp32"): [("fp32",)],
    ("openvino", "bf16"): [("bf16", "fp16")],
    ("openvino", "int8"): [("int8", "int8-weights")],
}

#: Texts as long as the model reads that find room side by side, as far as the memory goes: this much, or half as much
#: as the weights take.
SIDE_BY_SIDE, PAGES_BYTES = 8, 512 * 2**20

#: Searches whose answers must be equal in single precision.
SEARCHES: tuple[dict[str, Any], ...] = (
    {"num_beams": 1, "num_return_sequences": 1, "do_sample": False, "max_new_tokens": 24, "min_new_tokens": 0},
    {"num_beams": 3, "num_return_sequences": 3, "do_sample": False, "max_new_tokens": 8, "min_new_tokens": 0},
)

#: Tokens of the longest text that is compared: a model may attend otherwise to a long one.
LONG = 1500


def export(wrapper: Any, examples: list[Any]) -> Exported:
    """Raises ValueError for a model whose answers the lane could not give."""
    own = wrapper.engine
    tokenizer_of(own)
    check_single(own.model)
    return flat_graphs.export(own.model)


def build(wrapper: ModelWrapper, engine: str, precision: str, model: Exported, examples: list[Any]) -> Lane:
    """Raises NotEqual where the graph does not answer as the model does."""
    own: Any = wrapper.engine  # type: ignore[attr-defined]
    graph = flat_graphs.graph_of(model, precision, pages(model, own.positions))
    fast: Any = copy.copy(wrapper)
    fast.engine = PagedWriter(
        tokenizer_of(own), graph, own.rules, own.chat, Facts(own.positions, own.generation_defaults())
    )
    stored: Any = as_stored(fast)
    prompts = list(_prompts(wrapper, stored, examples))
    difference = checked_difference(
        (_difference(own, stored.engine, prompt) for prompt in prompts), precision, "scores"
    )
    if precision == "fp32":
        for text in _texts(examples):
            _check_answer(wrapper, stored, text)
        if not wrapper.parameters["do_sample"].default:
            check_predictions(wrapper, stored, examples, 0.0)
    return accepted(stored, engine, precision, difference)


def pages(model: Exported, positions: int | None) -> int:
    """As many as the longest texts fill side by side, within the memory that they may take."""
    own = PAGE_TOKENS * sum(layer.token_bytes for layer in model.layers)
    room = max(PAGES_BYTES, flat_graphs.weights_bytes(model) // 2) // own
    return room if positions is None else min(room, SIDE_BY_SIDE * pages_for(positions))


def tokenizer_of(own: Any) -> Any:
    from model_functions.engines.tokenizers import FastTokenizer

    return FastTokenizer.of(own.tokenizer, ["input_ids"], own.max_tokens, pads=False)


def _texts(examples: list[Any]) -> list[str]:
    texts = list(texts_of(examples))
    return [part for text in texts for part in (text, text[: len(text) // 2 + 1])]


def _prompts(wrapper: Any, stored: Any, examples: list[Any]) -> Iterator[list[int]]:
    """The examples, whole and in halves, and a long text, as tokens. Raises NotEqual for other tokens."""
    own, fast = wrapper.engine, stored.engine
    for text in [*_texts(examples), "a"]:
        for special in (True, False):
            numbers = own.numbers(text, special=special)
            if numbers != fast.numbers(text, special=special):
                raise NotEqual("its tokenizer gives other tokens")
            if own.text(numbers) != fast.text(numbers):
                raise NotEqual("its tokenizer makes another text of the same tokens")
        if numbers := own.numbers(text, special=True):
            yield numbers
    room = min(own.positions or LONG, LONG)
    yield np.resize(np.array(numbers or [0]), room - 1).tolist()


def _difference(own: Any, fast: PagedWriter, prompt: list[int]) -> float:
    """The largest difference of what follows the prompt, and of what follows that."""
    expected, found, largest = own.read([prompt]), fast.read([prompt]), 0.0
    tokens = np.array([prompt[-1:]])
    try:
        for _ in range(2):
            scores = expected.step(tokens)
            largest = max(largest, apart(scores, found.step(tokens)))
            tokens = scores.argmax(axis=1, keepdims=True)
    finally:
        found.close()
    return largest


def _check_answer(wrapper: Any, stored: Any, text: str) -> None:
    """Raises NotEqual where the likeliest answer is another one, alone or with beams."""
    for search in SEARCHES:
        try:
            expected = wrapper.predict(text, search)
        except InvalidInput:
            continue
        if stored.predict(text, search) != expected:
            raise NotEqual(f"it writes something else with num_beams={search['num_beams']}")
