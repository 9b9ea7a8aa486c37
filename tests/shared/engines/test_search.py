"""The search against transformers' own ``generate``, token for token."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.lanes.generating import rules_of
from model_functions.engines.search import Floats, Integers, Rules, largest, measured, narrowed, search
from model_functions.engines.transformers import TransformersGenerator
from tests import tiny_models

FOLDERS: dict[str, Callable[[Path], Path]] = {
    "marian": tiny_models.marian_folder,
    "t5": tiny_models.generator_folder,
    "bart": tiny_models.bart_folder,
    "fsmt": tiny_models.fsmt_folder,
}
TEXTS = st.lists(st.sampled_from(["hello", "anna lives in", "one two three", "a b c d e f g"]), min_size=1, max_size=4)

GREEDY: dict[str, Any] = {
    "max_new_tokens": 12,
    "min_new_tokens": 0,
    "num_beams": 1,
    "num_return_sequences": 1,
    "length_penalty": 1.0,
    "early_stopping": False,
    "no_repeat_ngram_size": 0,
    "repetition_penalty": 1.0,
    "do_sample": False,
    "temperature": 1.0,
    "top_k": 50,
    "top_p": 1.0,
}


class Remembering:
    """A decoder that steps through the model itself, with its own cache."""

    def __init__(self, model: Any, arrays: dict[str, Integers]) -> None:
        from transformers import DynamicCache, EncoderDecoderCache

        self.model, self.arrays = model, arrays
        self.cache = EncoderDecoderCache(DynamicCache(), DynamicCache())

    def step(self, tokens: Integers) -> Floats:
        import torch

        given = {name: torch.from_numpy(array) for name, array in ({"decoder_input_ids": tokens} | self.arrays).items()}
        with torch.inference_mode():
            logits = self.model(**given, past_key_values=self.cache, use_cache=True).logits
        scores: Floats = logits[:, -1].numpy()
        return scores

    def select(self, rows: Integers) -> None:
        import torch

        self.cache.reorder_cache(torch.from_numpy(rows))
        self.arrays = {name: array[rows] for name, array in self.arrays.items()}


class Fixed:
    """A decoder that finds the same tokens likely after whatever was written."""

    def __init__(self, logits: list[float]) -> None:
        self.logits = np.array([logits], dtype=np.float32)

    def step(self, tokens: Integers) -> Floats:
        return np.repeat(self.logits, len(tokens), axis=0)

    def select(self, rows: Integers) -> None:
        pass


@pytest.fixture(scope="module", params=FOLDERS)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TransformersGenerator:
    return TransformersGenerator.from_pretrained(str(FOLDERS[request.param](tmp_path_factory.mktemp(request.param))))


@st.composite
def searches(draw: st.DrawFn) -> dict[str, Any]:
    beams, longest = draw(st.sampled_from([1, 1, 2, 3, 5])), draw(st.integers(1, 14))
    return GREEDY | {
        "num_beams": beams,
        "num_return_sequences": draw(st.integers(1, beams)),
        "max_new_tokens": longest,
        "min_new_tokens": draw(st.integers(0, longest)),
        "length_penalty": draw(st.sampled_from([1.0, 0.0, -1.0, 0.6, 2.0, 5.0])),
        "early_stopping": draw(st.booleans()),
        "no_repeat_ngram_size": draw(st.sampled_from([0, 0, 1, 2, 3])),
        "repetition_penalty": draw(st.sampled_from([1.0, 1.0, 1.3, 0.5, 5.0])),
    }


def assert_same_tokens(engine: TransformersGenerator, texts: list[str], parameters: dict[str, Any]) -> None:
    tokens = engine.encode(texts)
    arrays = {name: tokens.arrays[name] for name in ("input_ids", "attention_mask")}
    found = search(Remembering(engine.model, arrays), len(texts), rules_of(engine.model), parameters)
    assert found.tolist() == engine.generate(tokens, parameters).tolist()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(texts=TEXTS, parameters=searches())
def test_greedy_and_beams_find_the_tokens_of_generate(
    engine: TransformersGenerator, texts: list[str], parameters: dict[str, Any]
) -> None:
    assert_same_tokens(engine, texts, parameters)


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize(
    "setting",
    [
        {"eos_token_id": [2, 11, 12]},
        {"pad_token_id": None},
        {"pad_token_id": 7},
        {"forced_bos_token_id": 9},
        {"forced_eos_token_id": [2, 5]},
        {"bad_words_ids": [[number] for number in range(4, 40)]},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_a_generation_config_is_followed(engine: TransformersGenerator, setting: dict[str, Any], beams: int) -> None:
    changed = copy.copy(engine)
    changed.model = copy.deepcopy(engine.model)
    changed.model.generation_config.update(**setting)
    parameters = GREEDY | {"num_beams": beams, "num_return_sequences": beams}
    assert_same_tokens(changed, ["hello", "anna lives in", "a b c d e f g"], parameters)


@settings(max_examples=50, deadline=None)
@given(
    logits=st.lists(st.integers(-40, 40), min_size=8, max_size=8, unique=True),
    temperature=st.sampled_from([0.3, 1.0, 2.0]),
    top_k=st.integers(0, 10),
    top_p=st.sampled_from([0.05, 0.3, 0.8, 1.0]),
    typical_p=st.sampled_from([0.05, 0.3, 0.8, 1.0]),
    keep=st.integers(1, 3),
)
def test_draws_are_from_the_tokens_that_transformers_leaves(
    logits: list[int], temperature: float, top_k: int, top_p: float, typical_p: float, keep: int
) -> None:
    import torch
    from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper, TypicalLogitsWarper

    scores = np.array([[logit / 10 for logit in logits]], dtype=np.float32)
    warpers: list[Any] = [TemperatureLogitsWarper(temperature)]
    warpers += [TopKLogitsWarper(top_k, min_tokens_to_keep=keep)] if top_k else []
    warpers += [TopPLogitsWarper(top_p, min_tokens_to_keep=keep)] if top_p < 1 else []
    warpers += [TypicalLogitsWarper(typical_p, min_tokens_to_keep=keep)] if typical_p < 1 else []
    expected = torch.from_numpy(scores)
    for warper in warpers:
        expected = warper(None, expected)
    parameters = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "typical_p": typical_p}
    found = narrowed(scores, parameters, keep)
    assert np.array_equal(np.isinf(found), np.isinf(expected.numpy()))
    assert np.allclose(found, expected.numpy())


@pytest.mark.parametrize("beams", [1, 2])
def test_draws_follow_the_scores_and_the_seed(beams: int) -> None:
    chances = np.array([0.5, 0.3, 0.15, 0.05])
    decoder, rules = Fixed(list(np.log(chances))), Rules(start=0, ends=(9,), pad=0)
    parameters = GREEDY | {"do_sample": True, "num_beams": beams, "max_new_tokens": 1, "seed": 5}
    first = search(decoder, 4000, rules, parameters)
    assert np.array_equal(first, search(decoder, 4000, rules, parameters))
    assert not np.array_equal(first, search(decoder, 4000, rules, parameters | {"seed": 6}))
    if beams == 1:
        assert np.allclose(np.bincount(first[:, 1], minlength=4) / 4000, chances, atol=0.03)


class Counting(Remembering):
    """Counts the rows that it computes."""

    def __init__(self, model: Any, arrays: dict[str, Integers]) -> None:
        super().__init__(model, arrays)
        self.rows: list[int] = []

    def step(self, tokens: Integers) -> Floats:
        self.rows.append(len(tokens))
        return super().step(tokens)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(texts=TEXTS, parameters=searches())
def test_a_text_is_answered_among_others_as_alone(
    engine: TransformersGenerator, texts: list[str], parameters: dict[str, Any]
) -> None:
    rules, count = rules_of(engine.model), parameters["num_return_sequences"]
    sequences, lengths = measured(_reading(engine, texts), len(texts), rules, parameters)
    for index, text in enumerate(texts):
        own = slice(index * count, (index + 1) * count)
        alone = search(_reading(engine, [text]), 1, rules, parameters)
        assert sequences[own, : lengths[own].max()].tolist() == alone.tolist()


@pytest.mark.parametrize("beams", [1, 2])
def test_nothing_is_computed_for_a_text_whose_answer_has_ended(engine: TransformersGenerator, beams: int) -> None:
    """The ends are tokens that one of the texts is answered with early."""
    texts, parameters = ["hello", "anna lives in", "a b c d e f g"], GREEDY | {"num_beams": beams}
    plain = rules_of(engine.model)
    alone = [search(_reading(engine, [text]), 1, plain, parameters)[0] for text in texts]
    rules = replace(plain, ends=(*plain.ends, int(alone[0][2])))
    decoder = _reading(engine, texts)
    _, lengths = measured(decoder, len(texts), rules, parameters | {"early_stopping": True})
    counts = decoder.rows[1:]
    assert counts == sorted(counts, reverse=True)
    if beams == 1:
        assert decoder.rows == [int((lengths > step).sum()) for step in range(1, int(lengths.max()))]


@pytest.mark.parametrize("parameters", [{}, {"num_beams": 3}, {"do_sample": True}], ids=str)
def test_a_check_ends_the_search_between_two_steps(engine: TransformersGenerator, parameters: dict[str, Any]) -> None:
    decoder = _reading(engine, ["hello"])

    def check() -> None:
        if len(decoder.rows) == 3:
            raise TimeoutError("too late")

    with pytest.raises(TimeoutError, match="too late"):
        search(decoder, 1, rules_of(engine.model), GREEDY | {"min_new_tokens": 12} | parameters, check)
    assert len(decoder.rows) == 3


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(3, 9000),
    count=st.integers(1, 3),
    kinds=st.integers(1, 400),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_largest_are_found_in_rows_of_any_width(width: int, count: int, kinds: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, kinds, (2, width)).astype(np.float32)
    expected = np.argsort(-values, axis=1, kind="stable")[:, :count]
    assert largest(values, count).tolist() == expected.tolist()


def _reading(engine: TransformersGenerator, texts: list[str]) -> Counting:
    tokens = engine.encode(texts)
    return Counting(engine.model, {name: tokens.arrays[name] for name in ("input_ids", "attention_mask")})
