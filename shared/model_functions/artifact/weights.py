"""The layout of weights.safetensors: every tensor and large array of a wrapper, out of its dill stream.

The file is valid safetensors: a length, a JSON header padded with spaces, then the bytes, without a hole.
The data begins with the half-precision section, which is widened as it arrives; the rest is memory as it was.
"""

import json
from dataclasses import dataclass
from typing import Any

from model_functions.artifact.manifest import WeightsLayout

#: Bytes; what vector instructions and engines want of an array's address.
ALIGNMENT = 64
#: Bytes; the data starts on a page, so that the file's alignment is the memory's.
PAGE = 4096

_HEADER_LENGTH = 8


Place = tuple[bool, int, int]
"""Where a buffer lies: whether it is float16 here and float32 in memory, bytes from its section's start, its bytes."""


@dataclass(frozen=True)
class Buffer:
    """Bytes on their way into the file.

    Args:
        dtype: safetensors' word for their type.
        itemsize: bytes of one item.
    """

    data: memoryview
    dtype: str = "U8"
    itemsize: int = 1


class WeightsWriter:
    """Collects buffers, then writes them as one file."""

    def __init__(self) -> None:
        self._sections: dict[bool, list[Buffer]] = {True: [], False: []}
        self._sizes = {True: 0, False: 0}

    def add(self, buffer: Buffer, *, half: bool = False) -> Place:
        size = buffer.data.nbytes
        place = (half, self._sizes[half], size)
        section = self._sections[half]
        section.append(buffer)
        padding = -size % ALIGNMENT
        if padding:
            section.append(Buffer(memoryview(bytes(padding))))
        self._sizes[half] += size + padding
        return place

    def file(self) -> tuple[bytes, WeightsLayout]:
        """The whole file; no bytes when there is nothing to store."""
        buffers = [*self._sections[True], *self._sections[False]]
        if not buffers:
            return b"", WeightsLayout(0, 0)
        header = json.dumps(_entries(buffers), separators=(",", ":")).encode()
        start = -(-(_HEADER_LENGTH + len(header)) // PAGE) * PAGE
        length = start - _HEADER_LENGTH
        parts: list[bytes | memoryview] = [
            length.to_bytes(_HEADER_LENGTH, "little"),
            header.ljust(length),
            *(buffer.data for buffer in buffers),
        ]
        return b"".join(parts), WeightsLayout(start, self._sizes[True])


def _entries(buffers: list[Buffer]) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    offset = 0
    for number, buffer in enumerate(buffers):
        size = buffer.data.nbytes
        whole = size % buffer.itemsize == 0
        entries[f"{number:05}"] = {
            "dtype": buffer.dtype if whole else "U8",
            "shape": [size // buffer.itemsize if whole else size],
            "data_offsets": [offset, offset + size],
        }
        offset += size
    return entries
