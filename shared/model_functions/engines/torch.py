"""Runs torch modules on numpy arrays; the only module that imports torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def frozen(module: Any) -> Any:
    """The module as it predicts: no dropout, no gradients, on the CPU in the precision it has."""
    return module.to("cpu").eval().requires_grad_(False)


def run(module: Any, arrays: dict[str, NDArray[np.int64]]) -> Any:
    """The module's outputs for the arrays, given by name."""
    with torch.inference_mode():
        return module(**tensors(arrays))


def tensors(arrays: dict[str, NDArray[Any]]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def array(tensor: torch.Tensor) -> NDArray[np.float32]:
    """The tensor's values; a half-precision one is widened, as numpy has no bfloat16."""
    return tensor.float().numpy()


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Draws inside follow from the seed, and those outside are not disturbed."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
