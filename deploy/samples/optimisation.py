"""The training loop that the text samples share."""

import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.optim import AdamW, Muon, Optimizer
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

from deploy.samples.batches import Batch

#: The matrices are small: more threads mostly wait for each other, and change the sums' last digits. Samples are
#: trained side by side instead.
THREADS = 1


@contextmanager
def reproducible(seed: int) -> Iterator[random.Random]:
    """Fixes torch's randomness and threads inside, and gives the generator for everything else."""
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield random.Random(seed)
    finally:
        torch.set_num_threads(threads)


def fit(
    model: Any,
    batches: Sequence[Batch],
    *,
    peak_rate: float,
    matrix_rate: float | None = None,
    title: str,
    progress: bool,
) -> None:
    """Trains a transformers model once over the batches and leaves it ready for inference.

    Args:
        matrix_rate: the peak rate of the layers' matrices under Muon, whose steps take longer and reach further; None:
            they are trained as all else.
    """
    optimizers = _optimizers(model, peak_rate, matrix_rate)
    schedules = [
        OneCycleLR(optimizer, optimizer.param_groups[0]["lr"], total_steps=len(batches), pct_start=0.1)
        for optimizer in optimizers
    ]
    model.train()
    for batch in tqdm(batches, desc=title, unit="batch", disable=not (progress and sys.stderr.isatty())):
        model.zero_grad()
        model(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
    model.eval()


def _optimizers(model: Any, peak_rate: float, matrix_rate: float | None) -> list[Optimizer]:
    named = list(model.named_parameters())
    matrices = [weights for name, weights in named if matrix_rate and ".layer." in name and weights.ndim == 2]
    others = [weights for _, weights in named if not any(weights is matrix for matrix in matrices)]
    optimizers: list[Optimizer] = [AdamW(others, lr=peak_rate, weight_decay=0.01, betas=(0.9, 0.98), fused=True)]
    if matrix_rate:
        optimizers.append(Muon(matrices, lr=matrix_rate, weight_decay=0.01))
    return optimizers
