import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deploy.publish import publish
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.families.image_classification import GREY_SQUARE
from model_functions.families.onnx import OnnxWrapper
from model_functions.http.function import FamilyFunction
from model_functions.http.message import Request, Response
from model_functions.repository import Repository
from model_functions.settings import Settings
from model_functions.store.folder import FolderStore
from tests import tiny_graphs
from tests.shared.http.requests import body, form, get, post, request
from tests.tiny_models import COLUMNS, TEXT

ROW = [0.5, 1.0, 2.0]
NAMED = dict(zip(COLUMNS, ROW, strict=True))
PATH = "/invocations"


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory, trust: Trust, trust_file: Path, key: SigningKey) -> FamilyFunction:
    """A function of one input with three numbers an item."""
    folder = tmp_path_factory.mktemp("graph")
    wrapper = OnnxWrapper.from_source(str(tiny_graphs.linear(folder / "linear.onnx")))
    repository = Repository(FolderStore(folder / "store"), trust)
    publish(wrapper, name="tiny_graph", examples=[ROW], repository=repository, key=key)
    environment = {"MODEL_STORE": str(folder / "store"), "MODEL_TRUST": str(trust_file)}
    return FamilyFunction(OnnxWrapper, Settings.from_environment(environment))


def refused(response: Response, status: int, code: str) -> str:
    found = body(response)
    assert (response.status, found["error_code"]) == (status, code)
    assert response.headers["X-Error-Code"]
    text: str = found["message"]
    return text


def sent(data: bytes, content_type: str, accept: str = "") -> Request:
    return request(data, {"content-type": content_type, "accept": accept}, target=PATH)


SPLIT = {"columns": list(COLUMNS), "index": [0, 1], "data": [ROW, ROW]}


@pytest.mark.parametrize(
    "asked",
    [
        {"dataframe_split": SPLIT},
        {"dataframe_split": {"columns": [0, 1, 2], "data": [ROW, ROW]}},
        {"dataframe_split": {"data": [ROW, ROW]}},
        {"dataframe_split": {"columns": COLUMNS[::-1], "data": [ROW[::-1], ROW[::-1]]}},
        {"dataframe_records": [NAMED, NAMED], "params": None},
        {"instances": [NAMED, ROW], "params": {}},
        {"inputs": {name: [value, value] for name, value in NAMED.items()}},
        {"inputs": [ROW, ROW]},
    ],
)
def test_a_table_is_answered_row_by_row(tabular: FamilyFunction, asked: Any) -> None:
    response = tabular.handle(post(asked, PATH))
    assert [one["prediction"] for one in body(response)["predictions"]] == ["large", "large"], response.body


def test_params_are_parameters(tabular: FamilyFunction) -> None:
    asked = {"dataframe_split": SPLIT, "params": {"method": "predict"}}
    assert body(tabular.handle(post(asked, PATH))) == {"predictions": [{"prediction": "large"}] * 2}


@pytest.mark.parametrize(
    "asked",
    [
        {"dataframe_split": {"columns": ["anything"], "data": [[TEXT]]}},
        {"dataframe_records": [{"text": TEXT}]},
        {"instances": [{"text": TEXT}]},
        {"instances": [TEXT]},
        {"inputs": [TEXT]},
        {"inputs": {"text": [TEXT]}},
        {"inputs": {"text": TEXT}},
    ],
)
def test_a_text_is_whatever_stands_in_the_only_column(tagging: FamilyFunction, asked: Any) -> None:
    [entities] = body(tagging.handle(post(asked, PATH)))["predictions"]
    assert entities[0]["word"]


@pytest.mark.parametrize(
    "asked",
    [
        {"dataframe_split": {"columns": ["a", "b", "c"], "data": [ROW, ROW]}},
        {"dataframe_records": [NAMED, NAMED]},
        {"instances": [ROW, ROW]},
        {"inputs": [ROW, ROW]},
        {"inputs": {"features": [ROW, ROW]}},
    ],
)
def test_columns_of_numbers_are_a_tensor(graph: FamilyFunction, asked: Any) -> None:
    answers = body(graph.handle(post(asked, PATH)))["predictions"]
    assert answers == [body(graph.handle(post({"data": ROW})))["body"]] * 2


