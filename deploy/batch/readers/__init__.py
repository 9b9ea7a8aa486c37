"""How inputs are read: one module a form. Each divides files into parts, and gives the rows of one."""

import importlib
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Protocol, cast

from deploy.batch.files import Files, Found
from deploy.batch.parts import InputRow, Part

#: By what names end with; the form's module here has its name.
_BY_ENDING = {
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "json_lines"),
    **dict.fromkeys((".csv",), "csv"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".txt", ".text"), "lines"),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"), "images"),
}
FORMATS = ("json_lines", "csv", "parquet", "lines", "documents", "images")


class Reader(Protocol):
    """A module of this package."""

    def parts(self, files: Files, found: Iterable[Found], rows: int) -> Iterator[Part]:
        """The files' rows, so many or fewer a part; reads what it must of them, and keeps none of it.

        Raises ValueError for a file that is none of this form.
        """

    def rows(self, files: Files, part: Part) -> Iterator[InputRow]:
        """Those of a part, each once, those that cannot be read included. Raises FileChanged."""


def reader(form: str) -> Reader:
    return cast(Reader, importlib.import_module(f"deploy.batch.readers.{form}"))


def form_of(names: Iterable[str]) -> str:
    """The one form that all the names end with. Raises ValueError where there is none, or several."""
    by_form = {_BY_ENDING.get(PurePosixPath(name).suffix.lower(), ""): name for name in names}
    if len(by_form) == 1 and "" not in by_form:
        return next(iter(by_form))
    examples = ", ".join(sorted(by_form.values())[:3])
    why = "end with nothing that says their form" if set(by_form) == {""} else "have several forms"
    raise ValueError(f"The inputs {why}, as {examples}. Say --format, one of {', '.join(FORMATS)}.")
