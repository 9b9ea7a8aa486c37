"""What a request asks of a model, whatever protocol it is asked in: the record between the protocols and the models."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from model_functions.errors import ModelError, VersionNotFound
from model_functions.http.message import EVENTS, Response
from model_functions.http.streaming import event
from model_functions.loaded import LoadedModel
from model_functions.wrapper import ModelWrapper, Prepared

#: How a value says that it is none of JSON's: a NaN, an object, half a surrogate pair, a list within itself.
NOT_JSON = (ValueError, TypeError, RecursionError)


@dataclass(slots=True)
class Question(ABC):
    """A protocol's subclass says how it is read, which the model's wrapper may decide, and how it is answered.

    Args:
        model_name: None: the default model.
        data: as ``predict`` takes it.
    """

    model_name: str | None
    data: Any
    parameters: dict[str, Any]

    as_tensors: ClassVar[bool] = False
    """Whether the prediction is wanted as arrays by name (``ModelWrapper.finish_tensors``)."""

    stream_type: ClassVar[str] = EVENTS
    """The media type of a stream."""

    def read(self, wrapper: ModelWrapper) -> tuple[Any, dict[str, Any]]:
        """Data and parameters. Raises InvalidInput."""
        return self.data, self.parameters

    def prepared(self, prepared: Prepared) -> None:  # noqa: B027 - most have no use for it
        """Is told what the model reads of it, before it reads it."""

    def wants_stream(self, wrapper: ModelWrapper) -> bool:
        """Whether the answer is asked for piece by piece. Raises NotAcceptable for a model that has no pieces."""
        return False

    @abstractmethod
    def answer(self, model: LoadedModel, prediction: Any) -> Response:
        """Raises ModelError for a number that the protocol cannot tell."""

    def events(self, model: LoadedModel, told: Iterator[tuple[str | None, Any]]) -> Iterator[bytes]:
        """The chunks of a stream.

        Args:
            told: the pieces without a name, then the prediction as the ``answer``.
        """
        for kind, value in told:
            yield finite_event(model, kind, value)


def finite_event(model: LoadedModel, kind: str | None, value: Any) -> bytes:
    """Raises ModelError for what JSON does not have."""
    try:
        return event(kind, value)
    except NOT_JSON as exc:
        raise not_json(model, exc) from exc


def answer_json(model: LoadedModel, value: Any, headers: Mapping[str, str] | None = None) -> Response:
    """The value, with who gave it in the headers. Raises ModelError for what JSON does not have."""
    try:
        return Response.json(value, headers=headers_of(model) | dict(headers or {}))
    except NOT_JSON as exc:
        raise not_json(model, exc) from exc


def headers_of(model: LoadedModel) -> dict[str, str]:
    """Who answers, and what computed it on this very instance."""
    engine = model.manifest.here.engine
    headers = {
        "X-Model-Revision": model.manifest.revision,
        "X-Model-Engine": engine.name,
        "X-Model-Precision": engine.precision,
    }
    if model.freshness.is_stale:
        headers["X-Model-Stale"] = "true"
    return headers


def not_json(model: LoadedModel, exc: Exception) -> ModelError:
    if isinstance(exc, ValueError) and not isinstance(exc, UnicodeError):
        return not_finite(model)
    return ModelError(f"{model.manifest.name} answered with what JSON does not have. Report the input to its owner.")


def not_finite(model: LoadedModel) -> ModelError:
    return ModelError(
        f"{model.manifest.name} answered with a number that is not finite. Report the input to its owner."
    )


@dataclass(frozen=True)
class Published:
    """A model that is there to be asked, loaded or not."""

    name: str
    family: str
    alias: str
    revision: str
    is_loaded: bool


def version_number(revision: str) -> int:
    """The revision where a protocol wants a number."""
    return int(revision, 16)


def check_version(place: Mapping[str, str], name: str, revision: str, alias: str) -> None:
    """Refuses a path that asks for another revision than the one that is served. Raises VersionNotFound."""
    asked, label = place.get("version"), place.get("label")
    if asked is not None and asked not in (revision, str(version_number(revision))):
        raise VersionNotFound(
            f'{name} has no version "{asked[:40]}" here. It serves {revision}, as a number {version_number(revision)}.'
        )
    if label is not None and label != alias:
        raise VersionNotFound(f'{name} has no label "{label[:40]}" here. It serves "{alias}".')
