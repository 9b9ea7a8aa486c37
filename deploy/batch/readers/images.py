"""Image files each of which is a row; whether one is an image, the model says."""

from collections.abc import Iterator

from deploy.batch.files import Files
from deploy.batch.parts import InputRow, Part
from deploy.batch.readers.whole_files import contents, parts

__all__ = ["parts", "rows"]


def rows(files: Files, part: Part) -> Iterator[InputRow]:
    for row, data in contents(files, part):
        yield row._replace(columns={"data": data})
