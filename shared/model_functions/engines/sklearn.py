"""Runs scikit-learn estimators, pipelines with their preprocessing included; the only module that imports pandas."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Distinct values of a text column up to which they are told to callers.
_FEW = 12

#: scikit-learn's classifiers whose ``predict`` takes the largest of ``predict_proba``, as their source says; others
#: may compare something else.
_LIKELIEST = {"BaggingClassifier", "CalibratedClassifierCV", "ExtraTreesClassifier", "RandomForestClassifier"}


class EstimatorEngine:
    """A fitted estimator.

    Args:
        estimator: anything with scikit-learn's ``predict``.
        columns: the names of its columns, when it was fitted on an array that has none.
        dtypes: the type of each column of the data frame that it was fitted on, as pandas names it; for a category
            its categories.
    """

    # Of engines that were published before these were known.
    dtypes: dict[str, Any] = {}  # noqa: RUF012
    outputs: int | None = None
    """How many values a prediction has; None for a single one."""

    def __init__(self, estimator: Any, columns: list[str] | None = None, dtypes: dict[str, Any] | None = None) -> None:
        self.estimator = estimator
        self.named = hasattr(estimator, "feature_names_in_")
        self.columns = _columns(estimator, columns)
        self.dtypes = dtypes or {}
        self.classes = _classes(estimator)
        self.has_probabilities = self.classes is not None and hasattr(estimator, "predict_proba")

    def count_outputs(self, row: list[Any]) -> None:
        """Finds out by a row of how many values a prediction is."""
        predicted = np.asarray(self.estimator.predict(self._table([row])))
        self.outputs = predicted.shape[1] if predicted.ndim == 2 and predicted.shape[1] > 1 else None

    def predict(self, rows: list[list[Any]]) -> list[Any]:
        return self._predicted(self._table(rows))

    def predict_with_probabilities(self, rows: list[list[Any]]) -> tuple[list[Any], list[Any]]:
        table = self._table(rows)
        found = self.estimator.predict_proba(table)
        if isinstance(found, list):
            # One table an output; a caller's rows are ours.
            each = [list(row) for row in zip(*(np.asarray(table).tolist() for table in found), strict=True)]
            return self._predicted(table), each
        probabilities = np.asarray(found)
        if self.classes is not None and _takes_the_likeliest(self.estimator):
            predictions = [self.classes[index] for index in probabilities.argmax(axis=1).tolist()]
        else:
            predictions = self._predicted(table)
        return predictions, probabilities.tolist()

    def _predicted(self, table: Any) -> list[Any]:
        predicted = np.asarray(self.estimator.predict(table))
        # One output in a column of its own is a single value.
        if predicted.ndim == 2 and self.outputs is None:
            predicted = predicted[:, 0]
        return [_plain(value) for value in predicted]

    def _table(self, rows: list[list[Any]]) -> Any:
        if not self.named:
            return _array(rows)
        # Imported here: an estimator that was fitted on an array has no use for it.
        import pandas as pd

        frame = pd.DataFrame(rows, columns=self.columns)
        for name, dtype in self.dtypes.items():
            frame[name] = _typed(frame[name], dtype)
        return frame


class Described(NamedTuple):
    """A column of training data.

    Args:
        type: ``number``, ``string``, ``boolean`` or ``datetime``.
        dtype: as EstimatorEngine takes it.
        categories: the only values that there are; None for a column that may hold others.
        hint: for people: its range, or some of its values.
    """

    name: str
    type: str
    dtype: Any
    categories: list[Any] | None
    example: Any
    hint: str


def read_table(path: Path) -> Any:
    """Training data as a data frame. Raises ValueError for a file that is none.

    A ``.csv`` knows numbers, texts and booleans; a ``.json`` as ``DataFrame.to_json(orient="table")`` writes it knows
    categories and times too.
    """
    import pandas as pd

    readers = {".csv": pd.read_csv, ".json": lambda file: pd.read_json(file, orient="table")}
    if path.suffix not in readers:
        raise ValueError(f'{path.name} is no .csv, nor a .json as DataFrame.to_json(orient="table") writes it.')
    try:
        frame = readers[path.suffix](path)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"{path.name} cannot be read as a table: {exc}") from exc
    if not len(frame):
        raise ValueError(f"{path.name} has no rows.")
    return frame


def as_fitted(estimator: Any, columns: list[str], frame: Any) -> Any:
    """The frame's columns of the estimator, with the types under which it predicts: a CSV has lost some.

    Raises ValueError for a column that is missing, and when no types fit.
    """
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise ValueError(
            f"The data has no column {', '.join(missing)}. Its columns: {', '.join(map(str, frame.columns))}."
        )
    wanted = frame[columns]
    texts = [name for name in columns if _kind(wanted[name].dtype) == "string"]
    times = [name for name in texts if _is_time(wanted[name])]
    failures = []
    for timed in ([], times) if times else ([],):
        for categorical in ([], [name for name in texts if name not in timed]):
            tried = _converted(wanted, timed, categorical)
            try:
                estimator.predict(tried.head(2))
            except Exception as exc:  # noqa: BLE001 - an estimator refuses types in its own ways
                failures.append(str(exc).strip().partition("\n")[0][:200])
            else:
                return tried
    raise ValueError(f"The estimator cannot take the data: {failures[0]}")


def describe(frame: Any) -> list[Described]:
    """What each column of typed training data holds."""
    return [_described(str(name), frame[name]) for name in frame.columns]


def _described(name: str, series: Any) -> Described:
    known = series.dropna()
    type_ = _kind(series.dtype)
    categories: list[Any] | None = None
    dtype: Any = str(series.dtype)
    hint = ""
    if dtype == "category":
        categories = [_plain(value) for value in series.cat.categories]
        dtype, type_ = categories, _kind(series.cat.categories.dtype)
    elif type_ in ("number", "datetime") and len(known):
        low, high = known.min(), known.max()
        hint = f"{low:g} to {high:g} in training" if type_ == "number" else f"{low.isoformat()} to {high.isoformat()}"
    elif type_ == "string" and known.nunique() <= _FEW:
        hint = f"in training: {', '.join(sorted(map(str, known.unique())))}"
    example = _plain(known.iloc[0]) if len(known) else None
    return Described(name, type_, dtype, categories, example, hint)


def _kind(dtype: Any) -> str:
    import pandas as pd

    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_numeric_dtype(dtype):
        return "number"
    return "datetime" if pd.api.types.is_datetime64_any_dtype(dtype) else "string"


def _is_time(series: Any) -> bool:
    import pandas as pd

    try:
        pd.to_datetime(series.dropna(), format="ISO8601")
    except (ValueError, TypeError):
        return False
    return True


def _converted(frame: Any, times: list[str], categorical: list[str]) -> Any:
    import pandas as pd

    changed = {name: pd.to_datetime(frame[name], format="ISO8601") for name in times}
    return frame.assign(**changed).astype(dict.fromkeys(categorical, "category"))


def _typed(series: Any, dtype: Any) -> Any:
    """A request's column as the estimator knew it."""
    import pandas as pd

    if isinstance(dtype, list):
        return pd.Categorical(series, categories=dtype)
    if dtype.startswith("datetime64"):
        return pd.to_datetime(series, format="ISO8601", utc="," in dtype).astype(dtype)
    # numpy's integers and booleans have no missing value: pandas then keeps numbers as floats.
    if dtype[0] in "iub" and series.isna().any():
        return series if dtype == "bool" else series.astype("float64")
    return series.astype(dtype)


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


def _takes_the_likeliest(estimator: Any) -> bool:
    """Whether ``predict`` is nothing but the class of the largest probability, so that one pass tells both."""
    last = type(estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator)
    return last.__module__.startswith("sklearn.") and last.__name__ in _LIKELIEST


def _classes(estimator: Any) -> list[Any] | None:
    """The labels; of several outputs, a list for each."""
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        return None
    return [_plain(label) for label in classes]


def _array(rows: list[list[Any]]) -> NDArray[Any]:
    numeric = all(value is None or isinstance(value, int | float) for row in rows for value in row)
    return np.array(rows, dtype=np.float64 if numeric else object)


def _plain(value: Any) -> Any:
    """A numpy scalar or array, or a moment, as JSON has it."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return value.isoformat() if hasattr(value, "isoformat") else value
