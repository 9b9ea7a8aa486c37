"""Text files each of which is a row."""

from collections.abc import Iterator

from deploy.batch.files import Files
from deploy.batch.parts import InputRow, Part
from deploy.batch.readers.whole_files import contents, parts

__all__ = ["parts", "rows"]


def rows(files: Files, part: Part) -> Iterator[InputRow]:
    for row, data in contents(files, part):
        try:
            yield row._replace(columns={"data": data.decode("utf-8-sig")}, raw=data)
        except UnicodeDecodeError as exc:
            why = f"The file is not UTF-8: byte {exc.start} cannot be read."
            yield row._replace(raw=data, error=("invalid_encoding", why))
