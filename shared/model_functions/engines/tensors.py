"""From the nested lists of a request to arrays, and from arrays to what JSON can say."""

import json
import math
from collections.abc import Hashable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_functions.string_tensors import strings
from model_functions.tensors import TensorInput, Tensors, TensorSpec


class NotPerItem(ValueError):
    """An output that has no row for each item of the batch."""


#: Arrays by the names of inputs or outputs.
Arrays = dict[str, NDArray[Any]]


def blocks(item: dict[str, Any], reads: TensorInput, size: int) -> Iterator[Arrays]:
    """An item's checked nested lists, or Tensors, as the model reads them, with the batch's dimension where it has one.

    Args:
        size: values that one of several blocks has at most, unless an item alone has more.
    """
    specs, each = {spec.name: spec for spec in reads.specs}, reads.counted
    if not isinstance(item, Tensors):
        found = {name: array(value, specs[name]) for name, value in item.items()}
        yield {name: one[np.newaxis] if name in each else one for name, one in found.items()}
        return
    count = items(item, reads)
    values = sum(one.size // count for name, one in item.items() if name in each)
    step = min(reads.largest_batch or count, max(1, size // max(1, values)))
    for start in range(0, count, step):
        yield {name: one[start : start + step] if name in each else one for name, one in item.items()}


def items(block: Arrays, reads: TensorInput) -> int:
    """How many the block has."""
    return next((len(one) for name, one in block.items() if name in reads.counted), 1)


def kind(block: Arrays, reads: TensorInput) -> Hashable:
    """What blocks must have in common to be read at once."""
    each = reads.counted
    # An input of the whole batch must be the same for all of it.
    return tuple((name, block[name].shape[1:] if name in each else block[name].tobytes()) for name in sorted(block))


def grouped(found: Sequence[Arrays], reads: TensorInput) -> Iterator[list[Arrays]]:
    """The blocks, in order, as many together as the model takes items at once."""
    largest = (reads.largest_batch or math.inf) if reads.batched else 1
    group: list[Arrays] = []
    count = 0
    for block in found:
        if group and count + items(block, reads) > largest:
            yield group
            group, count = [], 0
        group.append(block)
        count += items(block, reads)
    yield group


def stacked(found: list[Arrays], reads: TensorInput) -> Arrays:
    """Blocks of one kind as the model reads them at once; a block alone is not copied."""
    first, each = found[0], reads.counted
    # A model of a fixed batch is given the last item again; what it answers to that is dropped.
    missing = reads.smallest_batch - sum(items(block, reads) for block in found) if reads.batched else 0
    if len(found) == 1 and missing <= 0:
        return first
    parts = {name: [block[name] for block in found] for name in first if name in each}
    if missing > 0:
        parts = {name: [*part, *[part[-1][-1:]] * missing] for name, part in parts.items()}
    return {name: np.concatenate(parts[name]) if name in each else first[name] for name in first}


def array(value: Any, spec: TensorSpec) -> NDArray[Any]:
    """A checked nested list; a bfloat16 one is float32, because numpy has no such type, and the engine narrows it."""
    dtypes: dict[str, Any] = {"string": object, "bfloat16": np.float32}
    return np.array(value, dtype=dtypes.get(spec.dtype, spec.dtype))


def parts(output: Any, name: str, counts: list[int], asked: int) -> list[Any]:
    """An output's part of each block.

    Args:
        counts: of the blocks' items.
        asked: how many items the model was given, those that fill a fixed batch included.
    """
    length = len(output) if isinstance(output, list) else output.shape[0] if np.ndim(output) else None
    if length != asked:
        had = "no rows" if length is None else f"{length} rows"
        raise NotPerItem(f'The output "{name}" has {had} for {asked} items: its first dimension counts no items.')
    ends = list(accumulate(counts))
    return [output[end - count : end] for count, end in zip(counts, ends, strict=True)]


def whole(found: list[Any]) -> NDArray[Any]:
    """An output's parts as one array, strings as bytes."""
    if not all(isinstance(part, np.ndarray) for part in found):
        return _of_maps([row for part in found for row in (part if isinstance(part, list) else [part])])
    joined = found[0] if len(found) == 1 else np.concatenate(found)
    if joined.dtype.kind not in "OSU":
        return joined
    return strings(joined.reshape(-1).tolist()).reshape(joined.shape)


def _of_maps(found: list[Any]) -> NDArray[Any]:
    """What a graph answers with sequences and maps: their numbers, those of maps in the keys' order."""
    rows = [list(row.values()) if isinstance(row, dict) else row for row in found]
    try:
        return np.array(rows, np.float32)
    except (TypeError, ValueError):
        return strings([json.dumps(plain(row), ensure_ascii=False) for row in found])


def plain(value: Any) -> Any:
    """Arrays, sequences and maps as JSON has them."""
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist()) if value.dtype.hasobject or value.dtype.kind in "SU" else value.tolist()
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(plain(key)): plain(one) for key, one in value.items()}
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
