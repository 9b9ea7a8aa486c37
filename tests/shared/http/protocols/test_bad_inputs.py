"""The corpus of bad inputs through every protocol: one table of errors, each protocol's own shape of it."""

import json
from collections.abc import Iterable
from dataclasses import replace

import pytest

from model_functions.families.image_classification import ImageClassificationWrapper
from model_functions.families.tabular import TabularWrapper
from model_functions.families.text_generation import TextGenerationWrapper
from model_functions.http.function import FamilyFunction
from model_functions.http.message import Request, Response
from model_functions.settings import Settings
from tests.bad_inputs.bodies import BINARY, BODIES, MARKER, NO_OBJECTS, NOT_FINITE
from tests.bad_inputs.entries import GOOD, LIMIT, Asked, Raw, kind_of
from tests.bad_inputs.images import IMAGES
from tests.bad_inputs.keys import PROOFS
from tests.bad_inputs.models import FAILURES
from tests.bad_inputs.names import ADDRESSES, LONG_NAMES, METHODS, NAMES, PATHS
from tests.bad_inputs.protocols import PROTOCOLS, Protocol
from tests.bad_inputs.tables import RECORDS, ROWS, TENSORS
from tests.bad_inputs.texts import TEXTS
from tests.bad_inputs.wires import WIRES
from tests.shared.http.requests import body, request

pytestmark = pytest.mark.slow

MODELS = {
    "text_generation": "tiny_writer",
    "image_classification": "tiny_eye",
    "tabular": "tiny_classifier",
}

each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS, ids=[one.name for one in PROTOCOLS])
each_family = pytest.mark.parametrize("family", MODELS)


@pytest.fixture(scope="module")
def functions(settings: Settings) -> dict[str, FamilyFunction]:
    """They take bodies as large as those of the corpus are meant to be too large for."""
    classes = (TextGenerationWrapper, ImageClassificationWrapper, TabularWrapper)
    return {one.family: FamilyFunction(one, replace(settings, max_body_bytes=LIMIT)) for one in classes}


@pytest.fixture
def function(functions: dict[str, FamilyFunction], protocol: Protocol, family: str) -> FamilyFunction:
    if not protocol.asks(family):
        pytest.skip(f"{protocol.name} does not ask {family}")
    return functions[family]


def asked_of(protocol: Protocol, family: str, asked: Asked, model: str | None = None, method: str = "POST") -> Request:
    name = MODELS[family] if model is None else model
    sent = json.dumps(protocol.body(family, name, asked.data, asked.parameters)).encode()
    found = request(sent, {"content-type": "application/json"} | asked.headers, method=method)
    # As an edge decodes it: what stands for a ? is no query.
    found.path = protocol.at(name)
    return found


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


def check(protocol: Protocol, response: Response, code: str | None, what: str) -> None:
    if code is not None or response.status != 200:
        check_refused(protocol, response, code or "invalid_input", what)


def check_canary(protocol: Protocol, family: str, function: FamilyFunction) -> None:
    found = function.handle(asked_of(protocol, family, Asked("good", GOOD[family])))
    assert found.status == 200, found.body


def of(entries: Iterable[Raw], protocol: Protocol, family: str) -> list[Raw]:
    kind = kind_of(family)
    return [one for one in entries if kind in one.kinds and one.protocols in (None, (protocol.name,))]


@each_protocol
@each_family
def test_bodies_that_cannot_be_read_are_refused_by_the_same_codes(
    protocol: Protocol, family: str, function: FamilyFunction
) -> None:
    # Where JSON may have NaN, a number in it is the model's to refuse.
    for raw in of([*BODIES, *([] if protocol.has_nan else NOT_FINITE), *NO_OBJECTS], protocol, family):
        path = protocol.at(MODELS[family])
        sent = request(raw.body, {"content-type": "application/json"} | raw.headers, target=path)
        check(protocol, function.handle(sent), raw.code, raw.id)
    check_canary(protocol, family, function)
    assert not MARKER.exists()


