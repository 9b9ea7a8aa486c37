"""Arrays as the Open Inference Protocol's bytes, little-endian and row-major.

Source: triton-inference-server/server, docs/protocol/extension_binary_data.md.
"""

import math
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_functions.errors import InvalidInput
from model_functions.http.protocols.datatypes import DATATYPES, DTYPES, SIZES
from model_functions.tensors import TensorSpec

#: Strings have their length before them.
_LENGTH = struct.Struct("<I")


def from_bytes(data: memoryview, datatype: str, shape: list[int], path: str) -> NDArray[Any]:
    """The array that the bytes are, which are not copied where they lie as a processor reads them.

    Raises InvalidInput.
    """
    count = math.prod(shape)
    if datatype == "BYTES":
        return _strings(data, count, path).reshape(shape)
    size = count * SIZES[datatype]
    if len(data) != size:
        raise InvalidInput(path, f"{path} has {len(data)} bytes; {datatype} of the shape {shape} has {size}.")
    found = np.frombuffer(data, {"BOOL": "uint8", "BF16": "uint16"}.get(datatype, DTYPES[datatype]))
    if datatype == "BOOL":
        found = found != 0
    elif datatype == "BF16":
        found = (found.astype(np.uint32) << 16).view(np.float32)
    elif not found.flags.aligned:
        found = found.copy()
    return found.reshape(shape)


def to_bytes(array: NDArray[Any], datatype: str) -> bytes | memoryview:
    """The array's bytes: its own memory where it lies in order."""
    if datatype == "BYTES":
        return b"".join(part for one in array.reshape(-1).tolist() for part in (_LENGTH.pack(len(one)), one))
    if datatype == "BF16":
        array = _narrowed(array)
    if not array.size:
        return b""
    return np.ascontiguousarray(array).reshape(-1).data.cast("B")


def datatype_of(array: NDArray[Any], spec: TensorSpec | None) -> str:
    if spec is not None and spec.dtype == "bfloat16":
        return "BF16"
    return DATATYPES["string" if array.dtype == object else array.dtype.name]


def _narrowed(array: NDArray[Any]) -> NDArray[Any]:
    """Floats as the upper halves of themselves, rounded to the nearest, ties to even; a NaN stays one."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(array), (bits >> 16) | 0x40, rounded).astype(np.uint16)


def _strings(data: memoryview, count: int, path: str) -> NDArray[Any]:
    found: list[bytes] = []
    start = 0
    while start < len(data) and len(found) <= count:
        begin = start + _LENGTH.size
        length = _LENGTH.unpack_from(data, start)[0] if begin <= len(data) else len(data)
        if begin + length > len(data):
            raise InvalidInput(
                path, f"{path} ends in the middle of string {len(found)}. Send its length in 4 bytes, then its bytes."
            )
        start = begin + length
        found.append(data[begin:start].tobytes())
    if len(found) != count:
        held = len(found) if len(found) < count else f"more than {count}"
        raise InvalidInput(path, f"{path} holds {held} strings, and its shape has {count}. Send as many.")
    return np.array(found, object)
