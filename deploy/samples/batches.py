"""Puts examples of similar length together into padded tensors."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch

Batch = dict[str, torch.Tensor]

#: What the losses of transformers and torch skip.
NO_LABEL = -100


@dataclass(frozen=True)
class Example:
    """One encoded text and what the model shall make of it: a label for each token, or the ids of another text."""

    tokens: list[int]
    labels: list[int]


def bucketed(examples: Sequence[Example], *, size: int, pad: int, rng: random.Random) -> list[Batch]:
    """All examples once, in shuffled batches with little padding."""
    shuffled = rng.sample(examples, len(examples))
    batches = []
    pool = size * 50  # large enough to find equals, small enough that batches stay mixed
    for start in range(0, len(shuffled), pool):
        alike = sorted(shuffled[start : start + pool], key=lambda example: (len(example.tokens), len(example.labels)))
        batches += [_padded(alike[first : first + size], pad) for first in range(0, len(alike), size)]
    rng.shuffle(batches)
    return batches


def _padded(examples: Sequence[Example], pad: int) -> Batch:
    tokens = _rectangle([example.tokens for example in examples], pad)
    labels = _rectangle([example.labels for example in examples], NO_LABEL)
    return {"input_ids": tokens, "attention_mask": (tokens != pad).long(), "labels": labels}


def _rectangle(rows: Sequence[list[int]], fill: int) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [fill] * (width - len(row)) for row in rows])
