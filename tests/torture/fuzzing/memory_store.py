"""A store in memory, which gives what it was given and counts what was asked of it."""

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from model_functions.errors import DigestMismatch, ObjectNotFound
from model_functions.store import NEW, Stored


class MemoryStore:
    """Objects by name, which may be changed as they lie there."""

    location = "memory"

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects

    def read(self, name: str) -> Stored:
        return Stored(self._data(name), 1)

    def open(self, name: str) -> "OpenBytes":
        return OpenBytes(name, self._data(name))

    def write(
        self, name: str, data: bytes, *, generation: int, on_progress: Callable[[int], None] | None = None
    ) -> int:
        self.objects[name] = data
        return NEW + 1

    def list(self, prefix: str = "") -> Iterator[str]:
        return iter(sorted(name for name in self.objects if name.startswith(prefix)))

    def _data(self, name: str) -> bytes:
        if name not in self.objects:
            raise ObjectNotFound(f"The store has no {name}.")
        return self.objects[name]


class OpenBytes:
    """An object as it was when it was opened."""

    def __init__(self, name: str, data: bytes) -> None:
        self._name, self._data = name, data
        self.size = len(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        pass

    def read_into(self, buffer: memoryview, offset: int = 0) -> None:
        found = self._data[offset : offset + len(buffer)]
        buffer[: len(found)] = found
        if len(found) < len(buffer):
            raise DigestMismatch(f"{self._name} ends after {offset + len(found)} bytes. Publish the model again.")

    def give_up(self) -> None:
        pass
