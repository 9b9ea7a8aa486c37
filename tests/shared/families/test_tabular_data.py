"""What the training data says of a table: types, missing values, categories, several outputs."""

import json
import math
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from deploy.publish import publish
from model_functions.artifact.signing_key import SigningKey
from model_functions.families.tabular import RowInput, TabularWrapper
from model_functions.http.function import FamilyFunction
from model_functions.repository import Repository
from model_functions.settings import Settings
from tests.shared.http.requests import body, get, message, post


def frame(rows: int = 60) -> pd.DataFrame:
    """A column of each type that pandas has for a table."""
    draw = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "city": pd.Categorical(draw.choice(["Oslo", "Rome"], rows), categories=["Oslo", "Paris", "Rome"]),
            "age": pd.array(draw.integers(18, 80, rows), dtype="Int64"),
            "heat": draw.normal(20, 5, rows),
            "member": draw.random(rows) > 0.5,
            "since": pd.date_range("2024-01-01", periods=rows, freq="D"),
            "level": draw.integers(1, 5, rows),
        }
    )


def _days(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(since=(table["since"] - pd.Timestamp("2024-01-01")).dt.days)


@pytest.fixture(scope="module")
def typed() -> TabularWrapper:
    """A boosting that takes categories and missing values as pandas has them, and a time by its own step."""
    data = frame()
    data.loc[[1, 5], "age"] = pd.NA
    data.loc[[2, 6], "heat"] = np.nan
    boosting = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=5, random_state=0)
    pipeline = make_pipeline(FunctionTransformer(_days), boosting)
    pipeline.fit(data, np.where((data["city"] == "Rome") & data["member"], "yes", "no"))
    return TabularWrapper.from_estimator(pipeline, data=data)


ROW = {"city": "Rome", "age": 40, "heat": 21.5, "member": True, "since": "2024-01-20T00:00:00", "level": 2}


@pytest.fixture(scope="module")
def function(
    typed: TabularWrapper, tmp_path_factory: pytest.TempPathFactory, trust_file: Path, trust: Any, key: SigningKey
) -> FamilyFunction:
    from model_functions.store.folder import FolderStore

    store = tmp_path_factory.mktemp("store")
    publish(typed, name="typed", examples=[ROW], repository=Repository(FolderStore(store), trust), key=key)
    return FamilyFunction(
        TabularWrapper, Settings.from_environment({"MODEL_STORE": str(store), "MODEL_TRUST": str(trust_file)})
    )


def test_the_interface_has_the_columns_of_the_training_data(typed: TabularWrapper) -> None:
    named = typed.interface()["data"]["anyOf"][0]["anyOf"][0]
    assert named["required"] == list(ROW)
    columns = named["properties"]
    assert columns["city"] == {
        "type": ["string", "null"],
        "enum": ["Oslo", "Paris", "Rome", None],
        "examples": [frame()["city"][0]],
    }
    assert columns["age"]["type"] == ["number", "null"]
    assert columns["since"]["format"] == "date-time"
    assert columns["since"]["description"] == "2024-01-01T00:00:00 to 2024-02-29T00:00:00"
    assert columns["member"]["type"] == ["boolean", "null"]
    assert columns["level"]["description"] == "1 to 4 in training"
    assert typed.sample() == {name: column["examples"][0] for name, column in columns.items()}


def test_answers_are_the_pipelines_own_on_its_data(typed: TabularWrapper) -> None:
    data = frame()
    rows = json.loads(data.to_json(orient="records", date_format="iso"))
    for row in rows:
        row["since"] = row["since"].removesuffix("Z")
    pipeline = typed.engine.estimator  # type: ignore[attr-defined]
    answers = typed.predict(rows)
    assert [answer["prediction"] for answer in answers] == list(pipeline.predict(data))
    assert [list(answer["probabilities"].values()) for answer in answers] == pipeline.predict_proba(data).tolist()


@pytest.mark.parametrize("column", ["city", "age", "heat"])
def test_a_value_may_miss_where_the_estimator_takes_it(typed: TabularWrapper, column: str) -> None:
    assert set(typed.predict(ROW | {column: None})) == {"prediction", "probabilities"}


