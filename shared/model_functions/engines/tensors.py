"""From the nested lists of a request to arrays, batch by batch, and from arrays to what JSON can say."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_functions.tensors import TensorInput, TensorSpec


class NotPerItem(ValueError):
    """An output that has no row for each item of the batch."""


@dataclass(frozen=True)
class Batch:
    """Items that the model reads at once.

    Args:
        places: of the items in the request.
        arrays: by the inputs' names; of a model that reads no batches, those of its one item.
    """

    places: list[int]
    arrays: dict[str, NDArray[Any]]


def batches(items: list[dict[str, Any]], reads: TensorInput) -> Iterator[Batch]:
    """The items as the model reads them: those of the same shapes together, as many at once as it takes."""
    specs = {spec.name: spec for spec in reads.specs}
    arrays = [{name: array(value, specs[name]) for name, value in item.items()} for item in items]
    if not reads.batched:
        yield from (Batch([place], found) for place, found in enumerate(arrays))
        return
    each = {spec.name for spec in reads.specs if reads.counts_items(spec)}
    groups: dict[Any, list[int]] = {}
    for place, found in enumerate(arrays):
        # An input of the whole batch must be the same for all of it.
        facts = tuple((name, found[name].shape if name in each else found[name].tobytes()) for name in sorted(found))
        groups.setdefault(facts, []).append(place)
    for group in groups.values():
        largest = reads.largest_batch or len(group)
        for start in range(0, len(group), largest):
            places = group[start : start + largest]
            yield Batch(places, _stacked([arrays[place] for place in places], each, reads.smallest_batch))


def _stacked(arrays: list[dict[str, NDArray[Any]]], each: set[str], least: int) -> dict[str, NDArray[Any]]:
    # A model of a fixed batch is given the last item again; what it answers to that is dropped.
    padded = arrays + arrays[-1:] * (least - len(arrays))
    first = padded[0]
    return {name: np.stack([found[name] for found in padded]) if name in each else first[name] for name in first}


def array(value: Any, spec: TensorSpec) -> NDArray[Any]:
    """A checked nested list; a bfloat16 one is float32, because numpy has no such type, and the engine narrows it."""
    dtypes: dict[str, Any] = {"string": object, "bfloat16": np.float32}
    return np.array(value, dtype=dtypes.get(spec.dtype, spec.dtype))


def rows(output: Any, name: str, count: int, asked: int) -> list[Any]:
    """An output's part of each item.

    Args:
        count: of the items that were asked for.
        asked: how many the model was given, those that fill a fixed batch included.
    """
    length = len(output) if isinstance(output, list) else output.shape[0] if np.ndim(output) else None
    if length != asked:
        had = "no rows" if length is None else f"{length} rows"
        raise NotPerItem(f'The output "{name}" has {had} for {asked} items: its first dimension counts no items.')
    return [output[index] for index in range(count)]


def plain(value: Any) -> Any:
    """Arrays, sequences and maps as JSON has them."""
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist()) if value.dtype.hasobject or value.dtype.kind in "SU" else value.tolist()
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(plain(key)): plain(one) for key, one in value.items()}
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
