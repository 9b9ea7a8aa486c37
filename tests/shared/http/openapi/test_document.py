"""The description, held to what the functions do: every route stands in it, every example is answered as it says."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import jsonschema
import pytest

from model_functions.errors import error_classes
from model_functions.http import pages
from model_functions.http.message import Request, Response
from model_functions.http.openapi import document as document_of
from model_functions.http.openapi.served import Served, models_of
from model_functions.http.permissions import PUBLIC
from model_functions.http.protocols import module_names
from model_functions.http.service import Service
from tests.shared.http.openapi.conftest import resolved
from tests.shared.http.requests import body, request

pytestmark = pytest.mark.slow

_METHODS = {"get", "post", "put", "delete", "options", "head", "patch", "trace"}


class Described(NamedTuple):
    path: str
    method: str
    operation: dict[str, Any]


def operations(document: dict[str, Any]) -> Iterator[Described]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield Described(path, method.upper(), operation)


def test_every_route_is_described_with_its_methods(service: Service, document: dict[str, Any]) -> None:
    described = {(one.operation["x-route"], one.method) for one in operations(document)}
    for route, method in routes(service):
        if (route, method) not in described:
            path = _somewhere(route, service.models()[0])
            refused = service.handle(request(b"{}", method=method, target=path))
            # What only exists to refuse is no offer.
            assert refused.headers["X-Error-Code"] in ("not_found", "not_supported", "invalid_input"), (method, route)


def test_every_description_is_of_a_route(service: Service, document: dict[str, Any]) -> None:
    offered = set(routes(service))
    for path, method, operation in operations(document):
        assert (operation["x-route"], method) in offered
        found = service.routes.find(asked(document, path, method, operation))
        assert found.handlers[method], (method, path)
        if not isinstance(found.handlers[method], str):
            assert found.template == operation["x-route"]


def test_what_is_asked_as_in_an_example_is_answered_as_described(service: Service, document: dict[str, Any]) -> None:
    count = 0
    for path, method, operation in operations(document):
        for sent in examples(document, path, method, operation):
            response = service.handle(sent)
            where = f"{method} {path} {sent.headers.get('content-type')}: {response.body[:300]!r}"
            assert response.status == 200, where
            check_answer(document, operation, response, where)
            count += 1
    assert count >= 30


def test_examples_are_what_their_schemas_allow(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        for media, content in operation.get("requestBody", {}).get("content", {}).items():
            for example in content.get("examples", {}).values():
                if media == "application/json":
                    validate(document, content["schema"], example["value"], path)


def test_operations_have_ids_of_their_own_tags_and_summaries(document: dict[str, Any]) -> None:
    ids = [one.operation["operationId"] for one in operations(document)]
    assert len(set(ids)) == len(ids)
    tags = {tag["name"] for tag in document["tags"]}
    for _, _, operation in operations(document):
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", operation["operationId"])
        assert set(operation["tags"]) <= tags
        assert operation["summary"].endswith(".")


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in re.findall(r'"\$ref": "#/components/(\w+)/([^"]+)"', json.dumps(document)):
        assert reference[1] in document["components"][reference[0]]


def test_refusals_are_described_with_their_codes(document: dict[str, Any]) -> None:
    known = {error.code for error in error_classes()}
    for path, method, operation in operations(document):
        statuses = operation["responses"]
        assert {"200", "414", "500"} <= set(statuses), path
        for status, given in statuses.items():
            response = resolved(document, given)
            if status[0] in "45":
                codes = response["headers"]["X-Error-Code"]["schema"]["enum"]
                assert set(codes) <= known, (method, path, status)
                for example in response["content"]["application/json"]["examples"].values():
                    validate(document, response["content"]["application/json"]["schema"], example["value"], path)


def test_a_function_without_models_describes_itself() -> None:
    found = document_of(Served("empty", [], False))
    assert "/predict" in found["paths"]
    assert not [path for path in found["paths"] if path.startswith("/v2/models/") and path.endswith("/infer")]
    assert pages.docs(found).status == 200


@pytest.mark.parametrize("access", [(), ("bearer",), ("key", "bearer")], ids=["everybody", "tokens", "keys"])
def test_what_not_everybody_may_ask_says_how_to_prove_who_asks(access: tuple[str, ...]) -> None:
    found = document_of(Served("guarded", [], False, access=access))
    assert tuple(found["components"]["securitySchemes"]) == access
    for path, method, operation in operations(found):
        is_open = not access or operation["x-route"] in PUBLIC
        assert operation.get("security", []) == ([] if is_open else [{proof: []} for proof in access]), (method, path)
        assert ({"401", "403", "429"} <= set(operation["responses"])) is not is_open, (method, path)


def test_models_that_are_called_alike_have_operations_of_their_own() -> None:
    parameters = {"top_k": {"type": "integer", "description": "How many."}}
    record: dict[str, Any] = {
        "family": "tabular",
        "alias": "prod",
        "revision": "0" * 12,
        "description": "",
        "examples": [[1.0]],
    }
    record |= {"kind": "row", "data": {}, "parameters": parameters}
    models = models_of([record | {"model_name": name} for name in ("a-b", "a.b", "a_b")], None)
    ids = [one.operation["operationId"] for one in operations(document_of(Served("alike", models, False)))]
    assert len(set(ids)) == len(ids)


def routes(service: Service) -> Iterator[tuple[str, str]]:
    """Every route with its methods, the function's own and the protocols'."""
    own = {path: route.handlers for path, route in service.routes._own.items()}
    for table in (own, *(service.routes.protocol(name).table for name in module_names())):
        for route, handlers in table.items():
            yield from ((route, method) for method in handlers)


def _somewhere(route: str, model: dict[str, Any]) -> str:
    """A path of the route."""
    place = {"model": model["model_name"], "version": model["revision"], "label": model["alias"]}
    return re.sub(r"\{(\w+)\}", lambda found: place.get(found[1], "x"), route)


def asked(document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> Request:
    """A request of the operation with what its required parameters allow, and no body."""
    query = []
    for given in operation["parameters"]:
        parameter = resolved(document, given)
        value = _value(parameter)
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(value))
        elif parameter["in"] == "query" and (parameter.get("required") or "example" in parameter):
            query += [(parameter["name"], one) for one in (value if isinstance(value, list) else [value])]
    found = request(b"", method=method, target=path)
    found.query = query
    return found


def _value(parameter: dict[str, Any]) -> Any:
    schema = parameter["schema"]
    return parameter.get("example", schema.get("enum", [schema.get("default", "x")])[0])


def examples(document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> Iterator[Request]:
    base = asked(document, path, method, operation)
    body_of = operation.get("requestBody")
    is_lacking = any(
        one.get("required") and one["in"] == "query" and "example" not in one and "enum" not in one["schema"]
        for one in (resolved(document, given) for given in operation["parameters"])
    )
    if (body_of is None or not body_of["required"]) and not is_lacking:
        yield base
    for media, content in (body_of or {"content": {}})["content"].items():
        for example in content.get("examples", {}).values():
            yield _with(base, media, _bytes(media, example["value"]))
        if "x-base64" in content:
            yield _with(base, media, base64.b64decode(content["x-base64"]))


def _with(base: Request, media: str, sent: bytes) -> Request:
    found = request(sent, {"content-type": media}, method=base.method, target=base.path)
    found.query = base.query
    return found


def _bytes(media: str, value: Any) -> bytes:
    if media == "application/json":
        return json.dumps(value).encode()
    if media == "application/x-www-form-urlencoded":
        from urllib.parse import urlencode

        return urlencode(value).encode()
    return str(value).encode()


def check_answer(document: dict[str, Any], operation: dict[str, Any], response: Response, where: str) -> None:
    described = resolved(document, operation["responses"]["200"])
    media = response.headers["Content-Type"]
    assert media in described["content"], where
    for name, given in described["headers"].items():
        header = resolved(document, given)
        if header.get("required"):
            assert name in response.headers, f"{where} lacks {name}"
            jsonschema.validate(response.headers[name], header["schema"])
    if media == "application/json":
        validate(document, described["content"][media]["schema"], body(response), where)


def validate(document: dict[str, Any], schema: dict[str, Any], value: Any, where: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    whole = {**schema, "components": document["components"]}
    error = next(iter(jsonschema.Draft202012Validator(whole).iter_errors(value)), None)
    if error is not None:
        pytest.fail(f"{where}\n{list(error.absolute_path)}: {error.message[:500]}")
