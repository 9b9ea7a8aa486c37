"""``google-cloud-aiplatform``'s client of predictions over REST, whose endpoint is ours."""

import json
from typing import Any

import pytest
from google.api import httpbody_pb2
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform_v1
from google.protobuf import json_format, struct_pb2

from tests.conformance.place import Place


def at(place: Place, family: str) -> aiplatform_v1.PredictionServiceClient:
    return aiplatform_v1.PredictionServiceClient(
        transport="rest",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": place.url(family)},
    )


def endpoint(model: str) -> str:
    return f"projects/p/locations/us-central1/endpoints/{model}"


def value(given: Any) -> struct_pb2.Value:
    return json_format.ParseDict(given, struct_pb2.Value())


def predicted(place: Place, family: str, model: str, instances: list[Any], parameters: Any = None) -> Any:
    given = {"instances": [value(one) for one in instances]}
    if parameters is not None:
        given["parameters"] = value(parameters)
    response = at(place, family).predict(endpoint=endpoint(model), **given, timeout=60)
    return json.loads(type(response).to_json(response))


def test_rows(place: Place) -> None:
    answer = predicted(place, "tabular", "sizes", [[3, 3, 3], {"length": -3, "width": -3, "weight": -3}])
    assert [row["prediction"] for row in answer["predictions"]] == ["large", "small"]
    assert answer["deployedModelId"]


def test_texts_with_parameters(place: Place) -> None:
    answer = predicted(place, "text_classification", "sentiment", ["anna lives"], {"top_k": 1})
    assert len(answer["predictions"]) == 1


def test_translations(place: Place) -> None:
    answer = predicted(place, "translation", "translator", ["anna lives", "sales fell"])
    assert all("translation_text" in one for one in answer["predictions"])


def test_tensors(place: Place) -> None:
    assert predicted(place, "onnx", "half_plus_two", [1.0, 2.0, 5.0])["predictions"] == [2.5, 3.0, 4.5]


def raw(place: Place, model: str, instances: list[Any]) -> httpbody_pb2.HttpBody:
    """The answer's bytes are not in it: over REST the client takes them for a message of its own."""
    body = httpbody_pb2.HttpBody(data=json.dumps({"instances": instances}).encode(), content_type="application/json")
    return at(place, "tabular").raw_predict(endpoint=endpoint(model), http_body=body, timeout=60)


def test_a_raw_body(place: Place) -> None:
    assert isinstance(raw(place, "sizes", [[3, 3, 3]]), httpbody_pb2.HttpBody)


def test_a_wrong_raw_body_is_a_bad_request(place: Place) -> None:
    with pytest.raises(exceptions.BadRequest):
        raw(place, "sizes", [[3, 3, 3, 3]])


def test_an_unknown_model_is_not_found(place: Place) -> None:
    with pytest.raises(exceptions.NotFound, match="nothing"):
        predicted(place, "tabular", "nothing", [[1, 2, 3]])


@pytest.mark.parametrize("instances", [[[1, 2, 3, 4]], ["anna"], [None]], ids=["long", "text", "null"])
def test_a_wrong_instance_is_a_bad_request(place: Place, instances: list[Any]) -> None:
    with pytest.raises(exceptions.BadRequest) as caught:
        predicted(place, "tabular", "sizes", instances)
    assert "unknown error" not in caught.value.message


def test_a_wrong_parameter_is_a_bad_request(place: Place) -> None:
    with pytest.raises(exceptions.BadRequest, match="top_k"):
        predicted(place, "text_classification", "sentiment", ["anna lives"], {"top_k": -1})


def test_no_instance_is_a_bad_request(place: Place) -> None:
    with pytest.raises(exceptions.BadRequest):
        predicted(place, "tabular", "sizes", [])
