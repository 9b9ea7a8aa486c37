"""What a reader makes of a file's bytes: its parts, and the rows of all of them."""

from collections.abc import Sequence
from pathlib import Path

from deploy.batch.files import LocalFiles
from deploy.batch.parts import InputRow, Part
from deploy.batch.readers import reader

FILES = LocalFiles()


def parts_of(form: str, path: Path, rows: int = 2) -> list[Part]:
    return list(reader(form).parts(FILES, FILES.matching(str(path)), rows))


def rows_of(form: str, parts: Sequence[Part]) -> list[InputRow]:
    return [row for part in parts for row in reader(form).rows(FILES, part)]


def read(form: str, folder: Path, data: bytes, rows: int = 2) -> list[InputRow]:
    """All rows, in parts of so many; what the parts say of themselves is held against what they have."""
    path = folder / "rows"
    path.write_bytes(data)
    parts = parts_of(form, path, rows)
    found = rows_of(form, parts)
    assert [part.number for part in parts] == list(range(len(parts)))
    assert sum(part.rows for part in parts) == len(found)
    assert all(len(list(reader(form).rows(FILES, part))) == part.rows <= rows for part in parts)
    assert len({row.key for row in found}) == len(found)
    return found