@pytest.mark.parametrize(
    "text",
    [
        ",".join(COLUMNS) + "\n0.5,1,2\n0.5,1,2\n",
        ",".join(COLUMNS[::-1]) + "\r\n2,1,0.5\r\n2,1,0.5\r\n",
        "0.5,1,2\n\n0.5,1,2",
        '"0.5","1","2"\n0.5,1,2',
    ],
)
def test_a_table_in_csv_has_a_header_or_not(tabular: FamilyFunction, text: str) -> None:
    for charset in ("", "; charset=utf-8"):
        found = body(tabular.handle(sent(text.encode(), "text/csv" + charset)))
        assert [one["prediction"] for one in found["predictions"]] == ["large", "large"]


def test_csv_of_other_families(tagging: FamilyFunction, graph: FamilyFunction) -> None:
    for text in (f'text\n"{TEXT}"\n', f'"{TEXT}"\n'):
        [entities] = body(tagging.handle(sent(text.encode(), "text/csv")))["predictions"]
        assert entities[0]["word"]
    wanted = [body(graph.handle(post({"data": ROW})))["body"]]
    for text in ("0.5,1,2", "a,b,c\n0.5,1,2"):
        assert body(graph.handle(sent(text.encode(), "text/csv")))["predictions"] == wanted


def test_a_header_may_be_told(tagging: FamilyFunction) -> None:
    text = b"anna\nberlin"
    assert len(body(tagging.handle(sent(text, "text/csv; header=present")))["predictions"]) == 1
    assert len(body(tagging.handle(sent(text, "text/csv; header=absent")))["predictions"]) == 2


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_array_comes_as_numpy_saves_it(graph: FamilyFunction, tabular: FamilyFunction, dtype: str) -> None:
    array = np.array([ROW, ROW], dtype)
    wanted = [body(graph.handle(post({"data": ROW})))["body"]] * 2
    assert body(graph.handle(sent(npy(array), "application/x-npy", "application/json"))) == wanted
    response = graph.handle(sent(npy(array), "application/x-npy", "application/x-npy"))
    assert response.headers["Content-Type"] == "application/x-npy"
    np.testing.assert_allclose(np.load(io.BytesIO(response.body)), wanted)
    response = tabular.handle(sent(npy(array), "application/x-npy", "application/x-npy"))
    assert np.load(io.BytesIO(response.body)).tolist() == ["large", "large"]


def test_an_array_of_objects_is_not_unpickled(graph: FamilyFunction) -> None:
    for data in (npy(np.array([{}], object)), b"", b"\x93NUMPY", b"x" * 100):
        wrong = refused(graph.handle(sent(data, "application/x-npy")), 400, "BAD_REQUEST")
        assert wrong.startswith("The body is no array of numbers or texts in numpy's form. ")


def test_sagemakers_bodies_are_answered_by_the_prediction_alone(
    tagging: FamilyFunction, translating: FamilyFunction, tabular: FamilyFunction, seeing: FamilyFunction
) -> None:
    for asked in ({"inputs": TEXT}, {"inputs": TEXT, "parameters": {}}):
        assert body(tagging.handle(post(asked, PATH)))[0]["word"]
    assert list(body(translating.handle(post({"inputs": "one"}, PATH)))[0]) == ["translation_text"]
    assert [one["prediction"] for one in body(tabular.handle(post([ROW, ROW], PATH)))] == ["large", "large"]
    assert body(tagging.handle(sent(TEXT.encode(), "text/plain")))[0]["word"]
    image = base64.b64decode(GREY_SQUARE)
    for kind in ("image/png", "application/x-image", "application/octet-stream"):
        assert body(seeing.handle(sent(image, kind)))[0]["label"]
    data, kind = form(("data", "cat.png", image))
    assert body(seeing.handle(sent(data, kind)))[0]["label"]


