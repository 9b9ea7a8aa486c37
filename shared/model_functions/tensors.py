"""``data`` as tensors: nested lists, or whole arrays, checked against the names, types and shapes a model declares."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from model_functions.errors import InvalidInput
from model_functions.inputs import check_count, json_type, one_or_many

MAX_ITEMS = 1_000
MAX_VALUES = 4_000_000
#: Levels of a tensor whose rank the model does not tell.
MAX_RANK = 16

Dimension = int | str | None
Shape = tuple[Dimension, ...]

_INTEGERS: dict[str, tuple[int, int]] = {
    **{f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
}
#: The largest number of each type: what lies beyond would become infinite.
_FLOATS = {
    "float16": 65504.0,
    "bfloat16": 3.3895313892515355e38,
    "float32": 3.4028234663852886e38,
    "float64": 1.7976931348623157e308,
}
DTYPES = (*_FLOATS, *_INTEGERS, "bool", "string")
#: What numpy calls the types that it does not have: bfloat16 is widened, and strings are objects, bytes or str.
_IN_NUMPY = {"bfloat16": "float32", "string": "object"}

#: Bytes of whole arrays in a request, for each of the values that lists may have.
_WIDEST = 8


class Tensors(dict[str, Any]):
    """``data`` as whole arrays by the inputs' names, those of all items at once: no list is ever made of them.

    A float may be infinite or NaN, which arrays can say, and masks and missing values are said so.
    """


@dataclass(frozen=True)
class TensorSpec:
    """What a model says of one of its inputs or outputs.

    Args:
        dtype: one of DTYPES, numpy's words for them.
        shape: a number for a dimension of one size, a symbol for one that must be equal wherever the symbol stands,
            None for one of any size; None instead of a shape where the model does not even tell the rank.
        optional: whether the model has a value of its own for it.
    """

    name: str
    dtype: str
    shape: Shape | None
    optional: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(
                f'"{self.name}" is of the type {self.dtype}, which JSON cannot spell. The types: {", ".join(DTYPES)}.'
            )

    def item(self) -> "TensorSpec":
        """The same without its first dimension, that of the batch."""
        return replace(self, shape=None if self.shape is None else self.shape[1:])

    def spelled(self) -> str:
        """Its shape, as ``(batch, 8, 8)``."""
        if self.shape is None:
            return "(of any rank)"
        sizes = ", ".join("any" if size is None else str(size) for size in self.shape)
        return f"({sizes},)" if len(self.shape) == 1 else f"({sizes})"

    def check_array(self, array: Any, path: str) -> None:
        """Raises InvalidInput for an array of another type or shape, or without values."""
        found = array.dtype.name
        if found != _IN_NUMPY.get(self.dtype, self.dtype):
            known = {there: here for here, there in _IN_NUMPY.items() if there == "object"}
            raise InvalidInput(path, f"{path} is {known.get(found, found)}. Send {self.dtype}.")
        sizes = self.shape if self.shape is not None else array.shape
        fits = len(sizes) == array.ndim and all(
            size == wanted or not isinstance(wanted, int) for size, wanted in zip(array.shape, sizes, strict=True)
        )
        if not fits:
            raise InvalidInput(path, f"{path} has the shape {array.shape}. Send {self.spelled()}.")
        if not array.size:
            raise InvalidInput(path, f"{path} has the shape {array.shape}, and so no values. Send at least one.")
        if self.dtype == "string" and not {type(value) for value in array.flat} <= {bytes, str}:
            raise InvalidInput(path, f"{path} holds something else than strings. Send strings alone.")

    def schema(self) -> dict[str, Any]:
        """A JSON Schema of its nested lists."""
        if self.shape is None:
            return {"description": f"{self.dtype}, nested as the model takes it"}
        schema = self._value_schema()
        for size in reversed(self.shape):
            counts = {"minItems": size, "maxItems": size} if isinstance(size, int) else {"minItems": 1}
            schema = {"type": "array", "items": schema, **counts}
        return {"description": f"{self.dtype} of shape {self.spelled()}", **schema}

    def fits(self, values: list[Any]) -> bool:
        """Whether each is a value of the type, and none becomes infinite that was not: a protocol may let those in."""
        types = set(map(type, values))
        if self.dtype in ("bool", "string"):
            return types <= {bool if self.dtype == "bool" else str}
        if not types <= ({int} if self.dtype in _INTEGERS else {int, float}):
            return False
        low, high = self._range()
        finite = values if types == {int} else list(filter(math.isfinite, values))
        return not finite or bool(low <= min(finite) and max(finite) <= high)

    def wanted(self) -> str:
        """What to send, as a message says it."""
        if self.dtype in _INTEGERS:
            low, high = self._range()
            return f"an integer from {low} to {high}"
        if self.dtype in _FLOATS:
            largest = _FLOATS[self.dtype]
            return f"a number ({self.dtype}, up to {largest:g})"
        return "true or false" if self.dtype == "bool" else "a string"

    def _range(self) -> tuple[float, float]:
        return _INTEGERS.get(self.dtype) or (-_FLOATS[self.dtype], _FLOATS[self.dtype])

    def _value_schema(self) -> dict[str, Any]:
        if self.dtype in _INTEGERS:
            low, high = _INTEGERS[self.dtype]
            return {"type": "integer", "minimum": low, "maximum": high}
        if self.dtype in _FLOATS and self.dtype != "float64":
            largest = _FLOATS[self.dtype]
            return {"type": "number", "minimum": -largest, "maximum": largest}
        return {"type": {"bool": "boolean", "string": "string"}.get(self.dtype, "number")}


class TensorInput:
    """An item is an object with a nested list for each input, or, where there is one input, the nested list alone.

    Among several items, a list of objects, or of nested lists: they are told from a single one by how deep they are
    nested. Where the model reads batches, an item has a dimension less than the model's input: the first, which
    counts the items.

    Args:
        specs: as the model declares them, with the batch's dimension where there is one.
        batched: whether the first dimension of each counts items.
        sizes: of a symbol, the smallest and the largest size that the model takes.
        largest: items that the model takes at once, where its shapes say more.
        max_items: in one request.
        max_values: in one request, of all tensors together.
    """

    kind = "tensors"

    def __init__(
        self,
        specs: Sequence[TensorSpec],
        *,
        batched: bool,
        sizes: Mapping[str, tuple[int, int | None]] | None = None,
        largest: int | None = None,
        max_items: int = MAX_ITEMS,
        max_values: int = MAX_VALUES,
    ) -> None:
        if not specs:
            raise ValueError("The model has no inputs, so there is nothing to send it.")
        self.specs = list(specs)
        self.batched = batched
        self.sizes = dict(sizes or {})
        self.largest = largest
        self.max_items = max_items
        self.max_values = max_values
        self._items = {spec.name: spec.item() if self.counts_items(spec) else spec for spec in self.specs}

    def counts_items(self, spec: TensorSpec) -> bool:
        """Whether the input's first dimension does. One that is optional, and of one size, is the whole batch's."""
        of_all = spec.optional and not (spec.shape and self.batch_size == spec.shape[0])
        return self.batched and not of_all

    @property
    def counted(self) -> set[str]:
        """The inputs whose first dimension counts the items."""
        return {spec.name for spec in self.specs if self.counts_items(spec)}

    @property
    def batch_size(self) -> Dimension:
        """The one size that a batch must have; a symbol or None for any."""
        first = next((spec.shape[0] for spec in self.specs if spec.shape and not spec.optional), None)
        return first if self.batched else 1

    @property
    def largest_batch(self) -> int | None:
        """Items that the model takes at once; None for any number."""
        size = self.batch_size
        if isinstance(size, int):
            return size
        if size is None or self.largest is not None:
            return self.largest
        return self.sizes.get(size, (1, None))[1]

    @property
    def smallest_batch(self) -> int:
        size = self.batch_size
        if isinstance(size, int):
            return size
        return self.sizes.get(size, (1, None))[0] if size is not None else 1

    def items(self, data: Any) -> tuple[list[dict[str, Any]], bool]:
        """The tensors of each item by name, as nested lists; Tensors stay as they are, all items in one."""
        if isinstance(data, Tensors):
            self._check_whole(data)
            return [data], False
        if self._is_single(data):
            found, single = [self._item(data, "data")], True
        else:
            check_count(data, self.max_items)
            found, single = [self._item(item, f"data[{index}]") for index, item in enumerate(data)], False
        count = sum(_count(value) for item in found for value in item.values())
        if count > self.max_values:
            raise InvalidInput(
                "data", f"data has {count} values; the limit is {self.max_values}. Send fewer per request."
            )
        return found, single

    def from_query(self, values: list[str]) -> Any:
        """Each value is an item: JSON, or a list's values between commas."""
        items = [self._from_text(value) for value in values]
        return items[0] if len(items) == 1 else items

    def schema(self) -> dict[str, Any]:
        named = {
            "type": "object",
            "properties": {name: spec.schema() for name, spec in self._items.items()},
            "required": [name for name, spec in self._items.items() if not spec.optional],
            "additionalProperties": False,
            # For who sends whole tensors, as the page's code for Triton's client does.
            "x-counted": sorted(self.counted),
        }
        if len(self._items) > 1:
            return one_or_many(named, self.max_items)
        [alone] = self._items.values()
        return one_or_many({"anyOf": [alone.schema(), named]}, self.max_items)

    def _check_whole(self, tensors: Tensors) -> None:
        self._check_names(tensors, "inputs")
        symbols: dict[str, tuple[int, str]] = {}
        counts: dict[str, int] = {}
        for name, array in tensors.items():
            spec, path, item = next(one for one in self.specs if one.name == name), f"inputs.{name}", self._items[name]
            counted = self.counts_items(spec)
            # The first dimension counts items, however many the model takes at once.
            shape = ("items", *item.shape) if counted and item.shape is not None else spec.shape
            replace(spec, shape=shape).check_array(array, path)
            if counted and not array.ndim:
                raise InvalidInput(path, f"{path} is a single value. Send it as the first of a batch, of shape (1,).")
            if counted:
                counts[path] = len(array)
            self._check_symbols(item, list(array.shape[counted:]), path, symbols)
        self._check_counts(counts)
        size, limit = sum(array.nbytes for array in tensors.values()), self.max_values * _WIDEST
        if size > limit:
            raise InvalidInput("inputs", f"inputs has {size} bytes; the limit is {limit}. Send fewer per request.")

    def _check_counts(self, counts: dict[str, int]) -> None:
        first = next(iter(counts), None)
        for path, count in counts.items():
            if count > self.max_items:
                raise InvalidInput(path, f"{path} has {count} items; the limit is {self.max_items}. Send fewer.")
            if first is not None and count != counts[first]:
                raise InvalidInput(
                    path, f"{path} has {count} items, and {first} has {counts[first]}. They must be equally many."
                )

    def _is_single(self, data: Any) -> bool:
        if not isinstance(data, list):
            return True
        if not data:
            check_count(data, self.max_items)
        if isinstance(data[0], dict):
            return False
        if len(self._items) > 1:
            # What stands in the list is no object: the first item's own message says so.
            return False
        [spec] = self._items.values()
        # Without a rank only objects by name can be told from each other.
        return spec.shape is None or _depth(data) <= len(spec.shape)

    def _item(self, item: Any, path: str) -> dict[str, Any]:
        if isinstance(item, dict):
            self._check_names(item, path)
            tensors, paths = item, {name: f"{path}.{name}" for name in item}
        elif len(self._items) == 1:
            [name] = self._items
            tensors, paths = {name: item}, {name: path}
        else:
            raise InvalidInput(
                path, f"{path} is {json_type(item)}. Send an object with the inputs {_listed(self._items)}."
            )
        symbols: dict[str, tuple[int, str]] = {}
        for name, value in tensors.items():
            sizes = _checked(value, self._items[name], paths[name])
            self._check_symbols(self._items[name], sizes, paths[name], symbols)
        return tensors

    def _check_names(self, item: dict[str, Any], path: str) -> None:
        missing = [name for name, spec in self._items.items() if name not in item and not spec.optional]
        if missing:
            raise InvalidInput(path, f"{path} lacks {_listed(missing)}. The inputs are: {_listed(self._items)}.")
        unknown = [name for name in item if name not in self._items]
        if unknown:
            raise InvalidInput(path, f"{path} has no input {_listed(unknown)}. The inputs are: {_listed(self._items)}.")

    def _check_symbols(self, spec: TensorSpec, sizes: list[int], path: str, known: dict[str, tuple[int, str]]) -> None:
        for symbol, size in zip(spec.shape or (), sizes, strict=False):
            if not isinstance(symbol, str):
                continue
            low, high = self.sizes.get(symbol, (1, None))
            if size < low or (high is not None and size > high):
                limits = f"from {low} to {high}" if high is not None else f"at least {low}"
                raise InvalidInput(path, f'{path} has {size} values along "{symbol}"; the model takes {limits}.')
            first, place = known.setdefault(symbol, (size, path))
            if size != first:
                raise InvalidInput(
                    path,
                    f'{path} has {size} values along "{symbol}", and {place} has {first}. They must be equally many.',
                )

    def _from_text(self, text: str) -> Any:
        for tried in (text, f"[{text}]"):
            try:
                return json.loads(tried, parse_constant=_no_constant)
            except (ValueError, RecursionError):
                continue
        if len(self._items) == 1 and next(iter(self._items.values())).dtype == "string":
            return text
        raise InvalidInput("data", f'data "{text[:40]}" is no JSON. Send numbers, between commas or in nested lists.')


