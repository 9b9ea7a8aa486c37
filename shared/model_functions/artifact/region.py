"""The memory that a model's tensors and arrays live in."""

import mmap
from typing import Self

from model_functions.artifact.manifest import WeightsLayout


class Region:
    """weights.safetensors in memory, its half-precision section widened.

    Args:
        file_size: bytes.
    """

    def __init__(self, file_size: int, layout: WeightsLayout) -> None:
        self.layout = layout
        size = layout.memory_size(file_size)
        # Private: shared memory, Python's default, counts against the instance a second time as a file.
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self.memory = memoryview(mmap.mmap(-1, size, flags=flags) if size else bytearray())

    @classmethod
    def of(cls, file: bytes, layout: WeightsLayout) -> Self:
        """A whole file's."""
        region = cls(len(file), layout)
        region.place(memoryview(file), 0)
        return region

    def view(self, half: bool, offset: int, size: int) -> memoryview:
        """A buffer of the file (see weights.Place)."""
        start = self.layout.start + offset + (0 if half else self.layout.half)
        lies = self.layout.memory_offset(start)
        return self.memory[lies : lies + (2 * size if half else size)]

    def target(self, start: int, end: int) -> memoryview | None:
        """Where the file's bytes [start, end) belong as they are; None when some of them are to be widened."""
        if start < self.layout.start + self.layout.half and end > self.layout.start and self.layout.half:
            return None
        lies = self.layout.memory_offset(start)
        return self.memory[lies : lies + end - start]

    def place(self, data: memoryview, start: int) -> None:
        """Puts the file's bytes from ``start`` on where they belong."""
        end = start + len(data)
        half_start = min(max(self.layout.start, start), end)
        half_end = min(max(self.layout.start + self.layout.half, half_start), end)
        self._copy(data[: half_start - start], start)
        self._widen(data[half_start - start : half_end - start], half_start)
        self._copy(data[half_end - start :], half_end)

    def _copy(self, data: memoryview, start: int) -> None:
        lies = self.layout.memory_offset(start)
        self.memory[lies : lies + len(data)] = data

    def _widen(self, data: memoryview, start: int) -> None:
        if not data:
            return
        # The engine that halves weights is the one that is imported meanwhile.
        from model_functions.engines.onnxruntime import widen

        lies = self.layout.memory_offset(start)
        widen(data, self.memory[lies : lies + 2 * len(data)])
