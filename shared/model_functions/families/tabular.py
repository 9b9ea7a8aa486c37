"""Tabular: a row of columns in, a class or a number out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from model_functions import row_tensors
from model_functions.engines import RowEngine
from model_functions.errors import InvalidInput
from model_functions.inputs import check_count, json_type, one_or_many
from model_functions.parameters import Parameter
from model_functions.rows import Batch, Row, Rows, RowWrapper
from model_functions.schemas import NUMBER, record
from model_functions.source import Source
from model_functions.tensors import TensorSpec
from model_functions.wrapper import Prepared, check_trusted

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_ROWS = 10_000
MAX_STRING = 1_000
#: What the pickle of an estimator never names: a torch module's, an old wrapper's with its class.
_OTHERS_PICKLES = ("torch", "transformers", "dill.", "keras", "tensorflow")
_ENDINGS = (".joblib", ".pkl", ".pickle", ".skops")
_TYPES: dict[str, tuple[type, ...]] = {
    "number": (int, float),
    "string": (str,),
    "boolean": (bool,),
    "datetime": (str,),
}
_WORDS = {"datetime": "date and time as ISO 8601, as 2026-01-31T12:00:00"}


@dataclass(frozen=True)
class Column:
    """One column of a row.

    Args:
        type: ``number``, ``string``, ``boolean`` or ``datetime``.
        nullable: whether the estimator takes a missing value here.
        categories: the only values that it knows; none for a column that may hold others.
        example: a value of the training data.
        hint: for people: its range in the training data, or some of its values.
    """

    name: str
    type: str
    nullable: bool = False
    categories: tuple[Any, ...] = ()
    example: Any = None
    hint: str = ""

    def check(self, value: Any, path: str) -> Any:
        if value is None and self.nullable:
            return None
        matches = isinstance(value, _TYPES[self.type]) and isinstance(value, bool) == (self.type == "boolean")
        if not matches:
            word = _WORDS.get(self.type, self.type)
            raise InvalidInput(path, f'The column "{self.name}" is {json_type(value)}. Send a {word}.')
        if self.categories and value not in self.categories:
            known = ", ".join(map(str, self.categories[:20])) + (", …" if len(self.categories) > 20 else "")
            raise InvalidInput(path, f'The column "{self.name}" is {_shown(value)}, which is none of {known}.')
        if isinstance(value, str) and len(value) > MAX_STRING:
            raise InvalidInput(
                path, f'The column "{self.name}" has {len(value)} characters; the limit is {MAX_STRING}. Shorten it.'
            )
        self._check_value(value, path)
        return value

    def parse(self, text: str) -> Any:
        """The value that a query string spells; what it spells wrongly stays text, which ``check`` refuses."""
        if text == "" and self.nullable:
            return None
        words = {"true": True, "false": False} if self.type == "boolean" else {}
        return _number_from_text(text) if self.type == "number" else words.get(text.lower(), text)

    def _check_value(self, value: Any, path: str) -> None:
        if self.type == "number" and not _is_finite(value):
            raise InvalidInput(path, f'The column "{self.name}" is {_shown(value)}. Send a finite number.')
        if self.type == "datetime" and not _is_moment(value):
            raise InvalidInput(path, f'The column "{self.name}" is {_shown(value)}. Send a {_WORDS["datetime"]}.')

    def schema(self) -> dict[str, Any]:
        type_ = "string" if self.type == "datetime" else self.type
        schema: dict[str, Any] = {"type": [type_, "null"] if self.nullable else type_}
        facts = {
            "format": "date-time" if self.type == "datetime" else None,
            "enum": [*self.categories, *([None] if self.nullable else [])] if self.categories else None,
            "examples": None if self.example is None else [self.example],
            "description": self.hint or None,
        }
        return schema | {key: fact for key, fact in facts.items() if fact is not None}


class RowInput:
    """A row, as a list in the columns' order or as an object by their names; or a list of rows."""

    kind = "row"

    def __init__(self, columns: list[Column], max_items: int = MAX_ROWS) -> None:
        self.columns = columns
        self.max_items = max_items

    def items(self, data: Any) -> tuple[list[list[Any]], bool]:
        if isinstance(data, dict) or (isinstance(data, list) and data and not isinstance(data[0], list | dict)):
            return [self._row(data, "data")], True
        if not isinstance(data, list):
            raise InvalidInput(
                "data", f"data is {json_type(data)}. Send a row as a list or an object, or a list of rows."
            )
        check_count(data, self.max_items)
        return [self._row(row, f"data[{index}]") for index, row in enumerate(data)], False

    def from_query(self, values: list[str]) -> Any:
        """Each value is a row: JSON, or values between commas."""
        rows = [self._row_from_text(value) for value in values]
        return rows[0] if len(rows) == 1 else rows

    def from_texts(self, texts: Sequence[str], names: Sequence[str] | None = None) -> Any:
        """A row of which each value is spelled.

        Args:
            names: of the columns that they are of; None: all in their order.
        """
        if names is not None:
            known = {column.name: column for column in self.columns}
            return {
                name: known[name].parse(text) if name in known else text
                for name, text in zip(names, texts, strict=True)
            }
        # Values that are too many or too few are refused as such, whatever they are.
        spelled = [column.parse(text) for column, text in zip(self.columns, texts, strict=False)]
        return [*spelled, *texts[len(self.columns) :]]

    def schema(self) -> dict[str, Any]:
        columns = {column.name: column.schema() for column in self.columns}
        named = {
            "type": "object",
            "properties": columns,
            "required": list(columns),
            "additionalProperties": False,
        }
        listed = {
            "type": "array",
            "prefixItems": list(columns.values()),
            "minItems": len(columns),
            "maxItems": len(columns),
        }
        return one_or_many({"anyOf": [named, listed]}, self.max_items)

    def _row_from_text(self, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError:
            return self.from_texts([part.strip() for part in text.split(",")])

    def _row(self, row: Any, path: str) -> list[Any]:
        if isinstance(row, dict):
            self._check_names(row, path)
            return [column.check(row[column.name], f"{path}.{column.name}") for column in self.columns]
        if not isinstance(row, list):
            raise InvalidInput(path, f"{path} is {json_type(row)}. Send the row as a list or as an object.")
        if len(row) != len(self.columns):
            raise InvalidInput(
                path,
                f"{path} has {len(row)} values; the model has {len(self.columns)} columns: {self._names()}.",
            )
        pairs = zip(self.columns, row, strict=True)
        return [column.check(value, f"{path}[{index}]") for index, (column, value) in enumerate(pairs)]

    def _check_names(self, row: dict[str, Any], path: str) -> None:
        names = [column.name for column in self.columns]
        missing = [name for name in names if name not in row]
        if missing:
            raise InvalidInput(path, f"{path} lacks {_listed(missing)}. The columns are: {self._names()}.")
        unknown = [name for name in row if name not in names]
        if unknown:
            raise InvalidInput(path, f"{path} has no column {_listed(unknown)}. The columns are: {self._names()}.")

    def _names(self) -> str:
        return ", ".join(column.name for column in self.columns)


class TabularWrapper(RowWrapper):
    """A prediction is ``{"prediction": label or number}``; ``predict_proba`` adds ``"probabilities": {label: p}``.

    Of several outputs, both are lists in their order, or objects by their names where those are known.
    """

    output_names: tuple[str, ...] = ()

    family, task, engine_name = "tabular", "tabular", "sklearn"
    batch = Batch(1024, 1024)
    declared = (
        Parameter(
            "method",
            "string",
            "predict gives the label or the number, predict_proba the probability of each label too.",
            "predict",
            choices=("predict", "predict_proba"),
        ),
    )

    def __init__(
        self,
        engine: RowEngine,
        columns: list[Column],
        *,
        max_items: int = MAX_ROWS,
        defaults: Mapping[str, Any] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
        output_names: tuple[str, ...] = (),
    ) -> None:
        best = {"method": "predict_proba"} if engine.has_probabilities else {}
        super().__init__(RowInput(columns, max_items), defaults=best | dict(defaults or {}), bounds=bounds)
        self.engine = engine
        self.output_names = output_names

    @classmethod
    def recognises(cls, source: Source) -> str | None:
        others = [name for name in source.names if name.startswith(_OTHERS_PICKLES)]
        return source.evidence if source.format in ("pickle", "skops") and not others else None

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        example: Any = None,
        *,
        columns: list[str] | None = None,
        data: Any = None,
        output_names: list[str] | None = None,
        **settings: Any,
    ) -> Self:
        """From a fitted estimator or Pipeline, scikit-learn's or of its kind, as XGBoost's and LightGBM's.

        Args:
            example: a row as the model takes it, list or object; without ``data`` the columns' types are read off it.
            columns: their names, when the estimator was fitted on an array; an object's own otherwise.
            data: the data frame that it was fitted on: the columns' types, ranges and categories are read off it.
            output_names: of an estimator that predicts several values; default: the data's other columns, if they are
                as many.
            settings: the other arguments of the wrapper.
        """
        from model_functions.engines.sklearn import EstimatorEngine, as_fitted, describe

        if columns is None and not hasattr(estimator, "feature_names_in_"):
            columns = list(example) if isinstance(example, dict) else _first_names(estimator, data)
        engine = EstimatorEngine(estimator, columns)
        if data is None:
            typed = _columns_of(engine.columns, example)
        else:
            described = describe(as_fitted(estimator, engine.columns, data))
            engine.dtypes = {one.name: one.dtype for one in described} if engine.named else {}
            typed = [
                Column(one.name, one.type, False, tuple(one.categories or ()), one.example, one.hint)
                for one in described
            ]
            example = [one.example for one in described] if example is None else _listed_row(example, engine.columns)
        row = _listed_row(example, engine.columns)
        typed = [replace(column, nullable=_takes_null(engine, row, index)) for index, column in enumerate(typed)]
        engine.count_outputs(row)
        names = output_names or _other_columns(data, engine.columns, engine.outputs)
        if names and len(names) != engine.outputs:
            raise ValueError(f"The estimator predicts {engine.outputs or 1} values, and {len(names)} names are given.")
        return cls(engine, typed, output_names=tuple(names), **settings)

    @classmethod
    def from_source(
        cls, source: str, *, example: Any = None, trusted: bool = False, data: str | None = None, **settings: Any
    ) -> Self:
        """From a ``.joblib``, ``.pkl`` or ``.pickle`` file of a fitted estimator, which must be trusted, or from a
        ``.skops`` file, which must be trusted only if it holds types that skops does not know.

        Args:
            data: the file of the training data, ``.csv``, or ``.json`` of orient ``table``.
        """
        path = Path(source)
        if path.suffix not in _ENDINGS:
            raise ValueError(f"{path.name} is no {', '.join(_ENDINGS[:-1])} or {_ENDINGS[-1]} file.")
        if path.suffix != ".skops":
            check_trusted(source, trusted=trusted)
        if example is None and data is None:
            raise ValueError(
                "The types of the columns are read off an example row. Give one with --example, or the training data "
                "with --data."
            )
        estimator = _from_skops(path, trusted=trusted) if path.suffix == ".skops" else _from_pickle(path)
        if data is None:
            return cls.from_estimator(estimator, example, **settings)
        from model_functions.engines.sklearn import read_table

        return cls.from_estimator(estimator, example, data=read_table(Path(data)), **settings)

    def sample(self) -> Any:
        columns = self.input.columns if isinstance(self.input, RowInput) else []
        row = {column.name: column.example for column in columns}
        return row if any(value is not None for value in row.values()) else self.default_example

    def check(self, items: list[Any], parameters: dict[str, Any]) -> None:
        if parameters["method"] == "predict_proba" and not self.engine.has_probabilities:
            raise InvalidInput(
                "parameters.method", '"method": this model gives no probabilities. Leave it out or give "predict".'
            )

    def preprocess(self, items: list[list[Any]], parameters: dict[str, Any]) -> Rows:
        return Rows([Row(row, 1, parameters["method"]) for row in items])

    def forward_rows(self, rows: list[list[Any]], parameters: dict[str, Any]) -> list[dict[str, Any]]:
        try:
            if parameters["method"] == "predict":
                return [{"prediction": value} for value in self.engine.predict(rows)]
            both = zip(*self.engine.predict_with_probabilities(rows), strict=True)
            return [{"prediction": value, "probabilities": row} for value, row in both]
        except (ValueError, TypeError) as exc:
            # The estimator's own checks, as an unknown category: its first line says which.
            reason = str(exc).partition("\n")[0][:200]
            raise InvalidInput("data", f"The model cannot take this data: {reason}") from exc

    def tensor_inputs(self) -> list[TensorSpec]:
        """One for each column; a matrix of all where they are numbers without names, and it is taken for others too."""
        columns = self._columns
        unnamed = all(column.name == f"column_{index}" for index, column in enumerate(columns))
        matrix = unnamed and all(column.type == "number" for column in columns)
        return [row_tensors.matrix_spec(columns)] if matrix else row_tensors.column_specs(columns)

    def tensor_outputs(self) -> list[TensorSpec]:
        shape = (None,) if self.engine.outputs is None else (None, self.engine.outputs)
        found = [TensorSpec("prediction", self._label_dtype, shape)]
        if self.engine.has_probabilities:
            found += [TensorSpec(name, "float64", (None, len(labels))) for name, labels in self._tables().items()]
        return found

    def tensor_labels(self, output: str) -> list[str]:
        return [str(label) for label in self._tables().get(output, [])]

    def data_of(self, tensors: Mapping[str, NDArray[Any]]) -> list[list[Any]]:
        return row_tensors.rows_of(tensors, self._columns)

    def finish_tensors(self, prepared: Prepared, outputs: Rows) -> dict[str, NDArray[Any]]:
        import numpy as np

        found = {key: [output[key] for output in outputs.outputs] for key in outputs.outputs[0]}
        answer = {"prediction": row_tensors.label_tensor(found["prediction"], self._label_dtype)}
        if "probabilities" in found:
            tables = self._tables()
            # A table for each output, or a single one.
            parts = [found["probabilities"]] if len(tables) == 1 else zip(*found["probabilities"], strict=True)
            answer |= {name: np.array(part, np.float64) for name, part in zip(tables, parts, strict=True)}
        return answer

    @property
    def _columns(self) -> list[Column]:
        assert isinstance(self.input, RowInput)  # noqa: S101 - for mypy: the constructor gives it no other
        return self.input.columns

    @property
    def _label_dtype(self) -> str:
        classes = self.engine.classes
        if classes is None:
            return "float64"
        return row_tensors.label_dtype(label for one in classes for label in (one if isinstance(one, list) else [one]))

    def _tables(self) -> dict[str, list[Any]]:
        """The labels of each tensor of probabilities: there is one an output, unless each output has but one number."""
        classes = self.engine.classes or []
        if not any(isinstance(labels, list) for labels in classes):
            return {"probabilities": classes}
        names = self.output_names or tuple(map(str, range(len(classes))))
        return {f"probabilities_{name}": labels for name, labels in zip(names, classes, strict=True)}

    def postprocess(self, outputs: Rows, parameters: dict[str, Any]) -> list[Any]:
        return [{key: self._told(key, value) for key, value in output.items()} for output in outputs.outputs]

    def prediction_schema(self) -> dict[str, Any]:
        classes = self.engine.classes
        if self.engine.outputs is not None or not classes:
            return record({"prediction": {}}, additionalProperties=False)
        probabilities = record(dict.fromkeys(map(str, classes), NUMBER))
        return record({"prediction": {"enum": list(classes)}, "probabilities": probabilities}, ["prediction"])

    def _told(self, key: str, value: Any) -> Any:
        """A prediction or its probabilities, by label and by output."""
        several = self.engine.outputs is not None
        if key == "probabilities":
            classes = self.engine.classes or []
            # Of several labels at once, each has its own probability: there is one table, not one an output.
            if several and value and isinstance(value[0], list):
                value = [_by_label(labels, row) for labels, row in zip(classes, value, strict=True)]
            else:
                return _by_label(classes, value)
        return dict(zip(self.output_names, value, strict=True)) if several and self.output_names else value


