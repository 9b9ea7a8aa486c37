"""Pooling, layers and similarities give what sentence-transformers' own modules give."""

import numpy as np
import pytest

from model_functions.engines.pooling import ACTIVATIONS, POOLINGS, SIMILARITIES, Dense, LayerNorm, Pooling, normalized

torch = pytest.importorskip("torch")

MASKS = {
    "right": [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]],
    "left": [[1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [0, 0, 0, 0, 1]],
}
VECTORS = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)


def reference(modes: tuple[str, ...], side: str, prompt_tokens: int | None) -> np.ndarray:
    from sentence_transformers.sentence_transformer.modules import Pooling as Theirs

    module = Theirs(4, modes, include_prompt=prompt_tokens is None)
    features = {"token_embeddings": torch.tensor(VECTORS), "attention_mask": torch.tensor(MASKS[side])}
    if prompt_tokens is not None:
        features["prompt_length"] = prompt_tokens
    pooled: np.ndarray = module(features)["sentence_embedding"].numpy()
    return pooled


@pytest.mark.parametrize("side", MASKS)
@pytest.mark.parametrize("modes", [*((mode,) for mode in POOLINGS), ("cls", "mean", "max")])
def test_tokens_are_pooled_as_by_sentence_transformers(modes: tuple[str, ...], side: str) -> None:
    found = Pooling(modes).apply(VECTORS, np.array(MASKS[side]))
    assert found == pytest.approx(reference(modes, side, None), abs=1e-6)


@pytest.mark.parametrize("side", MASKS)
@pytest.mark.parametrize("mode", ["cls", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"])
def test_a_prompts_tokens_may_be_left_out(mode: str, side: str) -> None:
    texts = slice(2)  # the third is shorter than its prompt
    found = Pooling((mode,), include_prompt=False).apply(VECTORS, np.array(MASKS[side]), 2)
    assert found[texts] == pytest.approx(reference((mode,), side, 2)[texts], abs=1e-6)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_dense_layer_is_torchs(activation: str) -> None:
    linear = torch.nn.Linear(4, 3)
    ours = Dense(linear.weight.detach().numpy(), linear.bias.detach().numpy(), activation)
    theirs = getattr(torch.nn, activation)()(linear(torch.tensor(VECTORS[0]))).detach().numpy()
    assert ours.apply(VECTORS[0]) == pytest.approx(theirs, abs=1e-6)


def test_a_layer_norm_is_torchs() -> None:
    weight, bias = np.array([1, 2, 3, 4], dtype=np.float32), np.array([0, 1, 0, 1], dtype=np.float32)
    theirs = torch.nn.functional.layer_norm(torch.tensor(VECTORS[0]), (4,), torch.tensor(weight), torch.tensor(bias))
    assert LayerNorm(weight, bias).apply(VECTORS[0]) == pytest.approx(theirs.numpy(), abs=1e-5)


@pytest.mark.parametrize("name", SIMILARITIES)
def test_similarities_are_those_of_sentence_transformers(name: str) -> None:
    from sentence_transformers import SimilarityFunction

    theirs = SimilarityFunction.to_similarity_fn(name)(VECTORS[0][:1], VECTORS[1]).numpy()[0]
    assert SIMILARITIES[name](VECTORS[0][0], VECTORS[1]) == pytest.approx(theirs, abs=1e-5)


def test_a_vector_of_zeros_has_no_direction_and_no_nan() -> None:
    assert normalized(np.zeros((1, 3), dtype=np.float32)).tolist() == [[0, 0, 0]]
