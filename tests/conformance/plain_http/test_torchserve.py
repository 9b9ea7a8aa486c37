"""The calls of TorchServe's documentation (inference_api.md, management_api.md)."""

import json

import pytest
import requests

from tests.conformance.pictures import PNG
from tests.conformance.place import Place


def test_ping(place: Place) -> None:
    response = requests.get(f"{place.url('image_classification')}/ping", timeout=60)
    assert (response.status_code, response.json()) == (200, {"status": "Healthy"})


def test_a_file_as_the_body(place: Place) -> None:
    """``curl http://localhost:8080/predictions/resnet-18 -T kitten_small.jpg``"""
    url = f"{place.url('image_classification')}/predictions/eye"
    response = requests.put(url, data=PNG, timeout=60)
    assert response.status_code == 200, response.text
    assert "cat" in response.text


def test_a_file_of_a_form(place: Place) -> None:
    """``curl http://localhost:8080/predictions/resnet-18 -F "data=@kitten_small.jpg"``"""
    url = f"{place.url('image_classification')}/predictions/eye"
    response = requests.post(url, files={"data": ("kitten.png", PNG)}, timeout=60)
    assert response.status_code == 200, response.text
    assert "cat" in response.text


def test_a_text_as_the_body(place: Place) -> None:
    url = f"{place.url('text_classification')}/predictions/sentiment"
    response = requests.post(url, data=b"anna lives in berlin", headers={"Content-Type": "text/plain"}, timeout=60)
    assert response.status_code == 200, response.text
    assert "good" in response.text


def test_a_body_without_a_type(place: Place) -> None:
    url = f"{place.url('text_classification')}/predictions/sentiment"
    response = requests.post(url, data=b"anna lives in berlin", timeout=60)
    assert response.status_code == 200, response.text


def test_a_field_of_a_form(place: Place) -> None:
    url = f"{place.url('text_classification')}/predictions/sentiment"
    response = requests.post(url, files={"data": (None, "anna lives in berlin")}, timeout=60)
    assert response.status_code == 200, response.text


def test_json_as_the_body(place: Place) -> None:
    url = f"{place.url('tabular')}/predictions/sizes"
    response = requests.post(url, json=[3, 3, 3], timeout=60)
    assert response.status_code == 200, response.text
    assert "large" in response.text


def test_a_version(place: Place) -> None:
    [model] = requests.get(f"{place.url('tabular')}/models/sizes", timeout=60).json()
    url = f"{place.url('tabular')}/predictions/sizes/{model['modelVersion']}"
    response = requests.post(url, json=[3, 3, 3], timeout=60)
    assert response.status_code == 200, response.text


def test_another_version_is_not_found(place: Place) -> None:
    response = requests.post(f"{place.url('tabular')}/predictions/sizes/9.9", json=[3, 3, 3], timeout=60)
    assert response.status_code == 404
    assert response.json()["type"] == "ModelVersionNotFoundException"


def test_a_text_in_pieces(place: Place) -> None:
    url = f"{place.url('text_generation')}/predictions/writer"
    response = requests.post(url, data=b"hello", headers={"Content-Type": "text/plain"}, stream=True, timeout=60)
    assert response.status_code == 200
    assert b"".join(response.iter_content())


def test_the_description_of_the_api(place: Place) -> None:
    document = requests.options(f"{place.url('tabular')}/", timeout=60).json()
    assert document["openapi"].startswith("3.")
    assert document["paths"]


def test_the_description_of_a_model(place: Place) -> None:
    document = requests.options(f"{place.url('tabular')}/predictions/sizes", timeout=60).json()
    assert any("/predictions/sizes" in path for path in document["paths"])


def test_models_are_listed(place: Place) -> None:
    answer = requests.get(f"{place.url('onnx')}/models", timeout=60).json()
    assert "linear" in {model["modelName"] for model in answer["models"]}
    assert all(model["modelUrl"] for model in answer["models"])


def test_models_are_listed_by_pages(place: Place) -> None:
    url = f"{place.url('onnx')}/models"
    first = requests.get(url, params={"limit": 2}, timeout=60).json()
    rest = requests.get(url, params={"limit": 100, "next_page_token": first["nextPageToken"]}, timeout=60).json()
    assert len(first["models"]) == 2
    assert "nextPageToken" not in rest
    names = [model["modelName"] for model in first["models"] + rest["models"]]
    assert names == [model["modelName"] for model in requests.get(url, timeout=60).json()["models"]]


def test_a_model_is_described(place: Place) -> None:
    requests.post(f"{place.url('tabular')}/predictions/sizes", json=[3, 3, 3], timeout=60)
    [model] = requests.get(f"{place.url('tabular')}/models/sizes", timeout=60).json()
    assert (model["modelName"], model["minWorkers"] >= 0) == ("sizes", True)
    assert {"modelVersion", "modelUrl", "batchSize", "maxBatchDelay", "workers"} <= set(model)


def test_all_versions_are_described(place: Place) -> None:
    assert len(requests.get(f"{place.url('tabular')}/models/sizes/all", timeout=60).json()) == 1


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_management_is_not_allowed(place: Place, method: str) -> None:
    path = "/models?url=squeezenet.mar" if method == "POST" else "/models/sizes/1.0"
    response = requests.request(method, f"{place.url('tabular')}{path}", timeout=60)
    assert response.status_code == 405
    assert response.json()["type"] == "MethodNotAllowedException"


def test_an_unknown_model_is_not_found(place: Place) -> None:
    response = requests.post(f"{place.url('tabular')}/predictions/nothing", json=[1], timeout=60)
    answer = response.json()
    assert (response.status_code, answer["code"], answer["type"]) == (404, 404, "ModelNotFoundException")
    assert "nothing" in answer["message"]
    assert response.headers["x-request-id"]


def test_an_unknown_model_is_not_described(place: Place) -> None:
    response = requests.get(f"{place.url('tabular')}/models/nothing", timeout=60)
    assert (response.status_code, response.json()["type"]) == (404, "ModelNotFoundException")


def test_a_wrong_body_is_a_bad_request(place: Place) -> None:
    response = requests.post(f"{place.url('tabular')}/predictions/sizes", json=[1, 2, 3, 4], timeout=60)
    assert (response.status_code, response.json()["type"]) == (400, "BadRequestException")


def test_sagemaker_s_path_of_several_models(place: Place) -> None:
    response = requests.post(f"{place.url('tabular')}/models/sizes/invoke", json=[3, 3, 3], timeout=60)
    assert response.status_code == 200, response.text
    assert "large" in json.dumps(response.json())
