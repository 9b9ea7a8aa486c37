"""From the nested lists of a request to arrays, and from arrays to what JSON can say."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_functions.tensors import TensorInput, TensorSpec


class NotPerItem(ValueError):
    """An output that has no row for each item of the batch."""


#: An item: its arrays by the inputs' names.
Arrays = dict[str, NDArray[Any]]


def arrays(item: dict[str, Any], reads: TensorInput) -> Arrays:
    """An item's checked nested lists, by the inputs' names."""
    specs = {spec.name: spec for spec in reads.specs}
    return {name: array(value, specs[name]) for name, value in item.items()}


def kind(item: Arrays, reads: TensorInput) -> Hashable:
    """What items must have in common to be read at once."""
    each = reads.counted
    # An input of the whole batch must be the same for all of it.
    return tuple((name, item[name].shape if name in each else item[name].tobytes()) for name in sorted(item))


def stacked(items: list[Arrays], reads: TensorInput) -> Arrays:
    """Items of one kind as the model reads them at once."""
    if not reads.batched:
        [alone] = items
        return alone
    # A model of a fixed batch is given the last item again; what it answers to that is dropped.
    padded = items + items[-1:] * (reads.smallest_batch - len(items))
    each, first = reads.counted, padded[0]
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
