"""TorchServe's REST API: inference, explanations, and of its management what only reads.

Sources: pytorch/serve, docs/inference_api.md, docs/management_api.md, frontend/server (HttpRequestHandler.java).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model_functions.errors import InvalidInput, ModelNotFound, NotSupported, ServingError, VersionNotFound
from model_functions.http.errors import refused, status_of
from model_functions.http.message import Request, Response
from model_functions.http.protocols.bodies import BodyQuestion, read_body_question
from model_functions.http.question import NOT_JSON, Published, not_json
from model_functions.http.routes import Table
from model_functions.http.service import waiting
from model_functions.loaded import LoadedModel

if TYPE_CHECKING:
    from model_functions.http.service import Service

#: Models of one page of the list, unless the caller says otherwise.
PAGE = 100

_TYPES = {
    400: "BadRequestException",
    404: "ResourceNotFoundException",
    405: "MethodNotAllowedException",
    409: "ConflictStatusException",
    413: "RequestEntityTooLargeException",
    415: "UnsupportedMediaTypeException",
    501: "NotImplementedException",
    503: "ServiceUnavailableException",
    504: "ResponseTimeoutException",
}


def routes(service: "Service") -> Table:
    predict = service.predicting(lambda request: TorchServeQuestion.of(request, service.settings.max_body_bytes))
    # Its documentation sends files with curl -T, which PUTs them.
    asked = {"POST": predict, "PUT": predict}
    explain, describe = service.knowing(not_explained), service.knowing(described)
    return {
        "/": {"OPTIONS": lambda request: Response.json(inference_api(service.name))},
        "/ping": {"GET": ping},
        "/predictions/{model}": asked | {"OPTIONS": waiting(lambda request: prediction_api(service, request))},
        "/predictions/{model}/{version}": asked,
        "/explanations/{model}": {"POST": explain},
        "/explanations/{model}/{version}": {"POST": explain},
        "/models": {"GET": waiting(lambda request: model_list(service, request))},
        "/models/{model}": {"GET": describe},
        "/models/{model}/all": {"GET": describe},
        "/models/{model}/{version}": {"GET": describe},
    }


def refuse(error: ServingError, request: Request) -> Response:
    """``{"code": status, "type": name of an exception, "message": text}``."""
    status = status_of(error)
    kind = "ModelVersionNotFoundException" if isinstance(error, VersionNotFound) else None
    kind = kind or ("ModelNotFoundException" if isinstance(error, ModelNotFound) else None)
    record = {
        "code": status,
        "type": kind or _TYPES.get(status, "InternalServerException"),
        "message": error.message,
    }
    return refused(error, record, status)


def ping(request: Request) -> Response:
    """Whether the instance is alive; SageMaker and MLflow look at the status alone."""
    return Response.json({"status": "Healthy"})


@dataclass(slots=True)
class TorchServeQuestion(BodyQuestion):
    """A stream is an object of JSON a line, each as soon as there is one."""

    stream_type = "application/x-ndjson"

    @classmethod
    def of(cls, request: Request, limit: int) -> "TorchServeQuestion":
        asked = read_body_question(request, limit)
        return cls(None, asked.data, asked.parameters, asked.spelled, raw=asked.raw, whole=asked.whole)

    def events(self, model: LoadedModel, told: Iterator[tuple[str | None, Any]]) -> Iterator[bytes]:
        for kind, piece in told:
            if kind is None:
                yield _line(model, piece)


def _line(model: LoadedModel, piece: Any) -> bytes:
    try:
        return json.dumps(piece, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    except NOT_JSON as exc:
        raise not_json(model, exc) from exc


def not_explained(request: Request, model: Published) -> Response:
    raise NotSupported(f"{model.name} does not explain its predictions. POST to /predictions/{model.name} instead.")


def model_list(service: "Service", request: Request) -> Response:
    """A page of the models, and where the next one begins."""
    query = dict(request.query)
    limit, begin = _number(query, "limit", PAGE, 1), _number(query, "next_page_token", 0, 0)
    names, sees = service.seen_names(request), request.identity.sees
    models = [
        {"modelName": name, "modelUrl": f"{family}/{name}"}
        for name in names[begin : begin + limit]
        for family in [family for family in service.directory().families(name) if sees(family, name)][:1]
    ]
    more = {"nextPageToken": str(begin + limit)} if begin + limit < len(names) else {}
    return Response.json(more | {"models": models})


def described(request: Request, model: Published) -> Response:
    """The one version that is served. A model that is not loaded has no worker yet: the first request makes it."""
    record: dict[str, Any] = {
        "modelName": model.name,
        "modelVersion": model.revision,
        "modelUrl": f"{model.family}/{model.name}",
        "runtime": "python",
        "minWorkers": 0,
        "maxWorkers": 1,
        # What of the requests that wait is read together is decided when it is their turn.
        "batchSize": 1,
        "maxBatchDelay": 0,
        "loadedAtStartup": False,
        "workers": [{"id": "0", "status": "READY", "gpu": False}] if model.is_loaded else [],
    }
    return Response.json([record], headers={"X-Model-Revision": model.revision})


def inference_api(title: str) -> dict[str, Any]:
    """What there is, in OpenAPI 3.0."""
    return _document(
        title,
        {
            "/ping": {"get": _operation("ping", "Whether the instance is alive.")},
            "/predictions/{model_name}": {"post": _asking("predictions", "A model's prediction.")},
            "/predictions/{model_name}/{model_version}": {
                "post": _asking("version_predictions", "The same, of this version.", "model_version")
            },
            "/models": {"get": _operation("listModels", "The models there are.")},
            "/models/{model_name}": {"get": _named("describeModel", "A model's state.")},
        },
    )


def prediction_api(service: "Service", request: Request) -> Response:
    """What a model takes, in OpenAPI 3.0, with its first example."""
    name = request.place["model"]
    for model in service.seen(request):
        if model["model_name"] == name:
            operation = _operation("predictions", model["description"] or "The model's prediction.")
            fields = {"data": {"description": "One item, or a list of them."}, "parameters": {"type": "object"}}
            schema = {"type": "object", "properties": fields, "required": ["data"]}
            content = {"application/json": {"schema": schema, "example": {"data": model["examples"][0]}}}
            asked = operation | {"requestBody": {"required": True, "content": content | _ANYTHING}}
            return Response.json(_document(name, {f"/predictions/{name}": {"post": asked}}))
    request.identity.check(service.family, name)
    raise ModelNotFound(f'No model "{name[:64]}" is published here. GET /models lists the models.')


_ANYTHING: dict[str, Any] = {"*/*": {"schema": {"type": "string", "format": "binary"}}}


def _document(title: str, paths: dict[str, Any]) -> dict[str, Any]:
    return {"openapi": "3.0.1", "info": {"title": title, "version": "1"}, "paths": paths}


def _asking(identifier: str, text: str, *names: str) -> dict[str, Any]:
    return _named(identifier, text, *names) | {"requestBody": {"required": True, "content": _ANYTHING}}


def _named(identifier: str, text: str, *names: str) -> dict[str, Any]:
    parameters = [
        {"in": "path", "name": name, "required": True, "schema": {"type": "string"}} for name in ("model_name", *names)
    ]
    return _operation(identifier, text) | {"parameters": parameters}


def _operation(identifier: str, text: str) -> dict[str, Any]:
    properties = {"code": {"type": "integer"}, "type": {"type": "string"}, "message": {"type": "string"}}
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    answers = {
        "200": {"description": "The answer.", "content": {"application/json": {"schema": {}}}},
        "default": {"description": "What went wrong.", "content": {"application/json": {"schema": schema}}},
    }
    return {"operationId": identifier, "description": text, "responses": answers}


def _number(query: dict[str, str], name: str, default: int, least: int) -> int:
    text = query.get(name, str(default))
    if text.isascii() and text.isdecimal() and len(text) < 10 and int(text) >= least:
        return int(text)
    raise InvalidInput(name, f'"{name}" is "{text[:20]}". Send an integer from {least} on.')
