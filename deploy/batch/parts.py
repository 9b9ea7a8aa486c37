"""What a job is divided into: parts, each read, predicted and written as one; and the rows that they have."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from deploy.batch.files import Found

#: A part ends at so many bytes, however few rows they are: it is in memory as a whole.
PART_BYTES = 16 * 2**20
#: A longer row is a mistake, as a quote that nobody closes.
ROW_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Part:
    """A run of rows.

    Args:
        files: the one that they are in; or several, each of which is a row.
        first: the number of the first row in its file, from 1.
        begin, end: where they are in the file, in bytes, or as the reader counts.
    """

    number: int
    files: tuple[Found, ...]
    first: int
    rows: int
    begin: int = 0
    end: int = 0

    @property
    def name(self) -> str:
        return f"part-{self.number:06d}.jsonl"

    def document(self) -> list[Any]:
        return [self.number, [list(file) for file in self.files], self.first, self.rows, self.begin, self.end]

    @classmethod
    def from_document(cls, document: list[Any]) -> "Part":
        number, files, *rest = document
        return cls(number, tuple(Found(*file) for file in files), *rest)


class InputRow(NamedTuple):
    """A row as it was read.

    Args:
        number: in its file, from 1; None where the file is the row.
        columns: by name; a value without one is ``data``.
        raw: its own bytes, where they are text.
        error: why it cannot be read, as a code and a message; None where it can.
    """

    file: str
    number: int | None
    columns: dict[str, Any]
    raw: bytes = b""
    error: tuple[str, str] | None = None

    @property
    def key(self) -> str:
        return self.file if self.number is None else f"{self.file}:{self.number}"


class Placed(Protocol):
    """What is a row in a file: its number, and where it begins and ends, in bytes."""

    @property
    def number(self) -> int: ...
    @property
    def begin(self) -> int: ...
    @property
    def end(self) -> int: ...


def cut(file: Found, found: Iterable[Placed], rows: int, numbers: Iterator[int]) -> Iterator[Part]:
    """The file's parts, each of so many rows at most, with the next of the numbers."""
    first = count = begin = end = 0
    for one in found:
        if count and (count >= rows or one.end - begin > PART_BYTES):
            yield Part(next(numbers), (file,), first, count, begin, end)
            count = 0
        if not count:
            first, begin = one.number, one.begin
        count, end = count + 1, one.end
    if count:
        yield Part(next(numbers), (file,), first, count, begin, end)
