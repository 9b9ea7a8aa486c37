"""The corpus of bad inputs through every protocol: one table of errors, each protocol's own shape of it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from model_functions.errors import error_classes
from model_functions.http.function import FamilyFunction
from model_functions.http.message import Request, Response
from tests.shared.http.protocols.bad_inputs import (
    BODIES,
    IMAGES,
    METHODS,
    NAMES,
    NO_OBJECTS,
    NOT_FINITE,
    PATHS,
    TEXTS,
    Asked,
    Raw,
)
from tests.shared.http.requests import body, request

pytestmark = pytest.mark.slow

STATUSES = {error.code: error.status for error in error_classes()}
MODEL, EYE = "tiny_writer", "tiny_eye"


@dataclass(frozen=True)
class Protocol:
    """How a protocol is asked and how it refuses.

    Args:
        path: of a prediction; ``{}`` is the model's place.
        body: of data and parameters.
        message: of a refusal's body.
        invalid: its status for what reads well and says something wrong.
        reads: bodies that it takes for data where others see no JSON.
        has_nan: whether JSON may have it.
    """

    name: str
    path: str
    body: Callable[[str, Any, dict[str, Any]], Any]
    message: Callable[[Any], Any]
    invalid: int = 400
    has_nan: bool = False
    sees: bool = True

    def request(self, asked: Asked, model: str, method: str = "POST") -> Request:
        sent = json.dumps(self.body(model, asked.data, asked.parameters)).encode()
        found = request(sent, {"content-type": "application/json"} | asked.headers, method=method)
        # As an edge decodes it: what stands for a ? is no query.
        found.path = self.at(model)
        return found

    def at(self, model: str) -> str:
        return self.path.format(model)

    def status(self, code: str) -> int:
        return self.invalid if code == "invalid_input" else STATUSES[code]


def _tensor(model: str, data: Any, parameters: dict[str, Any]) -> Any:
    name = "image" if model == EYE else "text"
    return {"inputs": [{"name": name, "shape": [1], "datatype": "BYTES", "data": [data]}], "parameters": parameters}


def _completion(model: str, data: Any, parameters: dict[str, Any]) -> Any:
    called = {"max_new_tokens": "max_tokens", "num_return_sequences": "n"}
    return {"model": model, "prompt": data} | {called.get(name, name): value for name, value in parameters.items()}


def _instances(word: str) -> Callable[[str, Any, dict[str, Any]], Any]:
    return lambda model, data, parameters: {"instances": [data], word: parameters}


def _own(model: str, data: Any, parameters: dict[str, Any]) -> Any:
    return {"model_name": model, "data": data, "parameters": parameters}


def _error(found: Any) -> Any:
    return found["error"]


def _error_on_shared_paths(found: Any) -> Any:
    """What no protocol answers below /models is told in the shape of the first of them, which is TorchServe's."""
    return found.get("error") or found["message"]


def _its_message(found: Any) -> Any:
    return found["error"]["message"]


ENDPOINT = "/v1/projects/p/locations/l/endpoints/{}:predict"

PROTOCOLS = [
    Protocol("predict", "/predict", _own, _its_message, 422),
    Protocol("tutorial", "/predict_proxy", _own, _its_message, 422),
    Protocol("tensorflow_serving", "/v1/models/{}:predict", _instances("parameters"), _error, has_nan=True),
    Protocol("open_inference", "/v2/models/{}/infer", _tensor, _error),
    Protocol("vertex", ENDPOINT, _instances("parameters"), _its_message),
    Protocol(
        "torchserve",
        "/predictions/{}",
        lambda model, data, parameters: {"data": data, "parameters": parameters},
        lambda found: found["message"],
    ),
    Protocol(
        "invocations",
        "/models/{}/invoke",
        _instances("params"),
        lambda found: found["message"],
        has_nan=True,
    ),
    Protocol(
        "hugging_face",
        "/models/{}",
        lambda model, data, parameters: {"inputs": data, "parameters": parameters},
        _error_on_shared_paths,
        422,
    ),
    Protocol("openai", "/v1/completions", _completion, _its_message, sees=False),
]

each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS, ids=[one.name for one in PROTOCOLS])


