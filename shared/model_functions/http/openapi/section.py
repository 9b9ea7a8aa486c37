"""A protocol's part of the document: its operations, and how each of them is refused."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model_functions.errors import (
    ArtifactRefused,
    AuthUnavailable,
    BodyTimeout,
    ConfigurationInvalid,
    DeadlineExceeded,
    Forbidden,
    FunctionUnreachable,
    InvalidInput,
    InvalidJson,
    InvalidRequest,
    ModelError,
    ModelNotFound,
    ModelTooLarge,
    ModelUnavailable,
    NotSupported,
    ObjectNotFound,
    Overloaded,
    PayloadTooLarge,
    RateLimited,
    RouteNotFound,
    ServingError,
    Unauthenticated,
    UnsupportedMediaType,
    UriTooLong,
    error_classes,
)
from model_functions.http.message import EVENTS, JSON, Refuse, Request
from model_functions.http.openapi.served import Model, Record, Served, reference
from model_functions.http.permissions import PUBLIC
from model_functions.schemas import string

Errors = Sequence[type[ServingError]]


def _kinds(*roots: type[ServingError]) -> Errors:
    """The errors and what is derived from them."""
    return [error for error in error_classes() if issubclass(error, roots)]


#: Of every route.
ANY: Errors = [ServingError, UriTooLong, InvalidInput]
#: Of what asks the store.
STORE: Errors = [*_kinds(ModelUnavailable), ObjectNotFound, ConfigurationInvalid]
#: Of what not everybody may ask.
GUARDED: Errors = [*_kinds(Unauthenticated), Forbidden, RateLimited, AuthUnavailable]
#: Of what models here do not do, whatever they are asked.
NEVER: Errors = [NotSupported]
#: Of what has a body, and of what has one in JSON.
JSON_BODY: Errors = [*_kinds(InvalidRequest), BodyTimeout, PayloadTooLarge, UnsupportedMediaType]
BODY: Errors = [error for error in JSON_BODY if not issubclass(error, InvalidJson)]
#: Of what only looks a model up.
KNOWING: Errors = [ModelNotFound, DeadlineExceeded, *_kinds(ArtifactRefused), *STORE]
#: Of what loads it.
LOADING: Errors = [ModelTooLarge, *KNOWING]
#: Of what predicts.
ASKING: Errors = [ModelError, Overloaded, *LOADING]

#: How a revision is spelled.
REVISION = "^[0-9a-f]{12}$"

#: What every answer says.
_EVERYWHERE = ("X-Request-Id", "Server-Timing")
#: What an answer says that a model gave.
OF_A_MODEL = ("X-Model-Revision", "X-Model-Engine", "X-Model-Precision", "X-Model-Stale")


@dataclass
class Section:
    """The operations under one tag.

    Args:
        about: what the protocol is, for people.
        refuse: renders its errors.
        error: the JSON Schema of an error's body.
    """

    served: Served
    tag: str
    about: str
    refuse: Refuse
    error: Record
    paths: dict[str, dict[str, Record]] = field(default_factory=dict)
    schemas: dict[str, Record] = field(default_factory=dict)
    responses: dict[str, Record] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.schemas[f"{self._word}Error"] = self.error

    @property
    def _word(self) -> str:
        """The tag where only letters and digits may stand."""
        return re.sub("[^A-Za-z0-9]", "", self.tag)

    def add(
        self,
        method: str,
        route: str,
        summary: str,
        answer: Record,
        errors: Errors,
        *,
        place: Mapping[str, str | Sequence[str]] | None = None,
        parameters: Iterable[Record] = (),
        body: Record | None = None,
        body_required: bool = True,
        description: str = "",
        id: str,  # noqa: A002 - the word of the document
    ) -> None:
        """Describes what a route answers to a method.

        Args:
            route: as the protocol's table has it.
            answer: the responses that are no errors, by status.
            place: for each name of the route what stands there: one word, or those of which one may.
        """
        path, placed = _placed(route, place or {})
        if self.served.is_gateway and ModelNotFound in errors:
            errors = [*errors, FunctionUnreachable]
        if placed:
            # What stands for the parameter may be no single part of a path.
            errors = [*errors, RouteNotFound]
        operation: Record = {"operationId": id, "tags": [self.tag], "summary": summary, "x-route": route}
        operation |= {"description": description} if description else {}
        given = [*placed, *parameters, reference("parameters", "X-Request-Id")]
        given += [reference("parameters", "X-Request-Timeout-Ms")] if DeadlineExceeded in errors else []
        operation["parameters"] = given
        if body is not None:
            operation["requestBody"] = {"required": body_required, "content": body}
        if self.served.access and route not in (*PUBLIC, self.served.health_route):
            operation["security"] = [{proof: []} for proof in self.served.access]
            errors = [*errors, *GUARDED]
        operation["responses"] = answer | self._refusals({*ANY, *errors})
        self.paths.setdefault(path, {})[method.lower()] = operation

    def ask(
        self,
        route: str,
        summary: str,
        told: Record,
        model: Model,
        body: Record,
        *,
        id: str,  # noqa: A002
        also: Record | None = None,
        place: Mapping[str, str | Sequence[str]] | None = None,
        parameters: Iterable[Record] = (),
        description: str = "",
    ) -> None:
        """Describes what a route of one model answers to a POST.

        Args:
            told: the answer's schema.
            also: other media types of the answer.
            id: without the model's name.
        """
        self.add(
            "POST",
            route,
            summary,
            answer(told, of_a_model=True, also=also),
            [*ASKING, *JSON_BODY],
            place={"model": model.name, "version": model.versions, "label": [model.record["alias"]], **(place or {})},
            parameters=parameters,
            body=body,
            description=description,
            id=operation_id(id, model.name),
        )

    def tell(
        self,
        route: str,
        summary: str,
        told: Record,
        errors: Errors,
        *,
        id: str,  # noqa: A002
        method: str = "GET",
        who: Sequence[str] = (),
        body: Record | None = None,
        place: Mapping[str, str | Sequence[str]] | None = None,
        parameters: Iterable[Record] = (),
        each: bool = False,
    ) -> None:
        """Describes what a route answers that predicts nothing, of any model if it names one.

        Args:
            who: headers that say which model answers.
            each: whether each model's path stands for itself, because others of its methods do.
        """
        if each:
            for model in self.served.models:
                here = {"model": model.name, **(place or {})}
                self.tell(
                    *(route, summary, told, errors),
                    id=operation_id(id, model.name),
                    method=method,
                    who=who,
                    place=here,
                )
            return
        self.add(
            method,
            route,
            summary,
            answer(told, who=who),
            errors,
            place={**self.served.places, **(place or {})},
            parameters=parameters,
            body=body,
            body_required=False,
            id=id,
        )

    def _refusals(self, errors: Iterable[type[ServingError]]) -> Record:
        """By status, as the protocol renders them."""
        asked = Request("POST", "/", [], {}, read=lambda size: b"", id="6f1d0c3b9a5e4f27")
        found: dict[str, dict[str, Any]] = {}
        for error in sorted(errors, key=lambda error: error.code):
            told = self.refuse(_sample(error), asked)
            found.setdefault(str(told.status), {})[error.code] = json.loads(told.body)
        return {status: self._shared(status, examples) for status, examples in sorted(found.items())}

    def _shared(self, status: str, examples: dict[str, Any]) -> Record:
        """A reference to the response that all operations have which are refused so."""
        codes = sorted(examples)
        own = ("Retry-After",) if any(code in RETRIED for code in codes) else ()
        error = reference("schemas", f"{self._word}Error")
        response = {
            "description": ", ".join(codes),
            "headers": headers(*own) | {"X-Error-Code": {"required": True, "schema": {"enum": codes}}},
            "content": {JSON: {"schema": error, "examples": {code: {"value": examples[code]} for code in codes}}},
        }
        names = (f"{self._word}{status}{more}" for more in ("", *(f"-{place}" for place in range(2, 100))))
        name = next(name for name in names if self.responses.setdefault(name, response) == response)
        return reference("responses", name)


#: Codes of errors that say when to come back.
RETRIED = {
    *("model_unavailable", "overloaded", "store_unavailable", "insufficient_memory", "function_unreachable"),
    *("rate_limited", "auth_unavailable"),
}


def answer(
    schema: Record,
    description: str = "The answer.",
    *,
    of_a_model: bool = False,
    who: Sequence[str] = (),
    also: Record | None = None,
) -> Record:
    """A response of status 200 in JSON.

    Args:
        also: other media types that it may have.
    """
    names = OF_A_MODEL if of_a_model else who
    content = {JSON: {"schema": schema}} | (also or {})
    return {"200": {"description": description, "headers": headers(*names), "content": content}}


def events(description: str) -> Record:
    """The content of a streamed answer: the schema is that of each event."""
    event = {"event": string(), "data": string(description="JSON, or [DONE].")}
    return {EVENTS: {"schema": {"type": "object", "properties": event, "description": description}}}


def headers(*more: str) -> Record:
    return {name: reference("headers", name) for name in (*_EVERYWHERE, *more)}


def json_body(schema: Record, examples: Mapping[str, Any]) -> Record:
    """The content of a request in JSON."""
    return {JSON: {"schema": schema, "examples": {name: {"value": value} for name, value in examples.items()}}}


def operation_id(*words: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", "_".join(word for word in words if word)).strip("_")


def _placed(route: str, place: Mapping[str, str | Sequence[str]]) -> tuple[str, list[Record]]:
    """The path, and the parameters that are left in it."""
    path, parameters = route, []
    for name in re.findall(r"\{(\w+)\}", route):
        given = place[name]
        if isinstance(given, str):
            path = path.replace(f"{{{name}}}", given)
            continue
        facts: Record = {"schema": string(enum=list(given))} if given else {"schema": string(minLength=1)}
        facts |= {} if given else {"example": f"my-{name}"}
        parameters.append({"name": name, "in": "path", "required": True, **facts})
    return path, parameters


def _sample(error: type[ServingError]) -> ServingError:
    if issubclass(error, InvalidInput):
        return error("data[2]", "What is wrong, with the value, and what to send instead.")
    return error("What is wrong, and what to do.", retry_after=2 if error.code in RETRIED else None)
