"""numpy arrays as bytes in weights.safetensors, and over them again."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_functions.engines import Half

_NAMES = {
    "|b1": "BOOL",
    "|u1": "U8",
    "|i1": "I8",
    "<u2": "U16",
    "<i2": "I16",
    "<u4": "U32",
    "<i4": "I32",
    "<u8": "U64",
    "<i8": "I64",
    "<f2": "F16",
    "<f4": "F32",
    "<f8": "F64",
    "<c8": "C64",
}


@dataclass(frozen=True)
class Stored:
    """An array's memory, and how the array looks at it.

    Args:
        key: the same for all arrays that share the memory.
        dtype: safetensors' word for its type.
        geometry: what ``array_over`` needs beside the bytes.
    """

    key: Any
    data: memoryview
    dtype: str
    itemsize: int
    geometry: tuple[Any, ...]
    half: bool = False


def stored(value: Any, least_bytes: int) -> Stored | None:
    """The memory, if the value is an array that can be told by its bytes and has enough of them."""
    if type(value) is Half:
        return _stored_half(value.array)
    # A memory-mapped file is an array like any other to whoever loads it elsewhere.
    if type(value) not in (np.ndarray, np.memmap) or value.dtype.hasobject or value.nbytes < least_bytes:
        return None
    root = value
    while isinstance(root.base, np.ndarray):
        root = root.base
    if root.dtype.hasobject or not (root.flags.c_contiguous or root.flags.f_contiguous):
        return _alone(value)
    offset = _address(value) - _address(root)
    # The dtype itself: its description alone would lose a structure's padding.
    geometry = (value.dtype, value.shape, value.strides, offset, value.flags.writeable)
    return Stored(("array", _address(root), root.nbytes), _bytes(root), *_type(root.dtype), geometry)


def _alone(value: NDArray[Any]) -> Stored:
    """A copy, for a view of memory that is no plain run of bytes."""
    copy = np.ascontiguousarray(value)
    geometry = (copy.dtype, copy.shape, copy.strides, 0, value.flags.writeable)
    return Stored(("copy", id(value)), _bytes(copy), *_type(copy.dtype), geometry)


def _stored_half(array: NDArray[np.float32]) -> Stored:
    narrowed = np.ascontiguousarray(array, dtype=np.float16)
    strides = np.empty_like(narrowed, dtype=np.float32, order="C").strides
    geometry = (np.dtype(np.float32), array.shape, strides, 0, True)
    key = ("half", _address(array), array.shape, array.strides)
    return Stored(key, _bytes(narrowed), "F16", 2, geometry, half=True)


def array_over(
    view: memoryview, dtype: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int, writeable: bool
) -> NDArray[Any]:
    """The array over the very bytes, without a copy."""
    array: NDArray[Any] = np.ndarray(shape, dtype, view, offset, strides)
    array.flags.writeable = writeable
    return array


def _address(array: NDArray[Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _bytes(array: NDArray[Any]) -> memoryview:
    flat: Any = array.reshape(-1) if array.flags.c_contiguous else array.T.reshape(-1)
    return memoryview(flat.view(np.uint8))


def _type(dtype: np.dtype[Any]) -> tuple[str, int]:
    name = _NAMES.get(dtype.str)
    return ("U8", 1) if name is None else (name, dtype.itemsize)
