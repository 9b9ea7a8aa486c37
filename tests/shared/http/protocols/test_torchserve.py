import base64
import json
from typing import Any

import pytest

from model_functions.families.image_classification import GREY_SQUARE
from model_functions.http.function import FamilyFunction
from model_functions.http.message import Request, Response
from tests.shared.http.requests import body, form, get, post, request
from tests.tiny_models import COLUMNS, TEXT

ROW = [0.5, 1.0, 2.0]
IMAGE = base64.b64decode(GREY_SQUARE)
PREDICTIONS = "/predictions/tiny_classifier"


def refused(response: Response, status: int, kind: str) -> str:
    found = body(response)
    assert (response.status, found["code"], found["type"]) == (status, status, kind)
    assert set(found) == {"code", "type", "message"}
    assert response.headers["X-Error-Code"]
    text: str = found["message"]
    return text


def raw(data: bytes, target: str, content_type: str = "") -> Request:
    return request(data, {"content-type": content_type} if content_type else {}, target=target)


@pytest.mark.parametrize(
    "data",
    [
        {"data": ROW},
        {"body": ROW},
        {"data": dict(zip(COLUMNS, ROW, strict=True)), "parameters": {"method": "predict"}},
        ROW,
        dict(zip(COLUMNS, ROW, strict=True)),
    ],
)
def test_json_is_the_data_or_has_it(tabular: FamilyFunction, data: Any) -> None:
    response = tabular.handle(post(data, PREDICTIONS))
    assert body(response)["prediction"] == "large"
    assert response.headers["X-Model-Revision"]


def test_a_list_is_answered_by_a_list(tabular: FamilyFunction) -> None:
    assert [one["prediction"] for one in body(tabular.handle(post([ROW, ROW], PREDICTIONS)))] == ["large", "large"]


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/octet-stream"])
@pytest.mark.parametrize("data", [b"0.5,1,2", b"[0.5, 1, 2]", b' {"column_0": 0.5}'])
def test_a_row_may_be_spelled(tabular: FamilyFunction, data: bytes, content_type: str) -> None:
    response = tabular.handle(raw(data, PREDICTIONS, content_type))
    assert (response.status == 200) == (b"{" not in data), response.body


def test_a_file_is_the_body_as_curl_sends_it(seeing: FamilyFunction, tagging: FamilyFunction) -> None:
    found = body(seeing.handle(raw(IMAGE, "/predictions/tiny_eye")))
    assert {"label", "score"} == set(found[0])
    assert body(seeing.handle(raw(IMAGE, "/predictions/tiny_eye?top_k=1", "image/png"))) == found[:1]
    assert body(seeing.handle(request(IMAGE, method="PUT", target="/predictions/tiny_eye"))) == found
    tagged = body(tagging.handle(raw(TEXT.encode(), "/predictions/tiny_tagger", "application/x-www-form-urlencoded")))
    assert tagged[0]["word"]


def test_a_form_has_the_data_in_a_field_or_a_file(seeing: FamilyFunction, tagging: FamilyFunction) -> None:
    alone = body(seeing.handle(raw(IMAGE, "/predictions/tiny_eye")))
    data, kind = form(("data", "cat.png", IMAGE))
    assert body(seeing.handle(raw(data, "/predictions/tiny_eye", kind))) == alone
    data, kind = form(("data", "cat.png", IMAGE), ("data", "dog.png", IMAGE), ("top_k", None, b"1"))
    assert body(seeing.handle(raw(data, "/predictions/tiny_eye", kind))) == [alone[:1]] * 2
    data, kind = form(("body", None, TEXT.encode()))
    tagged = body(tagging.handle(raw(data, "/predictions/tiny_tagger", kind)))
    urlencoded = raw(b"data=Anna+lives+in+Berlin%2C+and+works+for+UN.", "/predictions/tiny_tagger", URLENCODED)
    assert body(tagging.handle(urlencoded)) == tagged
    data, kind = form(("other", None, b"x"))
    wrong = refused(tagging.handle(raw(data, "/predictions/tiny_tagger", kind)), 400, "BadRequestException")
    assert wrong.startswith('The form has no field "data".')


URLENCODED = "application/x-www-form-urlencoded"


def test_what_a_model_writes_may_come_in_lines(writing: FamilyFunction) -> None:
    target = "/predictions/tiny_writer"
    whole = body(writing.handle(post({"data": "hello", "parameters": {"max_new_tokens": 20, "seed": 1}}, target)))
    for asked in (
        post({"data": "hello", "parameters": {"max_new_tokens": 20, "seed": 1, "stream": True}}, target),
        raw(b"hello", f"{target}?max_new_tokens=20&seed=1&stream=true", "text/plain"),
    ):
        response = writing.handle(asked)
        assert response.headers["Content-Type"] == "application/x-ndjson"
        assert response.chunks is not None
        lines = [json.loads(chunk) for chunk in response.chunks]
        assert "".join(line["text"] for line in lines) == whole["generated_text"]
        assert lines[-1]["finish_reason"] == whole["finish_reason"]


def test_a_parameter_is_said_once(tabular: FamilyFunction) -> None:
    asked = {"data": ROW, "parameters": {"method": "predict"}}
    response = tabular.handle(post(asked, "/predictions/tiny_classifier?method=predict"))
    assert (response.status, response.headers["X-Error-Code"]) == (400, "invalid_input")
    assert body(response)["message"] == "A parameter stands in the query and in the body. Send it once."