@each_protocol
@each_family
def test_data_and_parameters_that_are_wrong_are_refused_by_the_same_codes(
    protocol: Protocol, family: str, function: FamilyFunction
) -> None:
    for asked in {"text": TEXTS, "image": IMAGES, "row": ROWS}[kind_of(family)]:
        ours = asked.families is None or family in asked.families
        if ours and (asked.protocols is None or protocol.name in asked.protocols):
            check(protocol, function.handle(asked_of(protocol, family, asked)), asked.code, asked.id)
    check_canary(protocol, family, function)


@each_protocol
@pytest.mark.parametrize("family", ["text_generation"])
def test_names_that_are_no_models_are_not_found(protocol: Protocol, family: str, function: FamilyFunction) -> None:
    for name in [*NAMES, *ADDRESSES, *LONG_NAMES]:
        response = function.handle(asked_of(protocol, family, Asked(name), name))
        # What stands in the path, and has a slash, is more than one part of it: to TorchServe a name and a version.
        if "{}" in protocol.path and set("/:") & set(name):
            assert response.headers["X-Error-Code"] in ("not_found", "model_not_found", "method_not_allowed"), name
        else:
            check_refused(protocol, response, "model_not_found", name)


@each_protocol
@pytest.mark.parametrize("family", ["text_generation"])
def test_paths_that_are_none_are_not_found(protocol: Protocol, family: str, function: FamilyFunction) -> None:
    for path in PATHS:
        sent = request(b"{}", {"content-type": "application/json"}, target=protocol.at(MODELS[family]) + path)
        check_refused(protocol, function.handle(sent), "not_found", path)


@each_protocol
@pytest.mark.parametrize("family", ["text_generation"])
def test_methods_that_are_none_are_not_allowed(protocol: Protocol, family: str, function: FamilyFunction) -> None:
    for method in METHODS:
        response = function.handle(asked_of(protocol, family, Asked(method), method=method))
        check_refused(protocol, response, "method_not_allowed", method)
        assert "POST" in response.headers["Allow"]


@each_protocol
@pytest.mark.parametrize("family", ["text_generation"])
def test_a_url_or_headers_that_are_too_long_are_refused(
    protocol: Protocol, family: str, function: FamilyFunction
) -> None:
    path = protocol.at(MODELS[family])
    check_refused(protocol, function.handle(request(b"{}", target=f"{path}?x={'x' * 9000}")), "uri_too_long", "a URL")
    many = {f"x-{number}": "y" for number in range(200)}
    check_refused(protocol, function.handle(request(b"{}", many, target=path)), "headers_too_large", "200 headers")
    long = {"x-a": "y" * 70_000}
    check_refused(protocol, function.handle(request(b"{}", long, target=path)), "headers_too_large", "a long header")


@each_protocol
@pytest.mark.parametrize("family", ["text_generation"])
def test_a_body_that_breaks_off_is_refused(protocol: Protocol, family: str, function: FamilyFunction) -> None:
    def broken(size: int) -> bytes:
        raise OSError("gone")

    sent = request(b"", {"content-length": "10"}, target=protocol.at(MODELS[family]), read=broken)
    check_refused(protocol, function.handle(sent), "invalid_request", "a body that breaks off")


def test_the_corpus_is_as_large_as_it_says() -> None:
    bodies = [one.id for one in [*BODIES, *BINARY, *RECORDS, *NOT_FINITE, *NO_OBJECTS]]
    asked = [one.id for one in [*TEXTS, *IMAGES, *ROWS, *TENSORS]]
    entries = [*bodies, *asked, *[one.id for one in WIRES], *[one.id for one in PROOFS], *[one.id for one in FAILURES]]
    doubled = {one for one in entries if entries.count(one) > 1}
    # Rows and tensors are asked some of the same as texts.
    assert doubled <= {one.id for one in [*ROWS, *TENSORS]}
    assert len(entries) + len(NAMES) + len(ADDRESSES) + len(PATHS) + len(METHODS) >= 500
    assert len({one.split()[0] for one in entries if one.startswith("D")}) >= 60
