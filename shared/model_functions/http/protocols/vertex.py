"""Vertex AI: what its platform asks of a custom container, and its own prediction API, so that its clients call us.

An endpoint is a model. The container's routes are those of ``AIP_PREDICT_ROUTE`` and ``AIP_HEALTH_ROUTE``.
Sources: Vertex AI's custom-container-requirements; googleapis, google/cloud/aiplatform/v1/prediction_service.proto.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from model_functions.errors import InvalidInput, NotSupported, ServingError
from model_functions.http.body import parse_json, read_json
from model_functions.http.errors import refused, status_of
from model_functions.http.message import EVENTS, JSON, Request, Response
from model_functions.http.prediction import parameters_field
from model_functions.http.protocols.tensorflow_serving import RowQuestion
from model_functions.http.protocols.wording import in_words
from model_functions.http.question import Published, answer_json, finite_event
from model_functions.http.routes import Table
from model_functions.inputs import json_type
from model_functions.loaded import LoadedModel
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
    table: dict[str, Any] = {
        endpoint: {"GET": service.knowing(endpoint_resource)},
        f"{endpoint}:predict": {"POST": service.predicting(lambda asked: read(asked, limit, OuterQuestion))},
        f"{endpoint}:rawPredict": {
            "POST": service.predicting(lambda asked: read_raw(asked, limit, RawQuestion, WrappedQuestion))
        },
        f"{endpoint}:streamRawPredict": {
            "POST": service.predicting(lambda asked: read_raw(asked, limit, StreamQuestion, WrappedStreamQuestion))
        },
        f"{endpoint}:explain": {"POST": service.knowing(not_explained)},
    }
    if settings.predict_route is not None:
        predict = service.predicting(lambda asked: read(asked, limit, VertexQuestion))
        table.setdefault(settings.predict_route, {})["POST"] = predict
    if settings.health_route is not None:
        table.setdefault(settings.health_route, {})["GET"] = lambda request: healthy(service, request)
    return table


def healthy(service: "Service", request: Request) -> Response:
    service.health(request)
    return Response.json({})


def refuse(error: ServingError, request: Request) -> Response:
    """As Google's APIs do: ``{"error": {"code", "message", "status", "details"}}``."""
    status = status_of(error)
    reason = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": error.code.upper(),
        "domain": "model-functions",
        "metadata": {"request_id": request.id},
    }
    record = {
        "code": status,
        "message": in_words(error.message, "instances", {}),
        "status": _STATUSES.get(status, "INTERNAL"),
        "details": [reason],
    }
    return refused(error, {"error": record}, status)


def read(request: Request, limit: int, kind: type["VertexQuestion"]) -> "VertexQuestion":
    return kind.of(request, _checked(read_json(request, limit)))


def read_raw(
    request: Request, limit: int, kind: type["VertexQuestion"], wrapped_kind: type["VertexQuestion"]
) -> "VertexQuestion":
    """The same for a container's own body. Google's clients without gRPC wrap it as a ``google.api.HttpBody``, and
    want the answer so.
    """
    body = read_json(request, limit, ["application/octet-stream"])
    if not isinstance(body, dict) or set(body) != {"httpBody"}:
        return kind.of(request, _checked(body))
    try:
        own = base64.b64decode(body["httpBody"]["data"], validate=True)
    except (TypeError, KeyError, ValueError) as exc:
        raise InvalidInput("httpBody", '"httpBody.data" is no base64. Send the JSON itself.') from exc
    return wrapped_kind.of(request, _checked(parse_json(own)))


def _checked(body: Any) -> dict[str, Any]:
    """The body, with its parameters."""
    if not isinstance(body, dict) or "instances" not in body:
        what = "has no instances" if isinstance(body, dict) else f"is {json_type(body)}"
        raise InvalidInput("instances", f'The body {what}. Send {{"instances": [ITEM, …]}}.')
    instances = body["instances"]
    if not isinstance(instances, list) or not instances:
        what = "an empty list" if instances == [] else json_type(instances)
        raise InvalidInput("instances", f'"instances" is {what}. Send a list of items.')
    # Private endpoints' clients send null.
    return body | {"parameters": parameters_field(body)}


@dataclass(slots=True)
class VertexQuestion(RowQuestion):
    """What the platform asks a container.

    Args:
        place: the names in the path.
    """

    place: dict[str, str]

    @classmethod
    def of(cls, request: Request, body: dict[str, Any]) -> "VertexQuestion":
        return cls(None, body["instances"], body["parameters"], dict(request.place))

    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        return answer_json(model, {"predictions": prediction})


@dataclass(slots=True)
class OuterQuestion(VertexQuestion):
    """What a client asks an endpoint: the answer tells which model gave it."""

    @classmethod
    def of(cls, request: Request, body: dict[str, Any]) -> "OuterQuestion":
        # The clients' messages know no integers, and send 1.0.
        parameters = {name: _whole(value) for name, value in body["parameters"].items()}
        return cls(None, _whole(body["instances"]), parameters, dict(request.place))

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
            # A header cannot hold whatever a path can.
            "X-Vertex-AI-Model": quote(_resource(self.place, "models", manifest.name)),
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


@dataclass(slots=True)
class WrappedQuestion(RawQuestion):
    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        response = RawQuestion.answer(self, model, prediction)
        return Response(200, _wrapped(response.body, JSON), response.headers)


@dataclass(slots=True)
class WrappedStreamQuestion(StreamQuestion):
    """A list of JSON, whose items come one by one."""

    stream_type = JSON

    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        response = RawQuestion.answer(self, model, prediction)
        return Response(200, b"[" + _wrapped(response.body, JSON) + b"]", response.headers)

    def events(self, model: LoadedModel, told: Iterator[tuple[str | None, Any]]) -> Iterator[bytes]:
        before = b"["
        for event in StreamQuestion.events(self, model, told):
            yield before + _wrapped(event, EVENTS)
            before = b","
        yield b"]"


def _wrapped(body: bytes, media_type: str) -> bytes:
    return json.dumps({"contentType": media_type, "data": base64.b64encode(body).decode()}).encode()


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


def _whole(value: Any) -> Any:
    """The same with integers for the numbers that are whole."""
    if isinstance(value, list):
        return [_whole(one) if isinstance(one, float | list | dict) else one for one in value]
    if isinstance(value, dict):
        return {name: _whole(one) for name, one in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _resource(place: Any, kind: str, name: str) -> str:
    return f"projects/{place['project']}/locations/{place['location']}/{kind}/{name}"