def test_the_path_or_the_query_may_name_the_model(tabular: FamilyFunction) -> None:
    asked = {"dataframe_split": SPLIT}
    for target in ("/models/tiny_classifier/invoke", f"{PATH}?model_name=tiny_classifier"):
        assert tabular.handle(post(asked, target)).status == 200
    for target in ("/models/none/invoke", f"{PATH}?model_name=none"):
        refused(tabular.handle(post(asked, target)), 404, "RESOURCE_DOES_NOT_EXIST")


def test_a_hole_is_a_missing_value_or_refused(tabular: FamilyFunction) -> None:
    asked = request(json.dumps({"dataframe_split": {"data": [[float("nan"), 1, 2]]}}).encode(), target=PATH)
    wrong = refused(tabular.handle(asked), 400, "BAD_REQUEST")
    assert wrong == f'The column "{COLUMNS[0]}" is null. Send a number.'


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"data": [ROW]},
            "The body has none of them. Send one of dataframe_split, dataframe_records, instances, inputs.",
        ),
        ({"instances": [ROW], "inputs": [ROW]}, "The body has instances and inputs. Send one of "),
        ({"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}, "dataframe_split.data[0] has 2 values, and there"),
        ({"dataframe_split": {"columns": "a", "data": [[1]]}}, '"columns" is a string. Send a list of names.'),
        ({"dataframe_split": [ROW]}, '"dataframe_split" has no rows.'),
        ({"dataframe_records": []}, '"dataframe_records" is an empty list. Send a list of items.'),
        ({"inputs": 1}, '"inputs" is a number. Send a list of items.'),
        ({"inputs": {"a": [1], "b": [1, 2]}}, "inputs has columns of several lengths (a: 1, b: 2)."),
        ({"instances": [ROW], "params": 1}, '"params" is a number. Send an object by name.'),
    ],
)
def test_what_cannot_be_read_is_refused(tabular: FamilyFunction, asked: Any, message: str) -> None:
    assert refused(tabular.handle(post(asked, PATH)), 400, "BAD_REQUEST").startswith(message)


@pytest.mark.parametrize(
    ("data", "content_type", "status", "message"),
    [
        (b"a\n", "text/csv; charset=latin-1", 415, 'The body\'s charset is "latin-1". Send UTF-8.'),
        (b"\xff", "text/csv", 400, "The body is not UTF-8: byte 0 cannot be read."),
        (b"\n", "text/csv", 400, "The table is empty. Send at least one row."),
        (b'"a', "text/csv", 400, "The body is no table in CSV: "),
        (",".join(COLUMNS).encode(), "text/csv", 400, "The table has a header and no rows."),
        (",".join(COLUMNS).encode() + b"\n1,2", "text/csv", 400, "A row has 2 values, and the header names 3 columns."),
        (b"PAR1", "application/vnd.apache.parquet", 415, 'The body is "application/vnd.apache.parquet". Send '),
        (b"{", "application/json", 400, "The body is not JSON: "),
        (b"", "", 400, "The body is empty. Send the data: JSON, a text or a file."),
    ],
)
def test_other_types_and_broken_ones_are_refused(
    tabular: FamilyFunction, data: bytes, content_type: str, status: int, message: str
) -> None:
    assert refused(tabular.handle(sent(data, content_type)), status, "BAD_REQUEST").startswith(message)


def test_paths_that_are_not_there(tabular: FamilyFunction) -> None:
    refused(tabular.handle(get("/invocations/x")), 404, "ENDPOINT_NOT_FOUND")
    refused(tabular.handle(get(PATH)), 405, "BAD_REQUEST")


def test_the_version_is_told(tabular: FamilyFunction) -> None:
    assert tabular.handle(get("/version")).body == b"1"
