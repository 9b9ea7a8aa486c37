"""The training loop that the text samples share."""

import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.optim import AdamW
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


def fit(model: Any, batches: Sequence[Batch], *, peak_rate: float, title: str, progress: bool) -> None:
    """Trains a transformers model once over the batches and leaves it ready for inference."""
    optimizer = AdamW(model.parameters(), lr=peak_rate, weight_decay=0.01, betas=(0.9, 0.98), fused=True)
    schedule = OneCycleLR(optimizer, peak_rate, total_steps=len(batches), pct_start=0.1)
    model.train()
    for batch in tqdm(batches, desc=title, unit="batch", disable=not (progress and sys.stderr.isatty())):
        optimizer.zero_grad()
        model(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.eval()
