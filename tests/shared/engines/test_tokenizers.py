"""The fast lane's tokenizer against transformers' own."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_functions.engines.tokenizers import FastTokenizer
from model_functions.errors import InvalidInput
from model_functions.families.token_classification import TokenClassificationWrapper
from tests import tiny_models

WORDS = st.lists(st.sampled_from([*tiny_models.VOCABULARY[4:25], "Ünknown", "x" * 3]), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def both(tagger: TokenClassificationWrapper) -> tuple[Any, FastTokenizer]:
    own: Any = tagger.engine
    return own, FastTokenizer.of(own.tokenizer, list(own.encode(["a"]).arrays), own.max_tokens)


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(WORDS.map(" ".join), min_size=1, max_size=4))
def test_tokens_words_and_spans_are_the_same(both: tuple[Any, FastTokenizer], texts: list[str]) -> None:
    own, fast = both
    expected, found = own.encode(texts), fast.encode(texts)
    assert (found.words, found.spans) == (expected.words, expected.spans)
    assert {name: array.tolist() for name, array in found.arrays.items()} == {
        name: array.tolist() for name, array in expected.arrays.items()
    }


def test_a_text_that_is_too_long_is_refused(both: tuple[Any, FastTokenizer]) -> None:
    for engine in both:
        with pytest.raises(InvalidInput, match="The text has 61 tokens; the model reads 32"):
            engine.encode(["anna " * 60])


def test_an_input_that_only_transformers_makes_is_refused(both: tuple[Any, FastTokenizer]) -> None:
    with pytest.raises(ValueError, match="makes bbox"):
        FastTokenizer.of(both[0].tokenizer, ["input_ids", "bbox"], None)