def test_the_version_is_the_one_that_is_served(tabular: FamilyFunction) -> None:
    revision = tabular.handle(post(ROW, PREDICTIONS)).headers["X-Model-Revision"]
    assert tabular.handle(post(ROW, f"{PREDICTIONS}/{revision}")).status == 200
    wrong = refused(tabular.handle(post(ROW, f"{PREDICTIONS}/1.0")), 404, "ModelVersionNotFoundException")
    assert wrong.startswith('tiny_classifier has no version "1.0" here.')


def test_models_are_listed_by_pages(tabular: FamilyFunction, monkeypatch: pytest.MonkeyPatch) -> None:
    record = {"modelName": "tiny_classifier", "modelUrl": "tabular/tiny_classifier"}
    assert body(tabular.handle(get("/models"))) == {"models": [record]}
    names = [f"model_{number}" for number in range(5)]
    monkeypatch.setattr(tabular.directory(), "names", lambda sees: names)
    monkeypatch.setattr(tabular.directory(), "families", lambda name: ["tabular"])
    first = body(tabular.handle(get("/models?limit=3")))
    assert [one["modelName"] for one in first["models"]] == names[:3]
    rest = body(tabular.handle(get(f"/models?limit=3&next_page_token={first['nextPageToken']}")))
    assert [one["modelName"] for one in rest["models"]] == names[3:]
    assert "nextPageToken" not in rest
    wrong = refused(tabular.handle(get("/models?limit=0")), 400, "BadRequestException")
    assert wrong == '"limit" is "0". Send an integer from 1 on.'


def test_a_model_is_described_whether_it_is_loaded_or_not(tabular: FamilyFunction) -> None:
    revision = tabular.handle(post(ROW, PREDICTIONS)).headers["X-Model-Revision"]
    for which in ("", "/all", f"/{revision}", "?customized=true"):
        [record] = body(tabular.handle(get(f"/models/tiny_classifier{which}")))
        assert (record["modelName"], record["modelVersion"]) == ("tiny_classifier", revision)
        assert [worker["status"] for worker in record["workers"]] == ["READY"]
    refused(tabular.handle(get("/models/none")), 404, "ModelNotFoundException")
    fresh = FamilyFunction(tabular.wrapper_class, tabular.settings)
    assert body(fresh.handle(get("/models/tiny_classifier")))[0]["workers"] == []


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/models?url=a.mar"),
        ("PUT", "/models/tiny_classifier?min_worker=2"),
        ("DELETE", "/models/tiny_classifier/1.0"),
    ],
)
def test_models_are_not_managed_here(tabular: FamilyFunction, method: str, target: str) -> None:
    refused(tabular.handle(request(method=method, target=target)), 405, "MethodNotAllowedException")


def test_nothing_is_explained(tabular: FamilyFunction) -> None:
    wrong = refused(tabular.handle(post(ROW, "/explanations/tiny_classifier")), 501, "NotImplementedException")
    assert wrong.startswith("tiny_classifier does not explain its predictions.")
    refused(tabular.handle(post(ROW, "/explanations/none")), 404, "ModelNotFoundException")


def test_the_instance_says_that_it_is_healthy(tabular: FamilyFunction) -> None:
    response = tabular.handle(get("/ping", {"x-request-id": "abc"}))
    assert body(response) == {"status": "Healthy"}
    assert response.headers["X-Request-Id"] == "abc"


def test_options_describe_the_api(tabular: FamilyFunction) -> None:
    found = body(tabular.handle(request(method="OPTIONS", target="/")))
    assert found["openapi"] == "3.0.1"
    assert "/predictions/{model_name}" in found["paths"]
    found = body(tabular.handle(request(method="OPTIONS", target=PREDICTIONS)))
    asked = found["paths"][PREDICTIONS]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert body(tabular.handle(post(asked, PREDICTIONS)))["prediction"]
    unknown = request(method="OPTIONS", target="/predictions/none")
    refused(tabular.handle(unknown), 404, "ModelNotFoundException")


@pytest.mark.parametrize(
    ("asked", "status", "kind", "message"),
    [
        (
            raw(b"", PREDICTIONS),
            400,
            "BadRequestException",
            "The body is empty. Send the data: JSON, a text or a file.",
        ),
        (raw(b"{", PREDICTIONS), 400, "BadRequestException", "The body is not JSON: "),
        (raw(b"\xff", PREDICTIONS), 400, "BadRequestException", "The body is not UTF-8: byte 0 cannot be read."),
        (post([0.5], PREDICTIONS), 400, "BadRequestException", "data has 1 values; the model has 3 columns"),
        (post({"data": ROW, "parameters": 1}, PREDICTIONS), 400, "BadRequestException", '"parameters" is a number.'),
        (post(ROW, f"{PREDICTIONS}?a=1&a=2"), 400, "BadRequestException", "The query has a parameter twice."),
        (post(ROW, "/predictions/none"), 404, "ModelNotFoundException", 'No model "none" is published'),
        (get("/predictions/a/b/c"), 404, "ResourceNotFoundException", "There is no '/predictions/a/b/c' here."),
        (get(PREDICTIONS), 405, "MethodNotAllowedException", "/predictions/tiny_classifier does not take GET."),
    ],
)
def test_errors_name_an_exception(
    tabular: FamilyFunction, asked: Request, status: int, kind: str, message: str
) -> None:
    assert refused(tabular.handle(asked), status, kind).startswith(message)