def _by_label(labels: list[Any], probabilities: list[float]) -> dict[str, float]:
    return dict(zip(map(str, labels), probabilities, strict=True))


def _columns_of(names: list[str], example: Any) -> list[Column]:
    """Typed as the example's values are."""
    return [Column(name, _column_type(value)) for name, value in zip(names, _listed_row(example, names), strict=True)]


def _listed_row(example: Any, names: list[str]) -> list[Any]:
    """The example in the columns' order. Raises InvalidInput for one of other columns."""
    if isinstance(example, dict):
        RowInput([Column(name, "string", nullable=True) for name in names])._check_names(example, "example")
        return [example[name] for name in names]
    if not isinstance(example, list):
        raise InvalidInput("example", f"The example is {json_type(example)}. Give a row as a list or an object.")
    if len(example) != len(names):
        raise InvalidInput("example", f"The example has {len(example)} values; the model has {len(names)}.")
    return example


def _first_names(estimator: Any, data: Any) -> list[str] | None:
    """The names of the data's first columns, for an estimator that was fitted on its values alone."""
    count = getattr(estimator, "n_features_in_", None)
    return None if data is None or count is None else [str(name) for name in data.columns[:count]]


def _other_columns(data: Any, columns: list[str], outputs: int | None) -> list[str]:
    others = [] if data is None else [str(name) for name in data.columns if str(name) not in columns]
    return others if len(others) == outputs else []


