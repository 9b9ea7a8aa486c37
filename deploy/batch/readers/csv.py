"""CSV with a header, as Python's csv module reads it: quotes, and line ends within them, included."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from itertools import count
from typing import BinaryIO, NamedTuple

from deploy.batch.files import Files, Found
from deploy.batch.parts import ROW_BYTES, InputRow, Part, cut
from deploy.batch.readers.text_lines import Line, lines


class Record(NamedTuple):
    """Args: number: from 0, which is the header; begin, end: in the file; error: why it has no fields."""

    number: int
    begin: int
    end: int
    fields: list[str]
    data: bytes
    error: str = ""


def parts(files: Files, found: Iterable[Found], rows: int) -> Iterator[Part]:
    numbers = count()
    for one in found:
        with files.open(one) as file:
            records = _records(file, one.name)
            _check_header(one.name, next(records, None))
            yield from cut(one, records, rows, numbers)


def rows(files: Files, part: Part) -> Iterator[InputRow]:
    (one,) = part.files
    with files.open(one) as file:
        header = next(_records(file, one.name)).fields
        for record in _records(file, one.name, part.begin, part.first):
            if record.begin >= part.end:
                return
            yield _row(one.name, header, record)


def _row(file: str, header: list[str], record: Record) -> InputRow:
    raw = record.data.rstrip(b"\r\n")
    bad = InputRow(file, record.number, {}, raw)
    if record.error:
        return bad._replace(error=("invalid_row", f"The row cannot be read: {record.error}."))
    if len(record.fields) != len(header):
        why = f"The row has {len(record.fields)} fields, and the header {len(header)}."
        return bad._replace(error=("invalid_row", why))
    try:
        raw.decode()
    except UnicodeDecodeError as exc:
        return bad._replace(error=("invalid_encoding", f"The row is not UTF-8: byte {exc.start} cannot be read."))
    return bad._replace(columns=dict(zip(header, record.fields, strict=True)))


def _records(file: BinaryIO, name: str, begin: int = 0, number: int = 0) -> Iterator[Record]:
    """From a record's beginning on, without empty lines. Raises ValueError for one that does not end."""
    csv.field_size_limit(ROW_BYTES)
    taken: list[Line] = []
    read = csv.reader(_texts(file, name, begin, taken))
    while True:
        fields, error = list[str](), ""
        try:
            fields = next(read)
        except StopIteration:
            return
        except csv.Error as exc:
            error = str(exc).partition(" - ")[0]
        start, end, data = taken[0].begin, taken[-1].end, b"".join(line.data for line in taken)
        taken.clear()
        if fields or error:
            yield Record(number, start, end, fields, data, error)
            number += 1


def _texts(file: BinaryIO, name: str, begin: int, taken: list[Line]) -> Iterator[str]:
    """The lines, of which ``taken`` has those since it was emptied."""
    for line in lines(file, name, begin):
        taken.append(line)
        if line.end - taken[0].begin > ROW_BYTES:
            raise ValueError(
                f"{name} has a row of more than {ROW_BYTES // 2**20} MiB, which begins with {taken[0].data[:60]!r}. "
                "Is a quote not closed?"
            )
        # What is no UTF-8 is told of with its row, and the others are read.
        yield line.data.decode("utf-8", "surrogateescape")


def _check_header(name: str, header: Record | None) -> None:
    if header is None:
        return
    twice = [column for column in header.fields if header.fields.count(column) > 1]
    if twice:
        raise ValueError(f'{name} has the column "{twice[0]}" twice in its header. Rename one.')
    try:
        header.data.decode()
    except UnicodeDecodeError as exc:
        raise ValueError(f"{name} is not UTF-8: byte {exc.start} of its header cannot be read.") from exc
