"""Files of lines: where each begins, and its bytes. What a line means is its form's."""

import codecs
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

from deploy.batch.files import Files, Found
from deploy.batch.parts import PART_BYTES, ROW_BYTES, Part


class Line(NamedTuple):
    """Args: number: from 1; begin, end: in the file, the line's end included."""

    number: int
    begin: int
    end: int
    data: bytes


def lines(file: BinaryIO, name: str, begin: int = 0, number: int = 1) -> Iterator[Line]:
    """From a line's beginning on, without a byte order mark. Raises ValueError for one that has no end."""
    file.seek(begin)
    while data := file.readline(ROW_BYTES + 1):
        if len(data) > ROW_BYTES:
            raise ValueError(
                f"{name} has more than {ROW_BYTES // 2**20} MiB in its line {number}. Is it of another form? "
                "Say --format."
            )
        end = begin + len(data)
        yield Line(number, begin, end, data.removeprefix(codecs.BOM_UTF8) if begin == 0 else data)
        begin, number = end, number + 1


def parts(files: Files, found: Iterable[Found], rows: int) -> Iterator[Part]:
    """Lines with nothing but spaces count in the numbers of the others, and are no rows."""
    number = 0
    for one in found:
        with files.open(one) as file:
            for first, count, begin, end in _runs(lines(file, one.name), rows):
                yield Part(number, (one,), first, count, begin, end)
                number += 1


def _runs(found: Iterable[Line], rows: int) -> Iterator[tuple[int, int, int, int]]:
    """Of each run its first line's number, how many of its lines are rows, and where it begins and ends."""
    first = count = begin = end = 0
    for line in found:
        if not line.data.strip():
            continue
        if count and (count >= rows or line.end - begin > PART_BYTES):
            yield first, count, begin, end
            count = 0
        if not count:
            first, begin = line.number, line.begin
        count, end = count + 1, line.end
    if count:
        yield first, count, begin, end


def lines_of(files: Files, part: Part) -> Iterator[Line]:
    """Those of a part that are rows, without what ends them."""
    (one,) = part.files
    with files.open(one) as file:
        for line in lines(file, one.name, part.begin, part.first):
            if line.begin >= part.end:
                return
            if line.data.strip():
                yield line._replace(data=line.data.rstrip(b"\r\n"))
