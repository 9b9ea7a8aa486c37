"""Handwritten digits, which scikit-learn brings: what the four engines' samples are trained on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HELD_OUT = 360
SEED = 8
MINIMUM_ACCURACY = 0.96


@dataclass(frozen=True)
class Digits:
    """Images of shape (count, 8, 8), 0 for paper to 1 for ink, and the digit that each shows."""

    images: NDArray[np.float32]
    labels: NDArray[np.int64]


def split() -> tuple[Digits, Digits]:
    """What is trained on, and what is held out, the same in every sample."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images, labels = (found.images / 16).astype(np.float32), found.target.astype(np.int64)
    order = np.random.default_rng(SEED).permutation(len(images))
    train, held_out = order[HELD_OUT:], order[:HELD_OUT]
    return Digits(images[train], labels[train]), Digits(images[held_out], labels[held_out])
