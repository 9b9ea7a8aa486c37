import base64
import json
from typing import Any

import pytest

from model_functions.families.image_classification import GREY_SQUARE
from model_functions.http.function import FamilyFunction
from model_functions.http.message import Response
from tests.shared.http.requests import body, get, post, request
from tests.tiny_models import TEXT

ROW = [0.5, 1.0, 2.0]
TABULAR = "/v1/models/tiny_classifier"


def refused(response: Response, status: int, code: str) -> str:
    assert response.status == status
    assert response.headers["X-Error-Code"] == code
    text = body(response)["error"]
    assert isinstance(text, str)
    return text


def test_the_list_of_models_is_openais_and_kserves(tabular: FamilyFunction) -> None:
    found = body(tabular.handle(get("/v1/models")))
    assert found["models"] == ["tiny_classifier"]
    assert found["object"] == "list"
    [record] = found["data"]
    assert record == {"id": "tiny_classifier", "object": "model", "created": 0, "owned_by": "model-functions"}


def test_a_models_status_is_that_of_all_three(tabular: FamilyFunction) -> None:
    response = tabular.handle(get(TABULAR))
    found = body(response)
    assert (found["id"], found["name"], found["ready"]) == ("tiny_classifier", "tiny_classifier", True)
    [version] = found["model_version_status"]
    assert version["state"] == "AVAILABLE"
    assert version["version"] == str(int(response.headers["X-Model-Revision"], 16))


def test_versions_and_labels_are_those_that_are_served(tabular: FamilyFunction) -> None:
    revision = tabular.handle(get(TABULAR)).headers["X-Model-Revision"]
    asked = {"instances": [ROW]}
    for which in (f"versions/{revision}", f"versions/{int(revision, 16)}", "labels/prod"):
        assert tabular.handle(get(f"{TABULAR}/{which}")).status == 200
        assert tabular.handle(get(f"{TABULAR}/{which}/metadata")).status == 200
        assert tabular.handle(post(asked, f"{TABULAR}/{which}:predict")).status == 200
    wrong = refused(tabular.handle(post(asked, f"{TABULAR}/versions/1:predict")), 404, "model_not_found")
    assert wrong == f'tiny_classifier has no version "1" here. It serves {revision}, as a number {int(revision, 16)}.'
    wrong = refused(tabular.handle(get(f"{TABULAR}/labels/canary")), 404, "model_not_found")
    assert wrong == 'tiny_classifier has no label "canary" here. It serves "prod".'


def test_rows_are_answered_in_order(tabular: FamilyFunction) -> None:
    found = body(tabular.handle(post({"instances": [ROW, ROW]}, f"{TABULAR}:predict")))
    assert [one["prediction"] for one in found["predictions"]] == ["large", "large"]


def test_parameters_may_stand_beside_them(tabular: FamilyFunction) -> None:
    asked = {"signature_name": "serving_default", "instances": [ROW], "parameters": {"method": "predict"}, "other": 1}
    assert body(tabular.handle(post(asked, f"{TABULAR}:predict"))) == {"predictions": [{"prediction": "large"}]}


def test_columns_are_answered_as_columns(tabular: FamilyFunction) -> None:
    columns = [spec["name"] for spec in _signature(tabular, TABULAR)["inputs"].values()]
    names = [name.removesuffix(":0") for name in columns]
    asked = {"inputs": {name: [value, value] for name, value in zip(names, ROW, strict=True)}}
    found = body(tabular.handle(post(asked, f"{TABULAR}:predict")))
    assert found["outputs"] == found["predictions"]
    assert found["outputs"]["prediction"] == ["large", "large"]
    assert [len(row) for row in found["outputs"]["probabilities"]] == [2, 2]


def test_the_only_column_may_stand_alone(translating: FamilyFunction) -> None:
    for inputs in (["one", "two"], {"text": ["one", "two"]}):
        found = body(translating.handle(post({"inputs": inputs}, "/v1/models/tiny_translator:predict")))
        assert len(found["outputs"]) == 2
        assert all(isinstance(text, str) for text in found["outputs"])


def test_a_text_may_be_named_and_in_base64(tagging: FamilyFunction) -> None:
    hidden = {"b64": base64.b64encode(TEXT.encode()).decode()}
    answers = [
        body(tagging.handle(post({"instances": [instance]}, "/v1/models/tiny_tagger:predict")))["predictions"]
        for instance in (TEXT, {"text": TEXT}, hidden, {"text": hidden})
    ]
    assert answers[0]
    assert answers == [answers[0]] * 4


