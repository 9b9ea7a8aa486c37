import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from model_functions.families.image_classification import GREY_SQUARE
from model_functions.families.tabular import TabularWrapper
from model_functions.http.function import FamilyFunction
from model_functions.http.message import Response
from model_functions.settings import Settings
from tests.shared.http.requests import body, get, post, request

ROW = [0.5, 1.0, 2.0]
LOCATION = "/v1/projects/my-project/locations/europe-west1"
ENDPOINT = f"{LOCATION}/endpoints/tiny_classifier"
WRITER = f"{LOCATION}/endpoints/tiny_writer"
MODEL = "projects/my-project/locations/europe-west1/models/tiny_classifier"


def refused(response: Response, status: int, name: str) -> str:
    found = body(response)["error"]
    assert (response.status, found["code"], found["status"]) == (status, status, name)
    [detail] = found["details"]
    assert detail["reason"] == response.headers["X-Error-Code"].upper()
    text: str = found["message"]
    return text


@pytest.fixture(scope="module")
def container(settings: Settings) -> FamilyFunction:
    """As Vertex AI starts it."""
    predict, health = "/v1/endpoints/1/deployedModels/2:predict", "/v1/endpoints/1/health"
    return FamilyFunction(TabularWrapper, replace(settings, predict_route=predict, health_route=health))


def test_the_platforms_routes_predict_and_tell_health(container: FamilyFunction) -> None:
    route = container.settings.predict_route
    assert route is not None
    response = container.handle(post({"instances": [ROW, ROW], "parameters": None}, route))
    assert [one["prediction"] for one in body(response)["predictions"]] == ["large", "large"]
    assert list(body(response)) == ["predictions"]
    assert container.handle(get("/v1/endpoints/1/health")).status == 200
    assert container.handle(get(route)).status == 405
    refused(container.handle(post({"instances": []}, route)), 400, "INVALID_ARGUMENT")


def test_a_route_of_ours_may_be_the_platforms(settings: Settings) -> None:
    ours = FamilyFunction(TabularWrapper, replace(settings, predict_route="/predict", health_route="/health"))
    assert body(ours.handle(post({"instances": [ROW]})))["predictions"]
    assert ours.handle(get("/health")).status == 200
    assert ours.handle(get("/predict?data=1,2,3")).status == 200


def test_elsewhere_there_are_no_such_routes(tabular: FamilyFunction) -> None:
    assert tabular.handle(post({"instances": [ROW]}, "/v1/endpoints/1/deployedModels/2:predict")).status == 404


def test_an_endpoint_is_a_model(tabular: FamilyFunction) -> None:
    asked = {"instances": [ROW], "parameters": {"method": "predict"}}
    response = tabular.handle(post(asked, f"{ENDPOINT}:predict"))
    revision = response.headers["X-Model-Revision"]
    assert body(response) == {
        "predictions": [{"prediction": "large"}],
        "deployedModelId": revision,
        "model": MODEL,
        "modelVersionId": revision,
        "modelDisplayName": "tiny_classifier",
    }
    found = body(tabular.handle(get(ENDPOINT)))
    assert found["name"] == MODEL.replace("models", "endpoints")
    assert found["deployedModels"][0]["id"] == revision
    assert found["trafficSplit"] == {revision: 100}


@pytest.mark.parametrize("verb", ["rawPredict", "streamRawPredict"])
def test_a_raw_answer_has_its_model_in_the_headers(tabular: FamilyFunction, verb: str) -> None:
    response = tabular.handle(post({"instances": [ROW]}, f"{ENDPOINT}:{verb}"))
    assert body(response)["predictions"][0]["prediction"] == "large"
    assert response.headers["X-Vertex-AI-Model"] == MODEL
    assert response.headers["X-Vertex-AI-Deployed-Model-Id"] == response.headers["X-Model-Revision"]
    assert response.headers["X-Vertex-AI-Model-Version-Id"] == response.headers["X-Model-Revision"]


def wrapped(value: Any) -> dict[str, Any]:
    """As Google's clients send a body by REST."""
    data = base64.b64encode(json.dumps(value).encode()).decode()
    return {"httpBody": {"contentType": "application/json", "data": data}}


