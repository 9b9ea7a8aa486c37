"""Runs torch modules on numpy arrays; the only module that imports torch."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
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


class ImageClassifier:
    """A module that gives logits for pixels, as its answer or as the answer's ``logits``.

    Args:
        labels: of the logits, in their order.
    """

    def __init__(self, module: Any, labels: list[str]) -> None:
        self.module = frozen(module)
        self.labels = labels

    def logits(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return array(image_logits(self.module, torch.from_numpy(pixels)))


def image_logits(module: Any, pixels: torch.Tensor) -> torch.Tensor:
    """What the module says of the pixels, which it gets in its own precision."""
    dtypes = (parameter.dtype for parameter in module.parameters() if parameter.is_floating_point())
    answer = module(pixels.to(next(dtypes, torch.float32)))
    logits: torch.Tensor = getattr(answer, "logits", answer)
    return logits


def tensors(arrays: dict[str, NDArray[Any]]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def array(tensor: torch.Tensor) -> NDArray[np.float32]:
    """The tensor's values; a half-precision one is widened, as numpy has no bfloat16."""
    return tensor.float().numpy()


class CausalSteps:
    """A causal transformers model that goes on with prompts, and remembers what its earlier steps computed.

    Args:
        numbers, mask: the prompts, padded on the left: what follows them must stand side by side.
    """

    def __init__(self, model: Any, numbers: NDArray[np.int64], mask: NDArray[np.int64]) -> None:
        self._model = model
        self._numbers: torch.Tensor | None = torch.from_numpy(numbers)
        self._mask = torch.from_numpy(mask)
        self._cache: Any = None
        self._takes = inspect.signature(model.forward).parameters

    def step(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        """The scores of what may follow; the first step reads the prompts, whose last tokens these are."""
        if self._numbers is None:
            numbers = torch.from_numpy(tokens)
            self._mask = torch.cat((self._mask, torch.ones_like(numbers)), dim=1)
        else:
            numbers, self._numbers = self._numbers, None
        inputs: dict[str, Any] = {"input_ids": numbers, "attention_mask": self._mask, "use_cache": True}
        if "position_ids" in self._takes:
            places = (self._mask.cumsum(dim=1) - 1).clamp(min=0)
            inputs["position_ids"] = places[:, -numbers.shape[1] :]
        if "logits_to_keep" in self._takes:
            inputs["logits_to_keep"] = 1
        with torch.inference_mode():
            answer = self._model(**inputs, past_key_values=self._cache)
        self._cache = getattr(answer, "past_key_values", None)
        if self._cache is None:
            name = type(self._model).__name__
            raise ValueError(f"{name} gives no past_key_values to go on with, so it cannot be served here.")
        return array(answer.logits[:, -1])

    def select(self, rows: NDArray[np.int64]) -> None:
        if np.array_equal(rows, np.arange(len(self._mask))):
            return
        chosen = torch.from_numpy(rows)
        self._mask = self._mask[chosen]
        with torch.inference_mode():
            self._cache.reorder_cache(chosen)


def weights_of(path: Path) -> dict[str, NDArray[np.float32]]:
    """The arrays of a .safetensors file, or of a torch checkpoint of nothing but tensors."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        weights = load_file(path)
    else:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    return {name: array(tensor) for name, tensor in weights.items()}


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
        key: the same for all tensors that share it.
        dtype: None where the storage does not know.
    """

    key: tuple[str, int, int]
    dtype: torch.dtype | None
    storage: torch.UntypedStorage

    @property
    def name(self) -> str:
        """safetensors' word for the type."""
        return "U8" if self.dtype is None else _NAMES.get(self.dtype, "U8")

    @property
    def itemsize(self) -> int:
        return 1 if self.dtype is None or self.dtype not in _NAMES else self.dtype.itemsize

    def data(self) -> memoryview:
        """The bytes, where they are."""
        if not self.storage.nbytes():
            return memoryview(b"")
        flat: Any = torch.empty(0, dtype=torch.uint8).set_(self.storage)
        return memoryview(flat.cpu().numpy())


_NAMES = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.int32: "I32",
    torch.int64: "I64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
    torch.float64: "F64",
    torch.complex64: "C64",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
}


def stored(value: Any) -> Stored | None:
    """The memory, if the value is a tensor's storage."""
    if isinstance(value, torch.storage.TypedStorage):
        return _stored(value._untyped_storage, value.dtype)
    if isinstance(value, torch.UntypedStorage):
        return _stored(value, None)
    return None


def _stored(storage: torch.UntypedStorage, dtype: torch.dtype | None) -> Stored:
    return Stored(("storage", storage.data_ptr(), storage.nbytes()), dtype, storage)


def storage_over(data: memoryview) -> torch.UntypedStorage:
    """The very bytes as a tensor's memory, without a copy."""
    if not data:
        return torch.empty(0, dtype=torch.uint8).untyped_storage()
    return torch.frombuffer(data, dtype=torch.uint8).untyped_storage()


def typed_storage(storage: torch.UntypedStorage, dtype: torch.dtype | None) -> Any:
    """As the reconstructors of tensors take it; bytes where the type is not known."""
    typed: Any = torch.storage.TypedStorage
    return typed(wrap_storage=storage, dtype=dtype or torch.uint8, _internal=True)