@pytest.mark.parametrize(
    ("data", "path", "said"),
    [
        (ROW | {"city": "Paris "}, "data.city", 'The column "city" is "Paris ", which is none of Oslo, Paris, Rome.'),
        (ROW | {"city": 3}, "data.city", 'The column "city" is a number. Send a string.'),
        (ROW | {"age": "40"}, "data.age", 'The column "age" is a string. Send a number.'),
        (ROW | {"age": True}, "data.age", 'The column "age" is a boolean. Send a number.'),
        (ROW | {"heat": [1]}, "data.heat", 'The column "heat" is a list. Send a number.'),
        (ROW | {"member": "yes"}, "data.member", 'The column "member" is a string. Send a boolean.'),
        (ROW | {"member": 1}, "data.member", 'The column "member" is a number. Send a boolean.'),
        (ROW | {"since": "yesterday"}, "data.since", 'The column "since" is "yesterday". Send a date and time as ISO'),
        (ROW | {"since": 5}, "data.since", 'The column "since" is a number. Send a date and time as ISO 8601'),
        ({"city": "Rome"}, "data", 'data lacks "age", "heat", "member", "since", "level". The columns are: city,'),
        (ROW | {"town": "Rome"}, "data", 'data has no column "town". The columns are: city, age, heat,'),
        ([ROW, ROW | {"level": "x"}], "data[1].level", 'The column "level" is a string. Send a number.'),
        ([list(ROW.values()), [1, 2]], "data[1]", "data[1] has 2 values; the model has 6 columns: city, age,"),
        ([], "data", "data is an empty list. Send at least one item."),
        ("Rome", "data", "data is a string. Send a row as a list or an object, or a list of rows."),
        ([ROW, 5], "data[1]", "data[1] is a number. Send the row as a list or as an object."),
        ([ROW] * 10_001, "data", "data has 10001 items; the limit is 10000. Send fewer per request."),
        (ROW | {"city": "x" * 2000}, "data.city", 'The column "city" is "xxx'),
    ],
)
def test_a_wrong_row_is_a_422_that_names_its_column(function: FamilyFunction, data: Any, path: str, said: str) -> None:
    response = function.handle(post({"data": data}))
    error = body(response)["error"]
    assert (response.status, error["code"], error["details"][0]["path"]) == (422, "invalid_input", path)
    assert error["message"].startswith(said)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"method": "transform"}, '"method": "transform" is none of predict, predict_proba.'),
        ({"method": 1}, '"method": 1 is no string.'),
        ({"threshold": 0.5}, '"threshold" is no parameter of this model. Its parameters: method.'),
    ],
)
def test_a_wrong_parameter_is_a_422(function: FamilyFunction, parameters: Any, said: str) -> None:
    response = function.handle(post({"data": ROW, "parameters": parameters}))
    assert response.status == 422
    assert body(response)["error"]["message"].startswith(said)


def test_a_number_that_is_none_is_refused_in_json_and_in_a_query(function: FamilyFunction) -> None:
    response = function.handle(post({"data": ROW | {"heat": math.nan}}))
    assert response.status == 400
    response = function.handle(get("/predict?data=Rome,40,21.5,true,2024-01-20,2&data=Oslo,,,FALSE,2024-01-20,2"))
    assert (response.status, len(body(response)["body"])) == (200, 2)
    response = function.handle(get("/predict?data=Rome,40,inf,true,2024-01-20,2"))
    assert (response.status, message(response)) == (422, 'The column "heat" is Infinity. Send a finite number.')


def test_regression_of_several_outputs_has_their_names() -> None:
    data = frame().assign(price=np.arange(60.0), size=np.arange(60.0) * 2)
    model = LinearRegression().fit(data[["heat", "level"]], data[["price", "size"]])
    wrapper = TabularWrapper.from_estimator(model, data=data[["heat", "level", "price", "size"]])
    [answer] = wrapper.predict([{"heat": 20.0, "level": 1}])
    expected = model.predict(pd.DataFrame({"heat": [20.0], "level": [1]}))[0]
    assert answer == {"prediction": dict(zip(("price", "size"), expected.tolist(), strict=True))}
    unnamed = TabularWrapper.from_estimator(model, {"heat": 20.0, "level": 1})
    assert unnamed.predict({"heat": 20.0, "level": 1}) == {"prediction": expected.tolist()}
    with pytest.raises(ValueError, match="predicts 2 values, and 1 names are given"):
        TabularWrapper.from_estimator(model, {"heat": 20.0, "level": 1}, output_names=["price"])


