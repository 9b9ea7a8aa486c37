from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from model_functions.errors import InvalidInput
from model_functions.families.tabular import RowInput, TabularWrapper
from tests.tiny_models import COLUMNS
from tests.tiny_models import classifier as make_classifier

ROW = [0.5, -1.0, 2.0]
NAMED = dict(zip(COLUMNS, ROW, strict=True))


def test_a_row_is_a_list_or_named_columns_in_any_order(classifier: TabularWrapper) -> None:
    backwards = dict(reversed(NAMED.items()))
    assert classifier.predict(ROW) == classifier.predict(NAMED) == classifier.predict(backwards)


def test_predictions_are_the_pipelines_own(classifier: TabularWrapper) -> None:
    pipeline = make_classifier()
    [answer] = classifier.predict([ROW])
    assert answer["prediction"] == pipeline.predict([ROW])[0]
    probabilities = dict(zip(pipeline.classes_, pipeline.predict_proba([ROW])[0], strict=True))
    assert answer["probabilities"] == pytest.approx(probabilities)


class Contrary(RandomForestClassifier):  # type: ignore[misc]
    """Predicts the least likely class."""

    def predict(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's own name
        return self.classes_[self.predict_proba(X).argmin(axis=1)]


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(10, random_state=0),
        ExtraTreesClassifier(10, random_state=0),
        BaggingClassifier(random_state=0),
        make_pipeline(StandardScaler(), CalibratedClassifierCV(SVC(random_state=0), ensemble=False)),
        HistGradientBoostingClassifier(max_iter=5),
        SVC(random_state=0),
        Contrary(10, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_predictions_beside_probabilities_are_the_estimators_own(estimator: Any) -> None:
    random = np.random.default_rng(0)
    rows, labels = random.normal(size=(60, 3)), random.choice(["a", "b", "c"], 60)
    estimator.fit(rows, labels)
    wrapper = TabularWrapper.from_estimator(estimator, ROW)
    answers = wrapper.predict(rows.tolist())
    assert [answer["prediction"] for answer in answers] == estimator.predict(rows).tolist()


def test_rows_give_predictions_in_order(classifier: TabularWrapper) -> None:
    rows = [[3.0, 3.0, 3.0], [-3.0, -3.0, -3.0]]
    assert [answer["prediction"] for answer in classifier.predict(rows)] == ["large", "small"]
    assert [answer["prediction"] for answer in classifier.predict(rows[::-1])] == ["small", "large"]


def test_predict_alone_gives_no_probabilities(classifier: TabularWrapper) -> None:
    assert set(classifier.predict(ROW, {"method": "predict"})) == {"prediction"}


@pytest.mark.parametrize(
    ("data", "path", "message"),
    [
        (ROW[:2], "data", "data has 2 values; the model has 3 columns: length, width, weight."),
        ([ROW, [*ROW, 1]], "data[1]", "data[1] has 4 values; the model has 3 columns: length, width, weight."),
        ({"length": 1}, "data", 'data lacks "width", "weight". The columns are: length, width, weight.'),
        (NAMED | {"colour": 1}, "data", 'data has no column "colour". The columns are: length, width, weight.'),
        ([1, "2", 3], "data[1]", 'The column "width" is a string. Send a number.'),
        (NAMED | {"width": None}, "data.width", 'The column "width" is null. Send a number.'),
        (NAMED | {"width": True}, "data.width", 'The column "width" is a boolean. Send a number.'),
        ([[1, 2, 3], "x"], "data[1]", "data[1] is a string. Send the row as a list or as an object."),
        ("1,2,3", "data", "data is a string. Send a row as a list or an object, or a list of rows."),
        (None, "data", "data is null. Send a row as a list or an object, or a list of rows."),
        ([], "data", "data is an empty list. Send at least one item."),
    ],
)
def test_a_wrong_row_is_refused_with_its_place(classifier: TabularWrapper, data: Any, path: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        classifier.predict(data)
    assert (caught.value.path, caught.value.message) == (path, message)


def test_a_query_is_json_or_values_between_commas(classifier: TabularWrapper) -> None:
    read = classifier.input.from_query
    assert read(["0.5, -1, 2"]) == ROW
    assert read(["[0.5, -1, 2]", "1,2,3"]) == [ROW, [1, 2, 3]]


@pytest.fixture(scope="module")
def mixed() -> TabularWrapper:
    """Fitted on a data frame: text, numbers with gaps, and categories it must not guess."""
    frame = pd.DataFrame({"city": ["Rome", "Oslo"] * 10, "heat": [30.0, np.nan, 5.0, 28.0] * 5})
    preprocessing = make_column_transformer((OneHotEncoder(), ["city"]), (SimpleImputer(), ["heat"]))
    pipeline = make_pipeline(preprocessing, LinearRegression()).fit(frame, np.arange(20.0))
    return TabularWrapper.from_estimator(pipeline, {"city": "Rome", "heat": 25.0})


def test_preprocessing_by_column_name_and_a_missing_value(mixed: TabularWrapper) -> None:
    answer = mixed.predict({"heat": None, "city": "Oslo"})
    assert isinstance(answer["prediction"], float)
    assert "probabilities" not in answer


def test_only_the_columns_that_may_miss_take_null(mixed: TabularWrapper) -> None:
    assert isinstance(mixed.input, RowInput)
    assert {column.name: column.nullable for column in mixed.input.columns}["heat"] is True


def test_what_the_estimator_refuses_is_the_callers_error(mixed: TabularWrapper) -> None:
    with pytest.raises(InvalidInput, match="The model cannot take this data: Found unknown categories"):
        mixed.predict({"city": "Paris", "heat": 20.0})


def test_a_model_without_probabilities_says_so() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 2))
    svm = make_pipeline(StandardScaler(), SVC()).fit(rows, rows[:, 0] > 0)
    wrapper = TabularWrapper.from_estimator(svm, [0.1, 0.2], columns=["x", "y"])
    assert wrapper.predict([1.0, 0.0]) == {"prediction": True}
    with pytest.raises(InvalidInput, match="this model gives no probabilities"):
        wrapper.predict([1.0, 0.0], {"method": "predict_proba"})


def test_a_file_needs_an_example_and_a_known_ending(tmp_path: Path) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(make_classifier(), path)
    assert TabularWrapper.from_source(str(path), example=ROW, trusted=True).predict(ROW)
    with pytest.raises(ValueError, match="Give one with --example"):
        TabularWrapper.from_source(str(path), trusted=True)
    with pytest.raises(ValueError, match=r"model\.h5 is no \.joblib, \.pkl, \.pickle or \.skops file"):
        TabularWrapper.from_source("model.h5", example=ROW, trusted=True)


def test_an_estimator_that_is_not_fitted_is_refused() -> None:
    with pytest.raises(ValueError, match="The SVC is not fitted"):
        TabularWrapper.from_estimator(SVC(), ROW)


def test_an_example_of_other_columns_is_refused(mixed: TabularWrapper) -> None:
    with pytest.raises(InvalidInput, match="The example has 2 values; the model has 3"):
        TabularWrapper.from_estimator(make_classifier(), [1.0, 2.0])