def test_an_image_in_base64_is_classified(seeing: FamilyFunction) -> None:
    target = "/v1/models/tiny_eye:classify"
    asked = {"context": {"image": {"b64": GREY_SQUARE}}, "examples": [{}, {"image": {"b64": GREY_SQUARE}}]}
    [first, second] = body(seeing.handle(post(asked, target)))["results"]
    assert first == second
    assert all(isinstance(label, str) and 0 <= score <= 1 for label, score in first)


def test_a_classifier_of_rows_gives_its_probabilities(tabular: FamilyFunction) -> None:
    named = {name.removesuffix(":0"): value for name, value in zip(_inputs(tabular), ROW, strict=True)}
    [result] = body(tabular.handle(post({"examples": [named]}, f"{TABULAR}:classify")))["results"]
    assert sum(score for _, score in result) == pytest.approx(1)
    wrong = refused(tabular.handle(post({"examples": [named]}, f"{TABULAR}:regress")), 400, "invalid_input")
    assert wrong == "tiny_classifier does not regress. POST to :predict instead."


def test_metadata_tells_the_signature(tabular: FamilyFunction) -> None:
    found = body(tabular.handle(get(f"{TABULAR}/metadata")))
    assert found["model_spec"]["name"] == "tiny_classifier"
    signature = _signature(tabular, TABULAR)
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert all(info["tensor_shape"]["dim"][0]["size"] == "-1" for info in signature["inputs"].values())
    assert "prediction" in signature["outputs"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, 'The request has neither instances nor inputs. Send "instances", a list of items, or "inputs".'),
        ({"instances": [ROW], "inputs": [ROW]}, "The request has both instances and inputs."),
        ({"instances": []}, '"instances" is an empty list. Send a list of items.'),
        ({"instances": ROW[0]}, '"instances" is a number. Send a list of items.'),
        ({"instances": [ROW], "signature_name": "other"}, 'There is no signature "other", only "serving_default".'),
        ({"instances": [ROW], "parameters": 1}, '"parameters" is a number. Send an object by name.'),
        ({"instances": [ROW], "parameters": False}, '"parameters" is a boolean. Send an object by name.'),
        ({"instances": ROW}, "instances[0] is a number. Each is an item: send a row, as a list or an object."),
        ({"instances": [{"b64": "?"}]}, 'instances[0] is no text in UTF-8 in base64: "?".'),
        ({"instances": [[1]]}, "instances[0] has 1 values; the model has 3 columns"),
        ({"inputs": [ROW]}, '"inputs" is a list. Send an object with '),
        ([ROW], 'The body is a list. Send an object: {"instances": [ITEM, …]}.'),
    ],
)
def test_what_cannot_be_read_is_refused(tabular: FamilyFunction, asked: Any, message: str) -> None:
    assert refused(tabular.handle(post(asked, f"{TABULAR}:predict")), 400, "invalid_input").startswith(message)


def test_a_list_of_instances_is_never_one_of_them(writing: FamilyFunction) -> None:
    asked = post({"instances": [{"role": "user", "content": "hello"}]}, "/v1/models/tiny_writer:predict")
    wrong = refused(writing.handle(asked), 400, "invalid_input")
    assert wrong.startswith("instances[0] is an object. Each is an item: send a text, or a chat as a list")


def test_errors_are_texts_on_every_path(tabular: FamilyFunction) -> None:
    unknown = post({"instances": [ROW]}, "/v1/models/none:predict")
    assert refused(tabular.handle(unknown), 404, "model_not_found").startswith('No model "none" is published')
    assert refused(tabular.handle(get(f"{TABULAR}:predict")), 405, "method_not_allowed")
    assert refused(tabular.handle(get("/v1/models/a/b/c")), 404, "not_found")
    assert refused(tabular.handle(request(b"{", target=f"{TABULAR}:predict")), 400, "invalid_json")


def test_nan_may_be_spelled(tabular: FamilyFunction) -> None:
    asked = request(json.dumps({"instances": [[float("nan"), 1, 2]]}).encode(), target=f"{TABULAR}:predict")
    assert "Send a finite number" in refused(tabular.handle(asked), 400, "invalid_input")


def _signature(function: FamilyFunction, path: str) -> dict[str, Any]:
    found = body(function.handle(get(f"{path}/metadata")))
    signature: dict[str, Any] = found["metadata"]["signature_def"]["signature_def"]["serving_default"]
    return signature


def _inputs(function: FamilyFunction) -> list[str]:
    return [info["name"] for info in _signature(function, TABULAR)["inputs"].values()]
