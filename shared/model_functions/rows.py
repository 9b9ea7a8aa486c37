"""Rows: what a model reads of a request piece by piece, so that it can read those of several requests at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple

from model_functions.wrapper import ModelWrapper

#: Sizes between which rows are read together: padding costs a batch of them a quarter at most, once they are long.
BUCKETS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)


class Row(NamedTuple):
    """One row.

    Args:
        size: in the units of Batch; rows of a batch are padded to the largest.
        kind: rows of one kind can be read together.
    """

    features: Any
    size: int = 1
    kind: Hashable = None


class Batch(NamedTuple):
    """How much a model reads at once.

    Args:
        size: the sum of the rows' sizes, padding included; a single row may be larger.
        rows: how many.
        bucketed: whether rows of other sizes stay apart, because padding costs as much as what is padded.
    """

    size: int
    rows: int
    bucketed: bool = True


@dataclass(frozen=True)
class Rows:
    """What a model reads of one request.

    Args:
        asked: what ``postprocess`` needs besides the outputs.
        outputs: one a row, once the model has read them.
    """

    rows: list[Row]
    asked: Any = None
    outputs: list[Any] = field(default_factory=list)


class Collector:
    """Fills one batch, beginning with a row."""

    def __init__(self, batch: Batch, first: Row) -> None:
        self._batch = batch
        self._group = _group(batch, first)
        self._longest = 0
        self._count = 0

    @property
    def full(self) -> bool:
        return self._count >= self._batch.rows or (self._count + 1) * self._longest > self._batch.size

    def takes(self, row: Row) -> bool:
        """Whether the row is read with the others; if so, it counts."""
        longest, count = max(self._longest, row.size), self._count + 1
        if self._count and (count > self._batch.rows or count * longest > self._batch.size):
            return False
        if _group(self._batch, row) != self._group:
            return False
        self._longest, self._count = longest, count
        return True


def _group(batch: Batch, row: Row) -> tuple[Hashable, int]:
    bucket = next((edge for edge in BUCKETS if row.size <= edge), row.size) if batch.bucketed else 0
    return row.kind, bucket


def in_batches(rows: Sequence[Row], batch: Batch, read: Callable[[list[Any]], list[Any]]) -> list[Any]:
    """The outputs of the rows, which ``read`` gives for features, in order."""
    if len(rows) == 1:
        return read([rows[0].features])
    outputs: list[Any] = [None] * len(rows)
    # The longest first: what needs the most memory does so before anything else has been done.
    left = sorted(range(len(rows)), key=lambda place: -rows[place].size)
    while left:
        collector = Collector(batch, rows[left[0]])
        taken = [place for place in left if collector.takes(rows[place])]
        for place, output in zip(taken, read([rows[place].features for place in taken]), strict=True):
            outputs[place] = output
        done = set(taken)
        left = [place for place in left if place not in done]
    return outputs


class RowWrapper(ModelWrapper):
    """A wrapper whose model reads rows, each for itself: whatever stands beside a row, its output is the same.

    A subclass fills ``preprocess``, which any number of threads may call at once, ``forward_rows`` and
    ``postprocess``; both ends have ``Rows``.
    """

    batch: ClassVar[Batch]
    """What of it is read at once, where the publisher does not say."""
    max_batch: int | None = None
    """The publisher's own ``Batch.size``; 0: no request is read with another."""

    @property
    def limits(self) -> Batch:
        return self.batch if not self.max_batch else self.batch._replace(size=self.max_batch)

    @abstractmethod
    def forward_rows(self, rows: list[Any], parameters: dict[str, Any]) -> list[Any]:
        """One output a row, for the features of rows of one kind."""

    def forward_while(self, rows: list[Any], parameters: dict[str, Any], check: Callable[[], None]) -> list[Any]:
        """``forward_rows``; where that takes many steps, what ``check`` raises between two of them ends it."""
        return self.forward_rows(rows, parameters)

    def forward(self, features: Rows, parameters: dict[str, Any]) -> Rows:
        outputs = in_batches(features.rows, self.limits, lambda rows: self.forward_rows(rows, parameters))
        return replace(features, outputs=outputs)
