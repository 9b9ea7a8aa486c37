"""The calls of the Open Inference Protocol's specification, and of Triton's documentation of its extensions."""

import gzip
import json
from typing import Any

import pytest
import requests

from tests.conformance.place import Place

ROWS: dict[str, Any] = {"name": "features", "shape": [2, 3], "datatype": "FP32"}


def post(place: Place, path: str, **asking: Any) -> requests.Response:
    return requests.post(f"{place.url('onnx')}/v2/models/{path}", timeout=60, **asking)


@pytest.mark.parametrize("data", [[1, 2, 3, 4, 5, 6], [[1, 2, 3], [4, 5, 6]]], ids=["flat", "nested"])
def test_tensors_flat_and_nested(place: Place, data: list[Any]) -> None:
    answer = post(place, "linear/infer", json={"id": "42", "inputs": [ROWS | {"data": data}]}).json()
    assert (answer["id"], answer["model_name"]) == ("42", "linear")
    [output] = answer["outputs"]
    assert (output["name"], output["shape"], output["datatype"], len(output["data"])) == ("scores", [2, 2], "FP32", 4)


def test_a_body_without_a_type(place: Place) -> None:
    body = json.dumps({"inputs": [ROWS | {"data": [1, 2, 3, 4, 5, 6]}]}).encode()
    assert post(place, "linear/infer", data=body).status_code == 200


def test_a_compressed_body(place: Place) -> None:
    body = gzip.compress(json.dumps({"inputs": [ROWS | {"data": [1, 2, 3, 4, 5, 6]}]}).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    assert post(place, "linear/infer", data=body, headers=headers).status_code == 200


def test_bytes_without_json(place: Place) -> None:
    """``curl --data-binary "@img.dat" -H "Inference-Header-Content-Length: 0"``"""
    body = bytes(4 * 3)
    response = post(place, "linear/infer", data=body, headers={"Inference-Header-Content-Length": "0"})
    assert response.status_code == 200, response.text
    header = json.loads(response.content[: int(response.headers["Inference-Header-Content-Length"])])
    assert header["outputs"][0]["parameters"]["binary_data_size"] == 2 * 4


@pytest.mark.parametrize(
    "inputs",
    [
        [],
        [ROWS | {"data": [1, 2, 3]}],
        [ROWS | {"data": ["a"] * 6}],
        [ROWS | {"datatype": "FP31", "data": [1] * 6}],
        [ROWS | {"shape": [-1, 3], "data": [1] * 6}],
        [ROWS],
        "features",
    ],
    ids=str,
)
def test_wrong_tensors_are_an_error(place: Place, inputs: Any) -> None:
    response = post(place, "linear/infer", json={"inputs": inputs})
    assert response.status_code == 400
    assert isinstance(response.json()["error"], str)
    assert response.headers["x-error-code"] == "invalid_input"


@pytest.mark.parametrize("length", ["-1", "a", "1000000"])
def test_a_wrong_length_of_the_json_is_an_error(place: Place, length: str) -> None:
    response = post(place, "linear/infer", data=b"{}", headers={"Inference-Header-Content-Length": length})
    assert response.status_code == 400
    assert isinstance(response.json()["error"], str)


def generate(place: Place, model: str, how: str, body: Any) -> requests.Response:
    family = {"writer": "text_generation", "summarizer": "summarization"}[model]
    return requests.post(f"{place.url(family)}/v2/models/{model}/{how}", json=body, timeout=60)


@pytest.mark.parametrize("model", ["writer", "summarizer"])
def test_generate(place: Place, model: str) -> None:
    answer = generate(place, model, "generate", {"id": "42", "text_input": "anna lives", "parameters": {}}).json()
    assert (answer["id"], answer["model_name"], bool(answer["text_output"])) == ("42", model, True)


def test_generate_in_pieces(place: Place) -> None:
    body = {"text_input": "hello", "parameters": {"max_new_tokens": 12}}
    whole = generate(place, "writer", "generate", body).json()["text_output"]
    response = generate(place, "writer", "generate_stream", body)
    assert response.headers["content-type"].startswith("text/event-stream")
    told = [json.loads(line.removeprefix("data: ")) for line in response.text.splitlines() if line]
    assert len(told) > 1
    assert "".join(one["text_output"] for one in told) == whole


@pytest.mark.parametrize(
    "body", [{}, {"text_input": 3}, {"text_input": "a", "parameters": {"max_new_tokens": 0}}], ids=str
)
def test_a_wrong_text_is_an_error(place: Place, body: Any) -> None:
    response = generate(place, "writer", "generate", body)
    assert response.status_code == 400
    assert isinstance(response.json()["error"], str)


def test_a_model_that_writes_nothing_says_so(place: Place) -> None:
    response = post(place, "linear/generate", json={"text_input": "hello"})
    assert response.status_code in (400, 404, 501)
    assert isinstance(response.json()["error"], str)
