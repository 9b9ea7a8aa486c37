"""Strings as tensors: arrays of bytes, as every wire has them, and what the families share that take or give texts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from model_functions.errors import InvalidInput
from model_functions.tensors import TensorSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def string_spec(name: str) -> TensorSpec:
    """A string for each item."""
    return TensorSpec(name, "string", (None,))


def check_tensor_names(tensors: Mapping[str, Any], specs: Iterable[TensorSpec]) -> None:
    """Refuses tensors that the specs do not name, and the lack of those that are not optional."""
    known = {spec.name: spec for spec in specs}
    listed = ", ".join(f'"{name}"' for name in known)
    for name in tensors:
        if name not in known:
            raise InvalidInput(f"inputs.{name[:60]}", f'There is no input "{name[:60]}". The inputs: {listed}.')
    for name, spec in known.items():
        if name not in tensors and not spec.optional:
            raise InvalidInput("inputs", f'The input "{name}" is missing. The inputs: {listed}.')


def byte_strings(array: NDArray[Any], name: str) -> list[bytes | str]:
    """The items' strings, of shape (items,) or (items, 1). Raises InvalidInput."""
    path = f"inputs.{name}"
    if array.dtype != object:
        raise InvalidInput(path, f"{path} is {array.dtype.name}. Send strings.")
    if array.ndim > 2 or (array.ndim == 2 and array.shape[1] != 1):
        raise InvalidInput(path, f"{path} has the shape {array.shape}. Send a string for each item: ({len(array)},).")
    found: list[bytes | str] = array.reshape(-1).tolist()
    for index, value in enumerate(found):
        if not isinstance(value, bytes | str):
            raise InvalidInput(f"{path}[{index}]", f"{path}[{index}] is {value!r:.40}. Send a string.")
    if not found:
        raise InvalidInput(path, f"{path} is empty. Send at least one string.")
    return found


def texts(array: NDArray[Any], name: str) -> list[str]:
    """The items' strings as text. Raises InvalidInput."""
    return [decoded(value, f"inputs.{name}[{index}]") for index, value in enumerate(byte_strings(array, name))]


def decoded(value: bytes | str, path: str) -> str:
    """A string's text. Raises InvalidInput where it is no UTF-8."""
    if isinstance(value, str):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError as exc:
        raise InvalidInput(path, f"{path} is not UTF-8: byte {exc.start} cannot be read. Send UTF-8.") from exc


def strings(values: Iterable[Any]) -> NDArray[np.object_]:
    """The values as a tensor of strings; what is no string is spelled as JSON."""
    # Imported here: numpy comes with the engine, while the weights are on their way.
    import numpy as np

    return np.array([_encoded(value) for value in values], dtype=object)


def _encoded(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).encode("utf-8", "surrogatepass")
