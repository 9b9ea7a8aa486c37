"""The calls of TensorFlow Serving's documentation (api_rest.md, docker.md)."""

import base64
import math
from typing import Any

import pytest
import requests

from tests.conformance.pictures import PNG
from tests.conformance.place import Place


def post(place: Place, family: str, path: str, body: Any, **asking: Any) -> requests.Response:
    return requests.post(f"{place.url(family)}/v1/models/{path}", json=body, timeout=60, **asking)


def get(place: Place, family: str, path: str) -> requests.Response:
    return requests.get(f"{place.url(family)}/v1/models/{path}", timeout=60)


def test_half_plus_two(place: Place) -> None:
    """``curl -d '{"instances": [1.0, 2.0, 5.0]}' -X POST …``, whose Content-Type is that of a form."""
    response = requests.post(
        f"{place.url('onnx')}/v1/models/half_plus_two:predict",
        data='{"instances": [1.0, 2.0, 5.0]}',
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        timeout=60,
    )
    assert response.json() == {"predictions": [2.5, 3.0, 4.5]}


def test_columns(place: Place) -> None:
    answer = post(place, "onnx", "half_plus_two:predict", {"inputs": [1.0, 2.0, 5.0]}).json()
    assert answer["outputs"] == [2.5, 3.0, 4.5]


def test_a_signature_is_taken(place: Place) -> None:
    body = {"signature_name": "serving_default", "instances": [1.0]}
    assert post(place, "onnx", "half_plus_two:predict", body).json() == {"predictions": [2.5]}


def test_rows_of_several_inputs(place: Place) -> None:
    body = {"instances": [{"values": [1, 2], "weights": [3, -4]}, {"values": [1, 0], "weights": [1, 1]}]}
    answer = post(place, "onnx", "sums:predict", body).json()
    assert answer == {"predictions": [{"products": [3, -8], "scaled": -10}, {"products": [1, 0], "scaled": 2}]}


def test_columns_of_several_inputs(place: Place) -> None:
    body = {"inputs": {"values": [[1, 2], [1, 0]], "weights": [[3, -4], [1, 1]]}}
    answer = post(place, "onnx", "sums:predict", body).json()
    assert answer["outputs"] == {"products": [[3, -8], [1, 0]], "scaled": [-10, 2]}


def test_bytes_are_base64(place: Place) -> None:
    body = {"instances": [{"b64": base64.b64encode(PNG).decode()}]}
    response = post(place, "image_classification", "eye:predict", body)
    assert len(response.json()["predictions"]) == 1


def test_what_is_no_number_has_a_token(place: Place) -> None:
    response = requests.post(
        f"{place.url('onnx')}/v1/models/half_plus_two:predict",
        data='{"instances": [NaN, Infinity, -Infinity]}',
        timeout=60,
    )
    found = response.json()["predictions"]
    assert math.isnan(found[0])
    assert found[1:] == [math.inf, -math.inf]


def test_classify(place: Place) -> None:
    examples = [{"length": 3, "width": 3, "weight": 3}, {"length": -3, "width": -3, "weight": -3}]
    answer = post(place, "tabular", "sizes:classify", {"examples": examples}).json()
    best = [max(result, key=lambda pair: pair[1])[0] for result in answer["results"]]
    assert best == ["large", "small"]


def test_what_does_not_regress_says_so(place: Place) -> None:
    examples = [{"length": 3, "width": 3, "weight": 3}]
    response = post(place, "tabular", "sizes:regress", {"examples": examples})
    assert response.status_code == 400
    assert "regress" in response.json()["error"]


def test_status(place: Place) -> None:
    [status] = get(place, "onnx", "half_plus_two").json()["model_version_status"]
    assert status["state"] == "AVAILABLE"
    assert status["status"] == {"error_code": "OK", "error_message": ""}
    assert int(status["version"]) > 0


def test_metadata(place: Place) -> None:
    answer = get(place, "onnx", "half_plus_two/metadata").json()
    assert answer["model_spec"]["name"] == "half_plus_two"
    signature = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert signature["outputs"]["y"]["tensor_shape"]["dim"][0]["size"] == "-1"
    assert signature["method_name"] == "tensorflow/serving/predict"


def test_a_version(place: Place) -> None:
    version = get(place, "onnx", "half_plus_two").json()["model_version_status"][0]["version"]
    assert get(place, "onnx", f"half_plus_two/versions/{version}").status_code == 200
    answer = post(place, "onnx", f"half_plus_two/versions/{version}:predict", {"instances": [1.0]})
    assert answer.json() == {"predictions": [2.5]}


def test_a_label(place: Place) -> None:
    answer = post(place, "onnx", "half_plus_two/labels/prod:predict", {"instances": [1.0]})
    assert answer.json() == {"predictions": [2.5]}


@pytest.mark.parametrize("which", ["versions/1", "labels/canary"])
def test_another_version_is_not_found(place: Place, which: str) -> None:
    response = post(place, "onnx", f"half_plus_two/{which}:predict", {"instances": [1.0]})
    assert response.status_code == 404
    assert which.partition("/")[2] in response.json()["error"]


def test_an_unknown_model_is_not_found(place: Place) -> None:
    response = post(place, "onnx", "half:predict", {"instances": [1.0]})
    assert response.status_code == 404
    assert isinstance(response.json()["error"], str)


@pytest.mark.parametrize(
    "body",
    ["{", "[]", "{}", '{"instances": []}', '{"instances": ["a"]}', '{"instances": [1], "inputs": [1]}'],
)
def test_a_wrong_body_is_an_invalid_argument(place: Place, body: str) -> None:
    url = f"{place.url('onnx')}/v1/models/half_plus_two:predict"
    response = requests.post(url, data=body, timeout=60)
    assert response.status_code == 400
    assert isinstance(response.json()["error"], str)


def test_a_method_that_is_not_there_is_refused(place: Place) -> None:
    response = post(place, "onnx", "half_plus_two:multiply", {"instances": [1.0]})
    assert response.status_code in (400, 404)
    assert isinstance(response.json()["error"], str)
