"""Files of lines: where each begins, and its bytes. What a line means is its form's."""

import codecs
from collections.abc import Iterable, Iterator
from itertools import count
from typing import BinaryIO, NamedTuple

from deploy.batch.files import Files, Found
from deploy.batch.parts import ROW_BYTES, Part, cut


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
    numbers = count()
    for one in found:
        with files.open(one) as file:
            full = (line for line in lines(file, one.name) if line.data.strip())
            yield from cut(one, full, rows, numbers)


def lines_of(files: Files, part: Part) -> Iterator[Line]:
    """Those of a part that are rows, without what ends them."""
    (one,) = part.files
    with files.open(one) as file:
        for line in lines(file, one.name, part.begin, part.first):
            if line.begin >= part.end:
                return
            if line.data.strip():
                yield line._replace(data=line.data.rstrip(b"\r\n"))