def looks_batched(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> bool:
    """Whether the first dimension of all counts the items of a batch, as far as their shapes tell."""
    firsts = {spec.shape[0] if spec.shape else 0 for spec in inputs if not spec.optional}
    symbols = firsts - {None}
    # A model of one item at a time is often exported with a batch of one.
    is_batch = symbols <= {1} or all(isinstance(symbol, str) for symbol in symbols)
    if not inputs or len(symbols) > 1 or (firsts == {1, None}) or not is_batch:
        return False
    if symbols == {1} and any(len(spec.shape or ()) < 2 for spec in inputs):
        return False
    return all(spec.shape is None or (spec.shape and _may_be(spec.shape[0], symbols)) for spec in outputs)


def _may_be(first: Dimension, symbols: set[Any]) -> bool:
    """Whether an output's first dimension may count what the inputs' do: exporters often rename it."""
    return first in symbols if symbols == {1} else not isinstance(first, int)


def _checked(value: Any, spec: TensorSpec, path: str) -> list[int]:
    """The sizes of the tensor that the value is. Raises InvalidInput where it is none that the spec describes."""
    shape: Shape
    if spec.shape is None:
        depth = _depth(value)
        if depth > MAX_RANK:
            raise InvalidInput(path, f"{path} is nested {depth} deep; the limit is {MAX_RANK}.")
        shape = (None,) * depth
    else:
        shape = spec.shape
    spec = replace(spec, shape=shape)
    sizes = [size if isinstance(size, int) else -1 for size in shape]
    _check_level(value, spec, path, 0, sizes)
    return sizes


def _check_level(value: Any, spec: TensorSpec, path: str, level: int, sizes: list[int]) -> None:
    """Fills in the free sizes at the first list of each level, which the others must equal."""
    if level == len(sizes):
        _check_values([value], spec, [path])
        return
    _check_list(value, spec, path, level, sizes)
    if level + 1 < len(sizes):
        for index, row in enumerate(value):
            _check_level(row, spec, f"{path}[{index}]", level + 1, sizes)
    elif not spec.fits(value):
        _check_values(value, spec, (f"{path}[{index}]" for index in range(len(value))))


def _check_list(value: Any, spec: TensorSpec, path: str, level: int, sizes: list[int]) -> None:
    what = f'"{spec.name}" has the shape {spec.spelled()}'
    if not isinstance(value, list):
        left = len(sizes) - level
        raise InvalidInput(path, f"{path} is {json_type(value)}; {what}. Send a list {left} deep.")
    if sizes[level] < 0 and value:
        sizes[level] = len(value)
    if len(value) != sizes[level]:
        need = "at least 1" if sizes[level] < 0 else str(sizes[level])
        raise InvalidInput(path, f"{path} has {len(value)} values; {what}. Send {need} here.")


def _check_values(values: Iterable[Any], spec: TensorSpec, paths: Iterable[str]) -> None:
    for value, path in zip(values, paths, strict=False):
        if spec.shape is not None and isinstance(value, list):
            raise InvalidInput(
                path, f'{path} is a list; "{spec.name}" has the shape {spec.spelled()}. Send {spec.wanted()} here.'
            )
        if not spec.fits([value]):
            shown = json.dumps(value, default=str)[:40] if isinstance(value, int | float | str) else json_type(value)
            raise InvalidInput(path, f'{path} is {shown}; "{spec.name}" is {spec.dtype}. Send {spec.wanted()}.')


def _depth(value: Any) -> int:
    depth = 0
    while isinstance(value, list):
        depth += 1
        value = value[0] if value else None
    return depth


def _count(value: Any) -> int:
    """Values of a tensor that is known to be rectangular."""
    count = 1
    while isinstance(value, list):
        count *= len(value)
        value = value[0]
    return count


def _listed(names: Iterable[str]) -> str:
    return ", ".join(_some(names))


def _some(names: Iterable[str]) -> Iterator[str]:
    for index, name in enumerate(names):
        if index == 8:
            yield "…"
            return
        yield f'"{name[:40]}"'


def _no_constant(name: str) -> Any:
    raise ValueError(f"JSON has no {name}")
