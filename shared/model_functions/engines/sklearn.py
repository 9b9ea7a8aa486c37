"""Runs scikit-learn estimators, pipelines with their preprocessing included; the only module that imports pandas."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class EstimatorEngine:
    """A fitted estimator.

    Args:
        estimator: anything with scikit-learn's ``predict``.
        columns: the names of its columns, when it was fitted on an array that has none.
    """

    def __init__(self, estimator: Any, columns: list[str] | None = None) -> None:
        self.estimator = estimator
        self.named = hasattr(estimator, "feature_names_in_")
        self.columns = _columns(estimator, columns)
        classes = getattr(estimator, "classes_", None)
        self.classes: list[Any] | None = None if classes is None else [_plain(label) for label in classes]
        self.has_probabilities = self.classes is not None and hasattr(estimator, "predict_proba")

    def predict(self, rows: list[list[Any]]) -> list[Any]:
        return [_plain(value) for value in self.estimator.predict(self._table(rows))]

    def probabilities(self, rows: list[list[Any]]) -> list[list[float]]:
        table: list[list[float]] = np.asarray(self.estimator.predict_proba(self._table(rows))).tolist()
        return table

    def _table(self, rows: list[list[Any]]) -> Any:
        if self.named:
            # Imported here: an estimator that was fitted on an array has no use for it.
            import pandas as pd

            return pd.DataFrame(rows, columns=self.columns)
        return _array(rows)


def _columns(estimator: Any, columns: list[str] | None) -> list[str]:
    if hasattr(estimator, "feature_names_in_"):
        fitted = [str(name) for name in estimator.feature_names_in_]
        if columns is not None and columns != fitted:
            raise ValueError(f"The estimator was fitted with the columns {fitted}, not {columns}.")
        return fitted
    count = getattr(estimator, "n_features_in_", None)
    if count is None:
        raise ValueError(f"The {type(estimator).__name__} is not fitted. Call fit before you publish it.")
    if columns is not None and len(columns) != count:
        raise ValueError(f"The estimator was fitted with {count} columns, and {len(columns)} names are given.")
    return columns or [f"column_{index}" for index in range(count)]


def _array(rows: list[list[Any]]) -> NDArray[Any]:
    numeric = all(value is None or isinstance(value, int | float) for row in rows for value in row)
    return np.array(rows, dtype=np.float64 if numeric else object)


def _plain(value: Any) -> Any:
    """A numpy scalar or array as JSON has it."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value
