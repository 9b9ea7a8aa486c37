"""Runs torch modules on numpy arrays; the only module that imports torch."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Stored:
    """A tensor's memory.

    Args:
        address: the same for all tensors that share it.
        dtype: None where the storage does not know.
    """

    address: int
    dtype: torch.dtype | None
    storage: torch.UntypedStorage

    def read(self) -> bytearray:
        """A copy of the bytes."""
        if not self.storage.nbytes():
            return bytearray()
        return bytearray(torch.empty(0, dtype=torch.uint8).set_(self.storage).numpy().data)


def stored(value: Any) -> Stored | None:
    """The memory, if the value is a tensor's storage."""
    if isinstance(value, torch.storage.TypedStorage):
        untyped = value._untyped_storage
        return Stored(untyped.data_ptr(), value.dtype, untyped)
    if isinstance(value, torch.UntypedStorage):
        return Stored(value.data_ptr(), None, value)
    return None


def storage_over(data: bytearray) -> torch.UntypedStorage:
    """The very bytes as a tensor's memory, without a copy."""
    if not data:
        return torch.empty(0, dtype=torch.uint8).untyped_storage()
    return torch.frombuffer(data, dtype=torch.uint8).untyped_storage()


def typed_storage(storage: torch.UntypedStorage, dtype: torch.dtype | None) -> Any:
    """As the reconstructors of tensors take it; bytes where the type is not known."""
    typed: Any = torch.storage.TypedStorage
    return typed(wrap_storage=storage, dtype=dtype or torch.uint8, _internal=True)