def unwrapped(found: dict[str, str], content_type: str = "application/json") -> str:
    assert found["contentType"] == content_type
    return base64.b64decode(found["data"]).decode()


def test_a_body_that_is_wrapped_is_answered_so(tabular: FamilyFunction) -> None:
    asked = {"instances": [ROW], "parameters": {"method": "predict"}}
    whole = {"predictions": [{"prediction": "large"}]}
    assert json.loads(unwrapped(body(tabular.handle(post(wrapped(asked), f"{ENDPOINT}:rawPredict"))))) == whole
    [only] = body(tabular.handle(post(wrapped(asked), f"{ENDPOINT}:streamRawPredict")))
    assert json.loads(unwrapped(only)) == whole


STORY = {"instances": ["hello"], "parameters": {"max_new_tokens": 20, "seed": 1}}


def test_a_raw_stream_has_the_pieces_and_the_answer(writing: FamilyFunction) -> None:
    whole = body(writing.handle(post(STORY, f"{WRITER}:predict")))["predictions"]
    response = writing.handle(post(STORY, f"{WRITER}:streamRawPredict"))
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.chunks is not None
    check_story([chunk.decode() for chunk in response.chunks], whole)
    response = writing.handle(post(wrapped(STORY), f"{WRITER}:streamRawPredict"))
    assert response.headers["Content-Type"] == "application/json"
    assert response.chunks is not None
    items = json.loads(b"".join(response.chunks))
    check_story([unwrapped(item, "text/event-stream") for item in items], whole)


def check_story(events: list[str], whole: list[dict[str, Any]]) -> None:
    *pieces, last = events
    texts = [json.loads(piece.removeprefix("data: "))["text"] for piece in pieces]
    assert "".join(texts) == whole[0]["generated_text"]
    assert json.loads(last.removeprefix("event: answer\ndata: ")) == {"predictions": whole}


def test_instances_may_be_bytes(seeing: FamilyFunction) -> None:
    target = f"{LOCATION}/endpoints/tiny_eye:predict"
    asked = {"instances": [{"b64": GREY_SQUARE}, {"image": {"b64": GREY_SQUARE}}, GREY_SQUARE]}
    predictions = body(seeing.handle(post(asked, target)))["predictions"]
    assert predictions[0][0]["label"]
    assert predictions == [predictions[0]] * 3


def test_nothing_is_explained(tabular: FamilyFunction) -> None:
    assert refused(tabular.handle(post({}, f"{ENDPOINT}:explain")), 501, "UNIMPLEMENTED").startswith(
        "tiny_classifier does not explain its predictions."
    )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ([ROW], 'The body is a list. Send {"instances": [ITEM, …]}.'),
        ({"data": ROW}, 'The body has no instances. Send {"instances": [ITEM, …]}.'),
        ({"instances": ROW[0]}, '"instances" is a number. Send a list of items.'),
        ({"instances": []}, '"instances" is an empty list. Send a list of items.'),
        ({"instances": [ROW], "parameters": []}, '"parameters" is a list. Send an object by name.'),
        ({"instances": [[1]]}, "instances[0] has 1 values; the model has 3 columns"),
    ],
)
def test_what_cannot_be_read_is_an_invalid_argument(tabular: FamilyFunction, asked: Any, message: str) -> None:
    response = tabular.handle(post(asked, f"{ENDPOINT}:predict"))
    assert refused(response, 400, "INVALID_ARGUMENT").startswith(message)


def test_errors_are_googles(tabular: FamilyFunction) -> None:
    asked = {"instances": [ROW]}
    refused(tabular.handle(post(asked, f"{LOCATION}/endpoints/none:predict")), 404, "NOT_FOUND")
    refused(tabular.handle(post(asked, f"{ENDPOINT}:directPredict")), 404, "NOT_FOUND")
    refused(tabular.handle(request(b"{", target=f"{ENDPOINT}:predict")), 400, "INVALID_ARGUMENT")
    wrong = post({"httpBody": {"data": "?"}}, f"{ENDPOINT}:rawPredict")
    assert refused(tabular.handle(wrong), 400, "INVALID_ARGUMENT").startswith('"httpBody.data" is no base64.')
