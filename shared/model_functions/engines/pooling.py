"""From the vectors of a text's tokens to the vector of the text, as sentence-transformers' modules do it, in numpy."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.int64]

#: Beneath a division; sentence-transformers has the same.
_TINY = 1e-9


@dataclass(frozen=True)
class Pooling:
    """How the vectors of tokens become one.

    Args:
        modes: one or more of POOLINGS; the vectors of several stand in a row.
        include_prompt: whether a prompt's tokens count.
    """

    modes: tuple[str, ...] = ("mean",)
    include_prompt: bool = True

    def apply(self, vectors: Floats, mask: Mask, prompt_tokens: int = 0) -> Floats:
        """Shape (texts, width) from (texts, tokens, width).

        Args:
            mask: 0 where a token is padding.
            prompt_tokens: how many of each text's first tokens are a prompt's.
        """
        places = np.cumsum(mask, axis=1) * mask
        counted = mask if self.include_prompt else mask * (places > prompt_tokens)
        return np.concatenate([POOLINGS[mode](vectors, counted, places) for mode in self.modes], axis=1)


def _first(vectors: Floats, mask: Mask, places: Mask) -> Floats:
    firsts: Floats = vectors[np.arange(len(vectors)), mask.argmax(axis=1)]
    return firsts


def _last(vectors: Floats, mask: Mask, places: Mask) -> Floats:
    lasts: Floats = vectors[np.arange(len(vectors)), mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)]
    return lasts


def _largest(vectors: Floats, mask: Mask, places: Mask) -> Floats:
    largest: Floats = np.where(mask[:, :, None] > 0, vectors, -np.inf).max(axis=1)
    return largest


def _mean(vectors: Floats, mask: Mask, places: Mask) -> Floats:
    return _sum(vectors, mask) / np.maximum(_total(mask), _TINY)


def _mean_of_root(vectors: Floats, mask: Mask, places: Mask) -> Floats:
    return _sum(vectors, mask) / np.sqrt(np.maximum(_total(mask), _TINY))


def _weighted_mean(vectors: Floats, mask: Mask, places: Mask) -> Floats:
    return _mean(vectors, mask * places, places)


def _sum(vectors: Floats, weights: Mask) -> Floats:
    summed: Floats = np.einsum("tnw,tn->tw", vectors, weights.astype(np.float32))
    return summed


def _total(weights: Mask) -> Floats:
    total: Floats = weights.sum(axis=1, keepdims=True).astype(np.float32)
    return total


#: By sentence-transformers' names: from vectors, counted tokens and places (from 1; 0 is padding) to a text's vector.
POOLINGS: dict[str, Callable[[Floats, Mask, Mask], Floats]] = {
    "cls": _first,
    "max": _largest,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_of_root,
    "weightedmean": _weighted_mean,
    "lasttoken": _last,
}


@dataclass(frozen=True)
class Dense:
    """A linear layer.

    Args:
        weight: shape (out, in).
        activation: one of ACTIVATIONS.
    """

    weight: Floats
    bias: Floats | None
    activation: str

    def apply(self, vectors: Floats) -> Floats:
        linear = vectors @ self.weight.T
        return ACTIVATIONS[self.activation](linear if self.bias is None else linear + self.bias)


_erf = np.vectorize(math.erf, otypes=[np.float32])

#: By the names of torch's classes.
ACTIVATIONS: dict[str, Callable[[Floats], Floats]] = {
    "Identity": lambda vectors: vectors,
    "Tanh": np.tanh,
    "ReLU": lambda vectors: np.maximum(vectors, 0),
    "GELU": lambda vectors: vectors * (1 + _erf(vectors / math.sqrt(2))) / 2,
    "Sigmoid": lambda vectors: 1 / (1 + np.exp(-vectors)),
}


@dataclass(frozen=True)
class LayerNorm:
    weight: Floats
    bias: Floats

    def apply(self, vectors: Floats) -> Floats:
        centred = vectors - vectors.mean(axis=1, keepdims=True)
        scaled: Floats = centred / np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + 1e-5)
        return scaled * self.weight + self.bias


class Normalize:
    def apply(self, vectors: Floats) -> Floats:
        return normalized(vectors)


def normalized(vectors: Floats) -> Floats:
    """The vectors at length 1."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: Floats = vectors / np.maximum(lengths, np.float32(1e-12))
    return unit


@dataclass(frozen=True)
class Head:
    """What follows the encoder.

    Args:
        layers: what the pooled vectors go through.
    """

    pooling: Pooling
    layers: tuple[Dense | LayerNorm | Normalize, ...] = ()

    def apply(self, vectors: Floats, mask: Mask, prompt_tokens: int = 0) -> Floats:
        pooled = self.pooling.apply(vectors, mask, prompt_tokens)
        for layer in self.layers:
            pooled = layer.apply(pooled)
        return pooled


#: How alike each vector of the second is to the one vector; the larger the more, as sentence-transformers counts.
SIMILARITIES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "cosine": lambda one, others: normalized(others) @ normalized(one),
    "dot": lambda one, others: others @ one,
    "euclidean": lambda one, others: -np.linalg.norm(others - one, axis=1),
    "manhattan": lambda one, others: -np.abs(others - one).sum(axis=1),
}
