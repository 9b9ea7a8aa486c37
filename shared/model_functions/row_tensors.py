"""Rows of a table as tensors: one for each column, or a single one of all where they are numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from model_functions.errors import InvalidInput
from model_functions.string_tensors import check_tensor_names, decoded, strings
from model_functions.tensors import TensorSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: What a matrix of all columns is called where the model has no names for them; any other name will do.
MATRIX = "rows"

_DTYPES = {"number": "float64", "boolean": "bool"}


class Column(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def type(self) -> str: ...

    @property
    def nullable(self) -> bool: ...


def column_specs(columns: Sequence[Column]) -> list[TensorSpec]:
    return [TensorSpec(column.name, _DTYPES.get(column.type, "string"), (None,)) for column in columns]


def matrix_spec(columns: Sequence[Column]) -> TensorSpec:
    return TensorSpec(MATRIX, "float64", (None, len(columns)))


def rows_of(tensors: Mapping[str, NDArray[Any]], columns: Sequence[Column]) -> list[list[Any]]:
    """The rows, each in the columns' order; a NaN is a missing value where the column may have them.

    Raises InvalidInput for other names and shapes; what the values are is checked with the rows.
    """
    if _is_matrix(tensors, columns):
        [(name, matrix)] = tensors.items()
        by_column = [matrix[:, place].tolist() for place in range(_checked_width(matrix, name, len(columns)))]
    else:
        check_tensor_names(tensors, column_specs(columns))
        by_column = [_values(tensors[column.name], column.name) for column in columns]
        _check_lengths({column.name: len(values) for column, values in zip(columns, by_column, strict=True)})
    holes = [
        [None if isinstance(value, float) and math.isnan(value) else value for value in values]
        if column.nullable
        else values
        for column, values in zip(columns, by_column, strict=True)
    ]
    return [list(row) for row in zip(*holes, strict=True)]


def label_dtype(labels: Iterable[Any]) -> str:
    """The type of a tensor of such labels."""
    types = set(map(type, labels))
    if types <= {bool}:
        return "bool"
    if types <= {int, float}:
        return "int64" if types == {int} else "float64"
    return "string"


def label_tensor(values: list[Any], dtype: str) -> NDArray[Any]:
    """Predictions, of shape (items,), or (items, outputs) where each is a list."""
    import numpy as np

    if dtype != "string":
        return np.array(values, dtype)
    if not isinstance(values[0], list):
        return strings(values)
    return strings(value for row in values for value in row).reshape(len(values), -1)


def _is_matrix(tensors: Mapping[str, Any], columns: Sequence[Column]) -> bool:
    """Whether there is a single tensor, of no column's name. A protocol may not know what to make of such a name."""
    names = {column.name for column in columns}
    strange = [tensor for name, tensor in tensors.items() if name not in names and hasattr(tensor, "dtype")]
    return len(strange) == len(tensors) == 1 and all(column.type == "number" for column in columns)


def _checked_width(matrix: NDArray[Any], name: str, width: int) -> int:
    path = f"inputs.{name[:60]}"
    if matrix.dtype.kind not in "iuf":
        raise InvalidInput(path, f"{path} is {matrix.dtype.name}. Send numbers.")
    if matrix.ndim != 2 or matrix.shape[1] != width or not len(matrix):
        raise InvalidInput(
            path, f"{path} has the shape {matrix.shape}. Send (items, {width}), a value for each column."
        )
    return width


def _values(array: NDArray[Any], name: str) -> list[Any]:
    path = f"inputs.{name}"
    if array.ndim > 2 or (array.ndim == 2 and array.shape[1] != 1):
        raise InvalidInput(path, f"{path} has the shape {array.shape}. Send a value for each row: ({len(array)},).")
    values = array.reshape(-1).tolist()
    if not values:
        raise InvalidInput(path, f"{path} is empty. Send at least one row.")
    return [
        decoded(value, f"{path}[{index}]") if isinstance(value, bytes) else value for index, value in enumerate(values)
    ]


def _check_lengths(lengths: dict[str, int]) -> None:
    first = next(iter(lengths))
    for name, length in lengths.items():
        if length != lengths[first]:
            raise InvalidInput(
                f"inputs.{name}",
                f"inputs.{name} has {length} rows, and inputs.{first} has {lengths[first]}. Send equally many.",
            )
