"""A model's examples as tensors, for the protocols that speak of those."""

from collections.abc import Mapping
from typing import Any

from model_functions.http.openapi.served import Model, Record
from model_functions.http.protocols.datatypes import DATATYPES


def inputs_of(model: Model, item: Any) -> list[Record]:
    """The item as the tensors of one request; nothing where its form says too little."""
    columns = columns_of(model, item)
    if columns is None:
        return []
    return [
        {
            "name": spec["name"],
            "shape": _shape(columns[spec["name"]]),
            "datatype": DATATYPES[spec["dtype"]],
            "data": columns[spec["name"]],
        }
        for spec in model.inputs
        if spec["name"] in columns
    ]


def columns_of(model: Model, item: Any) -> dict[str, Any] | None:
    """A nested list for each input by its name, of this one item."""
    named = _by_name(model, item)
    if named is None:
        return None
    return {
        spec["name"]: _batch(named[spec["name"]], spec) for spec in model.inputs if named.get(spec["name"]) is not None
    }


def _by_name(model: Model, item: Any) -> Mapping[str, Any] | None:
    names = [spec["name"] for spec in model.inputs]
    if isinstance(item, dict):
        return item if set(item) <= set(names) else None
    if model.kind == "row" and isinstance(item, list):
        return dict(zip(names, item, strict=False))
    is_one = len(names) == 1 and (isinstance(item, str) or model.kind == "tensors")
    return {names[0]: item} if is_one else None


def _batch(value: Any, spec: Record) -> Any:
    """With the dimension that counts items, where the input has it."""
    counts = spec["shape"] is not None and len(spec["shape"]) == len(_shape(value)) + 1
    return [value] if counts else value


def _shape(value: Any) -> list[int]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return shape
