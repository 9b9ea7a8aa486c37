"""Marian's pieces against transformers' own tokenizer."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_functions.engines.sentencepiece import MarianPieces
from model_functions.engines.transformers import TransformersGenerator
from model_functions.errors import InvalidInput
from tests import tiny_models

PARTS = [
    "a x lives",
    "berlin",
    " ",
    "</s>",
    "<unk>",
    "<pad>",
    ">>rom<<",
    ">>",
    "<<",
    "<",
    "Ünknown ﬁ",
    "\n",
    "▁in",
    "r o",
]
TEXTS = st.lists(st.sampled_from(PARTS), min_size=1, max_size=5).map("".join)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, MarianPieces]:
    folder = tiny_models.old_marian_folder(tmp_path_factory.mktemp("pieces") / "marian")
    own = TransformersGenerator.from_pretrained(str(folder), max_tokens=60)
    return own, MarianPieces.of(own.tokenizer, own.max_tokens)


@settings(max_examples=150, deadline=None)
@given(texts=st.lists(TEXTS, min_size=1, max_size=3))
def test_tokens_are_the_same(both: tuple[Any, MarianPieces], texts: list[str]) -> None:
    expected, found = (engine.encode(texts) for engine in both)
    for name in ("input_ids", "attention_mask"):
        assert found.arrays[name].tolist() == expected.arrays[name].tolist()


@settings(max_examples=60, deadline=None)
@given(numbers=st.lists(st.integers(0, 21), min_size=0, max_size=12), tidies=st.booleans())
def test_texts_are_the_same(both: tuple[Any, MarianPieces], numbers: list[int], tidies: bool) -> None:
    own, pieces = both
    own.tokenizer.clean_up_tokenization_spaces = pieces.tidies = tidies
    sequences = np.array([numbers], dtype=np.int64)
    assert [text.strip() for text in pieces.decode(sequences)] == own.decode(sequences)


def test_a_text_that_is_too_long_is_refused(both: tuple[Any, MarianPieces]) -> None:
    messages = set()
    for engine in both:
        with pytest.raises(InvalidInput) as caught:
            engine.encode(["berlin " * 60])
        messages.add(caught.value.message)
    assert len(messages) == 1


@pytest.mark.parametrize("setting", [{"separate_vocabs": True}, {"sp_model_kwargs": {"alpha": 0.1}}])
def test_a_tokenizer_with_options_is_refused(
    both: tuple[Any, MarianPieces], setting: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in setting.items():
        monkeypatch.setattr(both[0].tokenizer, name, value)
    with pytest.raises(ValueError, match="two vocabularies, or options of SentencePiece"):
        MarianPieces.of(both[0].tokenizer, None)