@pytest.mark.parametrize("make", [RandomForestClassifier, KNeighborsClassifier, None])
def test_classification_of_several_outputs_has_the_probabilities_of_each(make: Any) -> None:
    inner = LogisticRegression()
    model = MultiOutputClassifier(inner) if make is None else make()
    rows = np.random.default_rng(0).normal(size=(40, 2))
    labels = np.stack([np.where(rows[:, 0] > 0, "warm", "cold"), np.where(rows[:, 1] > 0, "wet", "dry")], axis=1)
    model.fit(rows, labels)
    wrapper = TabularWrapper.from_estimator(model, [1.0, -1.0], output_names=["heat", "rain"])
    answer = wrapper.predict([1.0, -1.0])
    assert answer["prediction"] == dict(zip(("heat", "rain"), model.predict([[1.0, -1.0]])[0], strict=True))
    assert answer["probabilities"]["heat"].keys() == {"cold", "warm"}
    tables = model.predict_proba([[1.0, -1.0]])
    assert list(answer["probabilities"]["rain"].values()) == tables[1][0].tolist()
    unnamed = TabularWrapper.from_estimator(model, [1.0, -1.0])
    assert unnamed.predict([1.0, -1.0])["probabilities"] == list(answer["probabilities"].values())
    assert unnamed.predict([[1.0, -1.0]], {"method": "predict"}) == [
        {"prediction": list(answer["prediction"].values())}
    ]


def test_a_regression_in_a_column_of_its_own_is_one_number() -> None:
    rows = np.arange(20.0).reshape(10, 2)
    model = LinearRegression().fit(rows, rows[:, :1])
    assert TabularWrapper.from_estimator(model, [1.0, 2.0]).predict([2.0, 3.0])["prediction"] == pytest.approx(2.0)


def test_class_labels_of_every_kind_are_plain() -> None:
    rows = np.arange(20.0).reshape(10, 2)
    for labels in ([1, 2], [True, False], ["a", "b"]):
        model = RandomForestClassifier(3, random_state=0).fit(rows, labels * 5)
        answer = TabularWrapper.from_estimator(model, [1.0, 2.0]).predict([1.0, 2.0])
        assert answer["prediction"] in labels
        assert set(answer["probabilities"]) == set(map(str, labels))
        json.dumps(answer)


def test_a_csv_gives_back_categories_and_times_where_the_estimator_needs_them(tmp_path: Path) -> None:
    data = frame()
    boosting = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=3)
    pipeline = make_pipeline(FunctionTransformer(_days), boosting).fit(data, data["member"])
    joblib.dump(pipeline, tmp_path / "m.joblib")
    data.to_csv(tmp_path / "training.csv", index=False)
    wrapper = TabularWrapper.from_source(str(tmp_path / "m.joblib"), trusted=True, data=str(tmp_path / "training.csv"))
    assert isinstance(wrapper.input, RowInput)
    types = {column.name: column.type for column in wrapper.input.columns}
    assert types["since"] == "datetime"
    assert wrapper.predict(wrapper.sample())["prediction"] in (True, False)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("d.csv", "a,b\n1,2\n", "The data has no column heat, level. Its columns: a, b."),
        ("d.csv", "", "d.csv cannot be read as a table: No columns to parse from file"),
        ("d.csv", "heat,level\n", "d.csv has no rows."),
        ("d.txt", "x", 'd.txt is no .csv, nor a .json as DataFrame.to_json(orient="table") writes it.'),
        ("d.json", "{", "d.json cannot be read as a table: "),
        ("d.csv", "heat,level\nwarm,1\nhot,2\n", "The estimator cannot take the data: could not convert string"),
    ],
)
def test_wrong_training_data_is_named(tmp_path: Path, name: str, text: str, said: str) -> None:
    data = frame()[["heat", "level"]]
    joblib.dump(LinearRegression().fit(data, data["level"]), tmp_path / "m.pkl")
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the texts are the table's
        TabularWrapper.from_source(str(tmp_path / "m.pkl"), trusted=True, data=str(tmp_path / name))
    assert str(caught.value).startswith(said)


