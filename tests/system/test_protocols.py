"""What TorchServe's, Vertex AI's, MLflow's and SageMaker's callers send, over real sockets: to the gateway, and to the
function itself.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_functions.families.image_classification import GREY_SQUARE
from tests.running import call, emulator
from tests.shared.http.requests import form
from tests.system.conftest import ROW
from tests.tiny_models import TEXT

IMAGE = base64.b64decode(GREY_SQUARE)
FORM, FORM_TYPE = form(("model_name", None, b"tiny_tagger"), ("data", None, TEXT.encode()))
ENDPOINT = "/v1/projects/p/locations/l/endpoints"

INSTANCES, TEXTS = json.dumps({"instances": [ROW]}), '{"instances": ["hello"]}'

#: Function, method, path, body, its type, and a part of the answer.
CALLS = [
    ("tabular", "POST", "/predictions/tiny_classifier", json.dumps(ROW), "application/json", '"prediction"'),
    ("image-classification", "PUT", "/predictions/tiny_eye", IMAGE, "", '"label"'),
    ("text-generation", "POST", "/predictions/tiny_writer?stream=true", "hello", "text/plain", '\n{"text": '),
    ("tabular", "GET", "/models/tiny_classifier", None, "", '"modelVersion"'),
    ("tabular", "OPTIONS", "/predictions/tiny_classifier", None, "", '"openapi": "3.0.1"'),
    ("tabular", "OPTIONS", "/", None, "", '"/predictions/{model_name}"'),
    (
        "tabular",
        "POST",
        f"{ENDPOINT}/tiny_classifier:predict",
        json.dumps({"instances": [ROW]}),
        "",
        '"deployedModelId"',
    ),
    (
        "text-generation",
        "POST",
        f"{ENDPOINT}/tiny_writer:streamRawPredict",
        '{"instances": ["a"]}',
        "",
        "event: answer",
    ),
    ("tabular", "POST", "/models/tiny_classifier/invoke", "0.5,1,2\n0.5,1,2", "text/csv", '{"predictions": [{'),
    ("tabular", "POST", "/invocations?model_name=tiny_classifier", f"[{ROW}]", "application/json", '[{"prediction"'),
    ("token-classification", "POST", "/predict_proxy", FORM, FORM_TYPE, '"model_name": "tiny_tagger"'),
]


@pytest.fixture(scope="module")
def site(graph_store_folder: Path, trust_file: Path) -> Iterator[str]:
    with emulator(graph_store_folder, MODEL_TRUST=str(trust_file)) as (url, _):
        yield url


@pytest.mark.parametrize("through", ["gateway", "function"])
@pytest.mark.parametrize(("function", "method", "path", "body", "kind", "part"), CALLS, ids=[one[2] for one in CALLS])
def test_a_call_is_answered(
    site: str, through: str, function: str, method: str, path: str, body: str | bytes | None, kind: str, part: str
) -> None:
    data = body.encode() if isinstance(body, str) else body
    prefix = "" if through == "gateway" else f"/{function}"
    answer = call(site + prefix + path, data, method, **({"Content-Type": kind} if kind else {}))
    assert (answer.status, part in answer.body.decode()) == (200, True), answer


@pytest.mark.parametrize("through", ["gateway", "function"])
@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/predictions/none", {"code", "type", "message"}),
        (f"{ENDPOINT}/none:predict", {"error"}),
        ("/models/none/invoke", {"error_code", "message"}),
    ],
)
def test_a_failure_has_its_protocols_shape(site: str, through: str, path: str, shape: set[str]) -> None:
    prefix = "" if through == "gateway" else "/tabular"
    answer = call(site + prefix + path, INSTANCES.encode())
    assert (answer.status, answer.headers["x-error-code"]) == (404, "model_not_found")
    assert set(json.loads(answer.body)) == shape
