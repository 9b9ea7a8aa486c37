"""From logits to probabilities."""

import numpy as np
from numpy.typing import NDArray


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


def _unchanged(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return logits


#: By a classifier's ``function_to_apply``.
APPLIED = {"softmax": softmax, "sigmoid": sigmoid, "none": _unchanged}