def test_skops_needs_trust_only_for_types_that_it_does_not_know(tmp_path: Path) -> None:
    io = pytest.importorskip("skops.io")
    rows = np.arange(20.0).reshape(10, 2)
    io.dump(LinearRegression().fit(rows, rows[:, 0]), tmp_path / "plain.skops")
    assert TabularWrapper.from_source(str(tmp_path / "plain.skops"), example=[1.0, 2.0]).predict([1.0, 2.0])
    foreign = make_pipeline(FunctionTransformer(_days), LinearRegression())
    data = frame()[["heat", "level", "since"]]
    io.dump(foreign.fit(data, data["level"]), tmp_path / "foreign.skops")
    example = {"heat": 1.0, "level": 2, "since": "2024-01-20T00:00:00"}
    with pytest.raises(ValueError, match=r"holds types that skops does not know .*_days\. Look at"):
        TabularWrapper.from_source(str(tmp_path / "foreign.skops"), example=example)
    (tmp_path / "cut.skops").write_bytes((tmp_path / "plain.skops").read_bytes()[:100])
    with pytest.raises(ValueError, match=r"cut\.skops cannot be loaded: BadZipFile"):
        TabularWrapper.from_source(str(tmp_path / "cut.skops"), example=[1.0, 2.0])


@pytest.mark.slow
@pytest.mark.parametrize(("package", "kind"), [("xgboost", "XGB"), ("lightgbm", "LGBM")])
def test_gradient_boosting_libraries_publish_like_any_estimator(
    package: str, kind: str, repository: Repository, key: SigningKey
) -> None:
    module = pytest.importorskip(package)
    data = frame()[["city", "heat", "level"]]
    labels = (data["heat"] > 20).astype(int)
    quiet = {"verbose": -1} if package == "lightgbm" else {"enable_categorical": True}
    classifier = getattr(module, f"{kind}Classifier")(n_estimators=5, n_jobs=1, **quiet).fit(data, labels)
    wrapper = TabularWrapper.from_estimator(classifier, data=data)
    row = {"city": "Rome", "heat": 25.0, "level": 1}
    first = publish(wrapper, name=package, examples=[row], repository=repository, key=key)
    again = publish(wrapper, name=package, examples=[row], repository=repository, key=key)
    assert first.manifest == again.manifest
    assert any(name.startswith(package) for name in first.manifest.packages)
    expected = classifier.predict_proba(data.iloc[:1])[0].tolist()
    assert list(wrapper.predict(json.loads(data.iloc[:1].to_json(orient="records")))[0]["probabilities"].values()) == (
        pytest.approx(expected)
    )
    regressor = getattr(module, f"{kind}Regressor")(n_estimators=5, n_jobs=1, **quiet).fit(data, data["heat"])
    assert isinstance(TabularWrapper.from_estimator(regressor, data=data).predict(row)["prediction"], float)


def test_strings_with_gaps_go_to_the_pipelines_own_steps() -> None:
    data = pd.DataFrame({"city": ["Rome", "Oslo", None, "Rome"] * 5, "heat": np.arange(20.0)})
    steps = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["city"]), remainder="passthrough")
    model = make_pipeline(steps, RandomForestRegressor(3, random_state=0)).fit(data, data["heat"])
    wrapper = TabularWrapper.from_estimator(model, data=data)
    assert isinstance(wrapper.predict({"city": "Paris", "heat": 3.0})["prediction"], float)
    assert isinstance(wrapper.predict({"city": None, "heat": 3.0})["prediction"], float)
    assert isinstance(wrapper.input, RowInput)
    assert wrapper.input.columns[0].hint == "in training: Oslo, Rome"
