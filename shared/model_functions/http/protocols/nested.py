"""Nested lists of JSON as arrays, for the protocols that speak of tensors."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_functions.errors import InvalidInput
from model_functions.inputs import json_type
from model_functions.tensors import MAX_RANK, TensorSpec


def nested_array(value: Any, spec: TensorSpec, path: str) -> NDArray[Any]:
    """Of the spec's type and whatever shape the lists have; strings are bytes. Raises InvalidInput.

    Args:
        path: where in the request the value stands.
    """
    shape = _shape(value, path)
    return _array(list(_values(value, shape, path)), spec, path).reshape(shape)


def flat_array(value: Any, spec: TensorSpec, path: str) -> NDArray[Any]:
    """The values of nested or flat lists in their order, of the spec's type. Raises InvalidInput.

    A null is a float that is not there, or a missing string.
    """
    shape = _shape(value, path)
    nested = len(shape) != 1 or any(isinstance(one, list) for one in value)
    values: list[Any] = list(_values(value, shape, path, nulls=True)) if nested else value
    if spec.dtype.startswith(("float", "bfloat")):
        values = [math.nan if one is None else one for one in values]
    return _array(values, spec, path)


def _array(values: list[Any], spec: TensorSpec, path: str) -> NDArray[Any]:
    for one in _unfit(values, spec):
        raise InvalidInput(path, f'{path} holds {str(one)[:40]}; "{spec.name}" is {spec.dtype}. Send {spec.wanted()}.')
    if spec.dtype != "string":
        return np.array(values, "float32" if spec.dtype == "bfloat16" else spec.dtype)
    return np.array([one.encode() if isinstance(one, str) else one for one in values], object)


def _unfit(values: list[Any], spec: TensorSpec) -> Iterator[Any]:
    """The values that are not of the spec's type."""
    if spec.dtype == "string":
        yield from (one for one in values if not isinstance(one, str | bytes | None))
        return
    if values and not spec.fits(values):
        yield from (one for one in values if not spec.fits([one]))


def _shape(value: Any, path: str) -> list[int]:
    shape: list[int] = []
    while isinstance(value, list):
        shape.append(len(value))
        if len(shape) > MAX_RANK:
            raise InvalidInput(path, f"{path} is nested deeper than {MAX_RANK} lists. Send a flatter one.")
        value = value[0] if value else None
    return shape


def _values(value: Any, shape: list[int], path: str, *, nulls: bool = False) -> Iterator[Any]:
    if not shape:
        if isinstance(value, list | dict) or (value is None and not nulls):
            raise InvalidInput(path, f"{path} is {json_type(value)}, where others have a value. Send one.")
        yield value
        return
    if not isinstance(value, list) or len(value) != shape[0]:
        found = f"{len(value)} values" if isinstance(value, list) else json_type(value)
        raise InvalidInput(path, f"{path} is ragged: it has {found} where others have {shape[0]}. Send equally many.")
    for index, one in enumerate(value):
        yield from _values(one, shape[1:], f"{path}[{index}]", nulls=nulls)
