"""Text files of which each line is a row."""

from collections.abc import Iterator

from deploy.batch.files import Files
from deploy.batch.parts import InputRow, Part
from deploy.batch.readers.text_lines import lines_of, parts

__all__ = ["parts", "rows"]


def rows(files: Files, part: Part) -> Iterator[InputRow]:
    name = part.files[0].name
    for line in lines_of(files, part):
        try:
            yield InputRow(name, line.number, {"data": line.data.decode()}, line.data)
        except UnicodeDecodeError as exc:
            why = f"The line is not UTF-8: byte {exc.start} cannot be read."
            yield InputRow(name, line.number, {}, line.data, ("invalid_encoding", why))