def check_refused(protocol: Protocol, response: Response, code: str, what: str) -> None:
    where = f"{protocol.name}: {what}: {response.status} {response.body[:300]!r}"
    assert response.headers.get("X-Error-Code") == code, where
    assert response.status == protocol.status(code), where
    assert response.headers["X-Request-Id"], where
    assert response.headers["Content-Type"] == "application/json", where
    message = protocol.message(body(response))
    assert isinstance(message, str), where
    assert message.endswith((".", "…", "}", ")", '"')), where
    for leak in ("Traceback", "/site-packages", "model_functions.", ".py"):
        assert leak not in response.body.decode(), where


def check_canary(protocol: Protocol, function: FamilyFunction) -> None:
    found = function.handle(protocol.request(Asked("good", parameters={"max_new_tokens": 16}), MODEL))
    assert found.status == 200, found.body


@each_protocol
def test_bodies_that_cannot_be_read_are_refused_by_the_same_codes(protocol: Protocol, writing: FamilyFunction) -> None:
    # Where the body may be the data itself, a number in it is the model's to refuse, and so is a lone value.
    for raw in [*BODIES, *([] if protocol.has_nan else NOT_FINITE), *NO_OBJECTS]:
        sent = request(raw.body, {"content-type": "application/json"} | raw.headers, target=protocol.at(MODEL))
        check_refused(protocol, writing.handle(sent), raw.code, raw.id)
    check_canary(protocol, writing)


@each_protocol
def test_data_and_parameters_that_are_wrong_are_refused_by_the_same_codes(
    protocol: Protocol, writing: FamilyFunction
) -> None:
    for asked in TEXTS:
        response = writing.handle(protocol.request(asked, MODEL))
        if asked.code is not None or response.status != 200:
            check_refused(protocol, response, asked.code or "invalid_input", asked.id)
    check_canary(protocol, writing)


@each_protocol
def test_files_that_are_no_images_are_refused_by_the_same_codes(protocol: Protocol, seeing: FamilyFunction) -> None:
    if not protocol.sees:
        pytest.skip("it is not asked about images")
    for asked in IMAGES:
        check_refused(protocol, seeing.handle(protocol.request(asked, EYE)), "invalid_input", asked.id)


@each_protocol
def test_names_that_are_no_models_are_not_found(protocol: Protocol, writing: FamilyFunction) -> None:
    for name in NAMES:
        response = writing.handle(protocol.request(Asked(name), name))
        if "{}" in protocol.path and set("/:") & set(name):
            # It stands in the path, and so is more than one part of it.
            check_refused(protocol, response, "not_found", name)
        else:
            check_refused(protocol, response, "model_not_found", name)


@each_protocol
def test_paths_that_are_none_are_not_found(protocol: Protocol, writing: FamilyFunction) -> None:
    for path in PATHS:
        sent = request(b"{}", {"content-type": "application/json"}, target=protocol.at(MODEL) + path)
        check_refused(protocol, writing.handle(sent), "not_found", path)


@each_protocol
def test_methods_that_are_none_are_not_allowed(protocol: Protocol, writing: FamilyFunction) -> None:
    for method in METHODS:
        response = writing.handle(protocol.request(Asked(method), MODEL, method))
        check_refused(protocol, response, "method_not_allowed", method)
        assert "POST" in response.headers["Allow"]


@each_protocol
def test_a_url_that_is_too_long_is_refused(protocol: Protocol, writing: FamilyFunction) -> None:
    sent = request(b"{}", target=f"{protocol.at(MODEL)}?x={'x' * 9000}")
    check_refused(protocol, writing.handle(sent), "uri_too_long", "a long URL")


@each_protocol
def test_a_body_that_breaks_off_is_refused(protocol: Protocol, writing: FamilyFunction) -> None:
    def broken(size: int) -> bytes:
        raise OSError("gone")

    sent = request(b"", {"content-length": "10"}, target=protocol.at(MODEL), read=broken)
    check_refused(protocol, writing.handle(sent), "invalid_request", "a body that breaks off")


def test_the_corpus_is_as_large_as_it_says() -> None:
    entries = [*BODIES, *NOT_FINITE, *NO_OBJECTS, *TEXTS, *IMAGES]
    assert len({entry.id for entry in entries if isinstance(entry, Asked | Raw)}) == len(entries)
    assert len(entries) + len(NAMES) + len(PATHS) + len(METHODS) >= 100
