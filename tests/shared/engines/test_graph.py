"""Graphs are asked for texts of few different widths, and nobody sees it in the answers."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model_functions.engines import Tokens
from model_functions.engines.graph import GraphClassifier, GraphEmbedder, GraphTagger
from model_functions.engines.texts import padded

PAD = 7


class Echo:
    """Gives for each token its number, and keeps what it was asked."""

    multiple = 4

    def run(self, arrays: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        self.arrays = arrays
        return arrays["input_ids"][:, :, None].astype(np.float32)


class Reads:
    """A tokenizer that is asked for nothing but its limit."""

    def __init__(self, max_tokens: int | None = None) -> None:
        self.max_tokens = max_tokens


def asked(limit: int | None = None, *, side: str = "right", rows: list[list[int]] | None = None) -> tuple[Echo, Tokens]:
    graph, tokens = Echo(), padded(rows or [[1, 2, 3, 4, 5], [6, 8]], PAD, side, None)
    found = GraphTagger(Reads(limit), graph, []).logits(tokens)  # type: ignore[arg-type]
    assert found[:, :, 0].tolist() == tokens.arrays["input_ids"].tolist()
    return graph, tokens


@pytest.mark.parametrize(("limit", "width"), [(None, 8), (8, 8), (6, 6), (5, 5)])
def test_texts_are_filled_up_to_the_next_multiple_that_the_model_reads(limit: int | None, width: int) -> None:
    graph, _ = asked(limit)
    assert graph.arrays["input_ids"].tolist() == [
        [1, 2, 3, 4, 5] + [PAD] * (width - 5),
        [6, 8] + [PAD] * (width - 2),
    ]
    assert graph.arrays["attention_mask"].tolist() == [[1] * 5 + [0] * (width - 5), [1] * 2 + [0] * (width - 2)]


def test_on_the_side_where_the_tokenizer_does() -> None:
    graph, _ = asked(side="left")
    assert graph.arrays["input_ids"].tolist() == [[PAD] * 3 + [1, 2, 3, 4, 5], [PAD] * 6 + [6, 8]]


def test_what_fits_is_not_copied() -> None:
    graph, tokens = asked(rows=[[1, 2, 3, 4]])
    assert graph.arrays is tokens.arrays


def test_a_model_without_a_mask_sees_no_padding() -> None:
    graph, tokens = Echo(), Tokens({"input_ids": np.array([[1, 2, 3]])}, [], [])
    assert GraphEmbedder(Reads(), graph).last_hidden_state(tokens).shape == (1, 3, 1)  # type: ignore[arg-type]
    assert graph.arrays["input_ids"].shape == (1, 3)


def test_classifiers_fill_up_too() -> None:
    graph, tokens = Echo(), padded([[1, 2, 3]], PAD, "right", None)
    GraphClassifier(Reads(), graph, [], "softmax").logits(tokens)  # type: ignore[arg-type]
    assert graph.arrays["input_ids"].tolist() == [[1, 2, 3, PAD]]
