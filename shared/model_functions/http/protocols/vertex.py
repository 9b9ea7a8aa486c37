"""Vertex AI: what its platform asks of a custom container, and its own prediction API, so that its clients call us.

An endpoint is a model. The container's routes are those of ``AIP_PREDICT_ROUTE`` and ``AIP_HEALTH_ROUTE``.
Sources: Vertex AI's custom-container-requirements; googleapis, google/cloud/aiplatform/v1/prediction_service.proto.
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model_functions.cache import LoadedModel
from model_functions.errors import InvalidInput, NotSupported, ServingError
from model_functions.http.body import parse_json, read_json
from model_functions.http.message import Request, Response
from model_functions.http.protocols.tensorflow_serving import RowQuestion
from model_functions.http.question import Published, answer_json, finite_event
from model_functions.http.routes import Table
from model_functions.inputs import json_type
from model_functions.wrapper import ModelWrapper

if TYPE_CHECKING:
    from model_functions.http.service import Service

#: google.rpc.Code's names by HTTP status.
_STATUSES = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    414: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    405: "UNIMPLEMENTED",
    406: "INVALID_ARGUMENT",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def routes(service: "Service") -> Table:
    limit, settings = service.settings.max_body_bytes, service.settings
    endpoint = "/v1/projects/{project}/locations/{location}/endpoints/{model}"
    raw = service.predicting(lambda request: RawQuestion.of(request, read_raw(request, limit)))
    table: dict[str, Any] = {
        endpoint: {"GET": service.knowing(endpoint_resource)},
        f"{endpoint}:predict": {"POST": service.predicting(lambda asked: OuterQuestion.of(asked, read(asked, limit)))},
        f"{endpoint}:rawPredict": {"POST": raw},
        f"{endpoint}:streamRawPredict": {
            "POST": service.predicting(lambda request: StreamQuestion.of(request, read_raw(request, limit)))
        },
        f"{endpoint}:explain": {"POST": service.knowing(not_explained)},
    }
    if settings.predict_route is not None:
        asked = service.predicting(lambda request: VertexQuestion.of(request, read(request, limit)))
        table.setdefault(settings.predict_route, {})["POST"] = asked
    if settings.health_route is not None:
        table.setdefault(settings.health_route, {})["GET"] = lambda request: Response.json({})
    return table


def refuse(error: ServingError, request: Request) -> Response:
    """As Google's APIs do: ``{"error": {"code", "message", "status", "details"}}``."""
    status = 400 if isinstance(error, InvalidInput) else error.status
    reason = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": error.code.upper(),
        "domain": "model-functions",
        "metadata": {"request_id": request.id},
    }
    record = {
        "code": status,
        "message": error.message,
        "status": _STATUSES.get(status, "INTERNAL"),
        "details": [reason],
    }
    return Response.json({"error": record}, status, {"X-Error-Code": error.code} | error.headers)


def read(request: Request, limit: int) -> dict[str, Any]:
    return _checked(read_json(request, limit))


def read_raw(request: Request, limit: int) -> dict[str, Any]:
    """The same for a container's own body, which clients without gRPC may wrap as a ``google.api.HttpBody``."""
    body = read_json(request, limit, ["application/octet-stream"])
    if isinstance(body, dict) and set(body) == {"httpBody"}:
        wrapped = body["httpBody"]
        try:
            body = parse_json(base64.b64decode(wrapped["data"], validate=True))
        except (TypeError, KeyError, ValueError, binascii.Error) as exc:
            raise InvalidInput("httpBody", '"httpBody" has no "data" in base64. Send the JSON itself.') from exc
    return _checked(body)


def _checked(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict) or "instances" not in body:
        what = "has no instances" if isinstance(body, dict) else f"is {json_type(body)}"
        raise InvalidInput("instances", f'The body {what}. Send {{"instances": [ITEM, …]}}.')
    instances, parameters = body["instances"], body.get("parameters")
    if not isinstance(instances, list) or not instances:
        what = "an empty list" if instances == [] else json_type(instances)
        raise InvalidInput("instances", f'"instances" is {what}. Send a list of items.')
    # Private endpoints' clients send null.
    if parameters is not None and not isinstance(parameters, dict):
        raise InvalidInput("parameters", f'"parameters" is {json_type(parameters)}. Send an object by name.')
    return body


@dataclass(slots=True)
class VertexQuestion(RowQuestion):
    """What the platform asks a container.

    Args:
        place: the names in the path.
    """

    place: dict[str, str]

    @classmethod
    def of(cls, request: Request, body: dict[str, Any]) -> "VertexQuestion":
        return cls(None, body["instances"], body.get("parameters") or {}, dict(request.place))

    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        return answer_json(model, {"predictions": prediction})


@dataclass(slots=True)
class OuterQuestion(VertexQuestion):
    """What a client asks an endpoint: the answer tells which model gave it."""

    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        manifest = model.manifest
        told = {
            "predictions": prediction,
            "deployedModelId": manifest.revision,
            "model": _resource(self.place, "models", manifest.name),
            "modelVersionId": manifest.revision,
            "modelDisplayName": manifest.name,
        }
        return answer_json(model, told)


@dataclass(slots=True)
class RawQuestion(VertexQuestion):
    """What a client asks past the endpoint: the answer is the container's own."""

    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        manifest = model.manifest
        headers = {
            "X-Vertex-AI-Deployed-Model-Id": manifest.revision,
            "X-Vertex-AI-Model": _resource(self.place, "models", manifest.name),
            "X-Vertex-AI-Model-Version-Id": manifest.revision,
        }
        return answer_json(model, {"predictions": prediction}, headers)


@dataclass(slots=True)
class StreamQuestion(RawQuestion):
    """The same piece by piece, where the model has pieces."""

    def wants_stream(self, wrapper: ModelWrapper) -> bool:
        return wrapper.streams

    def events(self, model: LoadedModel, told: Iterator[tuple[str | None, Any]]) -> Iterator[bytes]:
        for kind, value in told:
            yield finite_event(model, kind, value if kind is None else {"predictions": value})


def endpoint_resource(request: Request, model: Published) -> Response:
    """What the SDK reads of an endpoint before it asks it."""
    deployed = {
        "id": model.revision,
        "model": _resource(request.place, "models", model.name),
        "modelVersionId": model.revision,
        "displayName": model.name,
    }
    name = _resource(request.place, "endpoints", model.name)
    record = {"name": name, "displayName": model.name, "deployedModels": [deployed]}
    return Response.json(record | {"trafficSplit": {model.revision: 100}})


def not_explained(request: Request, model: Published) -> Response:
    raise NotSupported(f"{model.name} does not explain its predictions. POST to :predict instead.")


def _resource(place: Any, kind: str, name: str) -> str:
    return f"projects/{place['project']}/locations/{place['location']}/{kind}/{name}"
