"""Parquet: row groups, read in slices of few rows, whatever their columns hold."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from deploy.batch.files import Files, Found
from deploy.batch.parts import InputRow, Part

#: Rows that are decoded at once.
_SLICE = 1024

_kept = threading.local()


def parts(files: Files, found: Iterable[Found], rows: int) -> Iterator[Part]:
    """A part's ``begin`` is its row group, its ``end`` the place of its first row in it."""
    number = 0
    for one in found:
        with files.open(one) as file:
            groups = _opened(file, one.name).metadata
            first = 1
            for group in range(groups.num_row_groups):
                count = groups.row_group(group).num_rows
                for start in range(0, count, rows):
                    taken = min(rows, count - start)
                    yield Part(number, (one,), first, taken, group, start)
                    number, first = number + 1, first + taken


def rows(files: Files, part: Part) -> Iterator[InputRow]:
    (one,) = part.files
    taken = _slices(files, one, part.begin, part.end).take(part.end, part.rows)
    for number, columns in enumerate(taken, part.first):
        yield InputRow(one.name, number, columns)


class _Slices:
    """The rows of a row group, which can be decoded from its beginning alone."""

    def __init__(self, files: Files, found: Found, group: int) -> None:
        self.of = found, group
        self.next = 0
        self._file = files.open(found)
        opened = _opened(self._file, found.name)
        self._batches = opened.iter_batches(batch_size=_SLICE, row_groups=[group])
        self._left: deque[dict[str, Any]] = deque()

    def take(self, start: int, count: int) -> Iterator[dict[str, Any]]:
        """Not before what was taken before."""
        while self.next + len(self._left) <= start:
            self.next += len(self._left)
            self._decode()
        while self.next < start:
            self._left.popleft()
            self.next += 1
        for _ in range(count):
            if not self._left:
                self._decode()
            self.next += 1
            yield self._left.popleft()

    def _decode(self) -> None:
        self._left = deque(map(_plain, next(self._batches).to_pylist()))

    def close(self) -> None:
        self._file.close()


def _slices(files: Files, found: Found, group: int, start: int) -> _Slices:
    """Those of before, where the thread goes on in the same row group: parts come in order, mostly."""
    kept: _Slices | None = getattr(_kept, "slices", None)
    if kept is None or kept.of != (found, group) or kept.next > start:
        if kept is not None:
            kept.close()
        kept = _kept.slices = _Slices(files, found, group)
    return kept


def _opened(file: Any, name: str) -> Any:
    try:
        return pq.ParquetFile(file, buffer_size=2**20, pre_buffer=False)
    except (pa.ArrowException, OSError) as exc:
        raise ValueError(f"{name} is no Parquet file: {exc}.") from exc


def _plain(value: Any) -> Any:
    """As JSON has it, but for bytes, which may be a model's data."""
    match value:
        case dict():
            return {str(name): _plain(one) for name, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case float():
            # Frames spell what is missing as no number; JSON has no word for what is infinite.
            return value if math.isfinite(value) else None if math.isnan(value) else str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
    return value
