"""Tabular: a row of columns in, a class or a number out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from model_functions.engines import RowEngine
from model_functions.errors import InvalidInput
from model_functions.inputs import check_count, json_type, one_or_many
from model_functions.parameters import Parameter
from model_functions.source import Source
from model_functions.wrapper import ModelWrapper, check_trusted

MAX_ROWS = 10_000
MAX_STRING = 1_000
#: What the pickle of an estimator never names: a torch module's, an old wrapper's with its class.
_OTHERS_PICKLES = ("torch", "transformers", "dill.", "keras", "tensorflow")
_TYPES: dict[str, tuple[type, ...]] = {"number": (int, float), "string": (str,), "boolean": (bool,)}


@dataclass(frozen=True)
class Column:
    """One column of a row.

    Args:
        type: ``number``, ``string`` or ``boolean``.
        nullable: whether the estimator takes a missing value here.
    """

    name: str
    type: str
    nullable: bool = False

    def check(self, value: Any, path: str) -> Any:
        if value is None and self.nullable:
            return None
        matches = isinstance(value, _TYPES[self.type]) and isinstance(value, bool) == (self.type == "boolean")
        if not matches:
            raise InvalidInput(path, f'The column "{self.name}" is {json_type(value)}. Send a {self.type}.')
        if isinstance(value, str) and len(value) > MAX_STRING:
            raise InvalidInput(
                path, f'The column "{self.name}" has {len(value)} characters; the limit is {MAX_STRING}. Shorten it.'
            )
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": [self.type, "null"] if self.nullable else self.type}


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
        rows = [_row_from_text(value) for value in values]
        return rows[0] if len(rows) == 1 else rows

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


class TabularWrapper(ModelWrapper):
    """A prediction is ``{"prediction": label or number}``; ``predict_proba`` adds ``"probabilities": {label: p}``."""

    family, task, engine_name = "tabular", "tabular", "sklearn"
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
    ) -> None:
        best = {"method": "predict_proba"} if engine.has_probabilities else {}
        super().__init__(RowInput(columns, max_items), defaults=best | dict(defaults or {}), bounds=bounds)
        self.engine = engine

    @classmethod
    def recognises(cls, source: Source) -> str | None:
        others = [name for name in source.names if name.startswith(_OTHERS_PICKLES)]
        return source.evidence if source.format in ("pickle", "skops") and not others else None

    @classmethod
    def from_estimator(cls, estimator: Any, example: Any, *, columns: list[str] | None = None, **settings: Any) -> Self:
        """From a fitted scikit-learn estimator or Pipeline.

        Args:
            example: a row as the model takes it, list or object; the columns' types are read off it.
            columns: their names, when the estimator was fitted on an array; an object's own otherwise.
            settings: the other arguments of the wrapper.
        """
        from model_functions.engines.sklearn import EstimatorEngine

        if columns is None and isinstance(example, dict) and not hasattr(estimator, "feature_names_in_"):
            columns = list(example)
        engine = EstimatorEngine(estimator, columns)
        untyped = RowInput([Column(name, "string", nullable=True) for name in engine.columns])
        if isinstance(example, dict):
            untyped._check_names(example, "example")
            example = [example[name] for name in engine.columns]
        if len(example) != len(engine.columns):
            raise InvalidInput(
                "example", f"The example has {len(example)} values; the model has {len(engine.columns)}."
            )
        typed = [
            Column(name, _column_type(value), nullable=_takes_null(engine, example, index))
            for index, (name, value) in enumerate(zip(engine.columns, example, strict=True))
        ]
        return cls(engine, typed, **settings)

    @classmethod
    def from_source(cls, source: str, *, example: Any = None, trusted: bool = False, **settings: Any) -> Self:
        """From a ``.joblib``, ``.pkl`` or ``.pickle`` file of a fitted estimator, which must be trusted."""
        import joblib

        path = Path(source)
        if path.suffix not in (".joblib", ".pkl", ".pickle"):
            raise ValueError(f"{path.name} is no .joblib, .pkl or .pickle file.")
        check_trusted(source, trusted=trusted)
        if example is None:
            raise ValueError("The types of the columns are read off an example row. Give one with --example.")
        try:
            estimator = joblib.load(path)
        except FileNotFoundError:
            raise
        except Exception as exc:
            # A pickle that is cut short, or misses its classes, raises nearly anything.
            raise ValueError(f"{path.name} cannot be loaded: {type(exc).__name__}: {exc}") from exc
        return cls.from_estimator(estimator, example, **settings)

    def check(self, items: list[Any], parameters: dict[str, Any]) -> None:
        if parameters["method"] == "predict_proba" and not self.engine.has_probabilities:
            raise InvalidInput(
                "parameters.method", '"method": this model gives no probabilities. Leave it out or give "predict".'
            )

    def preprocess(self, items: list[list[Any]], parameters: dict[str, Any]) -> list[list[Any]]:
        return items

    def forward(self, features: list[list[Any]], parameters: dict[str, Any]) -> list[dict[str, Any]]:
        try:
            predictions = [{"prediction": value} for value in self.engine.predict(features)]
            if parameters["method"] == "predict":
                return predictions
            return [
                prediction | {"probabilities": row}
                for prediction, row in zip(predictions, self.engine.probabilities(features), strict=True)
            ]
        except ValueError as exc:
            # The estimator's own checks, as an unknown category: its first line says which.
            reason = str(exc).partition("\n")[0][:200]
            raise InvalidInput("data", f"The model cannot take this data: {reason}") from exc

    def postprocess(self, outputs: list[dict[str, Any]], parameters: dict[str, Any]) -> list[Any]:
        if parameters["method"] == "predict":
            return outputs
        labels = [str(label) for label in self.engine.classes or []]
        return [
            output | {"probabilities": dict(zip(labels, output["probabilities"], strict=True))} for output in outputs
        ]


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


def _row_from_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return [_value_from_text(part.strip()) for part in text.split(",")]


def _value_from_text(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _listed(names: list[str]) -> str:
    shown = ", ".join(f'"{name[:40]}"' for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
