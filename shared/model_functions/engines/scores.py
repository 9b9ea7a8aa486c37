"""From logits to probabilities."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_functions.string_tensors import strings


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    scores: NDArray[np.float32] = shifted / shifted.sum(axis=-1, keepdims=True)
    return scores


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of each logit for itself."""
    # The exponent is never positive, so that it cannot overflow.
    tail = np.exp(-np.abs(logits))
    scores: NDArray[np.float32] = np.where(logits >= 0, 1 / (1 + tail), tail / (1 + tail))
    return scores


def with_best(scores: NDArray[np.float32], labels: list[str]) -> dict[str, NDArray[Any]]:
    """Scores of shape (items, labels) as tensors: ``label``, the best of each item, and ``scores``."""
    best = scores.argmax(axis=1).tolist()
    return {"label": strings(labels[place] for place in best), "scores": scores.astype(np.float32, copy=False)}


def _unchanged(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return logits


#: By a classifier's ``function_to_apply``.
APPLIED = {"softmax": softmax, "sigmoid": sigmoid, "none": _unchanged}
