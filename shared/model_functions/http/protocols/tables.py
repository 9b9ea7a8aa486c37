"""Tables as requests bring them, in JSON, CSV or numpy's own form, as the items of any family."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from model_functions.errors import InvalidEncoding, InvalidInput, PayloadTooLarge
from model_functions.http.message import Response
from model_functions.http.question import Question, answer_json, headers_of
from model_functions.inputs import check_first_item, json_type
from model_functions.loaded import LoadedModel
from model_functions.row_tensors import MATRIX
from model_functions.wrapper import ModelWrapper

NPY = "application/x-npy"

#: Each of which is looked at alone: as many take half a second.
MAX_CSV_VALUES = 1024 * 1024


@dataclass(slots=True)
class TableQuestion(Question):
    """A row each: a list of values, or an object by the columns' names."""

    def read(self, wrapper: ModelWrapper) -> tuple[Any, dict[str, Any]]:
        items = [item_of(row, wrapper) for row in self.data]
        check_first_item(items, wrapper.input.kind, "row 0")
        return items, self.parameters

    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        return answer_json(model, {"predictions": prediction})


@dataclass(slots=True)
class CsvQuestion(TableQuestion):
    """Rows of texts.

    Args:
        header: whether the first row has the columns' names; None: if it looks so.
    """

    header: bool | None = None

    def read(self, wrapper: ModelWrapper) -> tuple[Any, dict[str, Any]]:
        first, rest = self.data[0], self.data[1:]
        has_header = _names_columns(first, wrapper) if self.header is None else self.header
        if has_header and not rest:
            raise InvalidInput("", "The table has a header and no rows. Send at least one.")
        rows = rest if has_header else self.data
        return [item_of(_typed(row, first if has_header else None, wrapper), wrapper) for row in rows], self.parameters


@dataclass(slots=True)
class ArrayQuestion(Question):
    """An array in numpy's own form: the only input, or all columns."""

    def read(self, wrapper: ModelWrapper) -> tuple[Any, dict[str, Any]]:
        # Imported here: a function that waits for its first request has no use for numpy.
        from numpy.lib.format import read_array

        try:
            array = read_array(io.BytesIO(self.data), allow_pickle=False)
        except Exception as exc:
            # A reader of garbage raises nearly anything.
            raise InvalidInput(
                "", "The body is no array of numbers or texts in numpy's form. Send what numpy.save writes of one."
            ) from exc
        specs = wrapper.tensor_inputs()
        if len(specs) == 1 and array.dtype.kind == "f" and specs[0].dtype.startswith("float"):
            array = array.astype(specs[0].dtype)
        return wrapper.data_of({specs[0].name if len(specs) == 1 else MATRIX: array}), self.parameters

    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        return answer_json(model, prediction)


@dataclass(slots=True)
class ArrayToArrayQuestion(ArrayQuestion):
    """The same, answered by the first output in numpy's form."""

    as_tensors = True

    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        from numpy.lib.format import write_array

        found, buffer = next(iter(prediction.values())), io.BytesIO()
        # Texts as numpy has them: a caller does not unpickle what we send.
        write_array(buffer, found.astype(str) if found.dtype == object else found, allow_pickle=False)
        return Response(200, buffer.getvalue(), {"Content-Type": NPY} | headers_of(model))


def item_of(row: Any, wrapper: ModelWrapper) -> Any:
    """A table's row as ``predict`` takes it; holes are NaN in some tables."""
    if wrapper.input.kind == "row":
        return _without_nan(row)
    values = list(row.values()) if isinstance(row, dict) else row
    if isinstance(values, list) and len(values) == 1:
        return values[0]
    # Several columns of numbers are what a model's only input has in a line.
    return values if isinstance(row, dict) and _is_line(row, wrapper) else row


def rows_of_columns(columns: dict[str, Any], path: str) -> list[dict[str, Any]]:
    """Rows by name; of values that are no lists a single one. Raises InvalidInput."""
    if not any(isinstance(values, list) for values in columns.values()):
        return [columns]
    lengths = {name: len(values) if isinstance(values, list) else json_type(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name[:40]}: {length}" for name, length in list(lengths.items())[:8])
        raise InvalidInput(path, f"{path} has columns of several lengths ({told}). Send equally many values in each.")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def read_csv(body: bytes) -> list[list[str]]:
    """The rows, without empty ones. Raises InvalidEncoding, InvalidInput, PayloadTooLarge."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise InvalidEncoding(f"The body is not UTF-8: byte {exc.start} cannot be read. Send UTF-8.") from exc
    count = text.count(",") + text.count("\n")
    if count > MAX_CSV_VALUES:
        raise PayloadTooLarge(
            f"The table has {count} values of CSV; the limit is {MAX_CSV_VALUES}. Send fewer rows per request."
        )
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as exc:
        raise InvalidInput("", f"The body is no table in CSV: {exc}.") from exc
    if not rows:
        raise InvalidInput("", "The table is empty. Send at least one row.")
    return rows


def _names_columns(first: Sequence[str], wrapper: ModelWrapper) -> bool:
    """Whether the row has the columns' names, or no number where all are numbers."""
    specs = wrapper.tensor_inputs()
    if set(first) == {spec.name for spec in specs}:
        return True
    return all(spec.dtype != "string" for spec in specs) and not any(map(_is_number, first))


def _typed(row: list[str], header: list[str] | None, wrapper: ModelWrapper) -> Any:
    """The row with the values that its texts spell."""
    if header is not None and len(header) != len(row):
        raise InvalidInput("", f"A row has {len(row)} values, and the header names {len(header)} columns.")
    if wrapper.input.kind == "row":
        return cast(_Spelled, wrapper.input).from_texts(row, header)
    values: list[Any] = list(map(float, row)) if all(map(_is_number, row)) and _has_numbers(wrapper) else list(row)
    return values if header is None else dict(zip(header, values, strict=True))


class _Spelled(Protocol):
    def from_texts(self, texts: Sequence[str], names: Sequence[str] | None) -> Any: ...


def _has_numbers(wrapper: ModelWrapper) -> bool:
    return any(spec.dtype != "string" for spec in wrapper.tensor_inputs())


def _is_line(row: dict[str, Any], wrapper: ModelWrapper) -> bool:
    names = [spec.name for spec in wrapper.tensor_inputs()]
    return wrapper.input.kind == "tensors" and len(names) == 1 and names[0] not in row


def _without_nan(row: Any) -> Any:
    if isinstance(row, dict):
        return {name: None if _is_nan(value) else value for name, value in row.items()}
    return [None if _is_nan(value) else value for value in row] if isinstance(row, list) else row


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