def _from_pickle(path: Path) -> Any:
    import joblib

    try:
        return joblib.load(path)
    except FileNotFoundError:
        raise
    except Exception as exc:
        # A pickle that is cut short, or misses its classes, raises nearly anything.
        raise ValueError(f"{path.name} cannot be loaded: {type(exc).__name__}: {exc}") from exc


def _from_skops(path: Path, *, trusted: bool) -> Any:
    try:
        import skops.io
    except ImportError as exc:
        raise ValueError(f"{path.name} is read by skops, which is not installed: pip install skops") from exc

    try:
        unknown = skops.io.get_untrusted_types(file=path)
        if unknown and not trusted:
            raise ValueError(
                f"{path.name} holds types that skops does not know to be harmless: {', '.join(unknown[:5])}. Look at "
                "where it comes from, then say --trust."
            )
        return skops.io.load(path, trusted=unknown)
    except (FileNotFoundError, ValueError):
        raise
    except Exception as exc:
        raise ValueError(f"{path.name} cannot be loaded: {type(exc).__name__}: {exc}") from exc


def _takes_null(engine: RowEngine, row: list[Any], index: int) -> bool:
    try:
        engine.predict([[None if place == index else value for place, value in enumerate(row)]])
    except (ValueError, TypeError):
        return False
    return True


def _column_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"


def _number_from_text(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _listed(names: list[str]) -> str:
    shown = ", ".join(f'"{name[:40]}"' for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
