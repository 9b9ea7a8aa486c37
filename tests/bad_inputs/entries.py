"""What an entry of the corpus is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from model_functions.families.image_classification import GREY_SQUARE

INVALID = "invalid_input"
JSON = "application/json"

#: Bytes of a body that a function under test takes: less than the default, so that the corpus stays small.
LIMIT = 8 * 1024 * 1024

#: What a family's items are.
KINDS = ("text", "image", "row", "tensor")

#: What every function of the corpus predicts before and after an entry; the canary's text is short for all models.
GOOD: dict[str, Any] = {
    "token_classification": "anna lives in berlin",
    "text_classification": "anna works",
    "translation": "anna lives in berlin",
    "summarization": "anna lives in berlin",
    "text_generation": "hello world",
    "feature_extraction": "anna",
    "image_classification": GREY_SQUARE,
    "tabular": [0.5, 1.0, 2.0],
    "onnx": [0.5, -1.0, 2.0],
    "pytorch": [0.5, -1.0, 2.0],
}


def kind_of(family: str) -> str:
    kinds = {"image_classification": "image", "tabular": "row", "onnx": "tensor", "pytorch": "tensor"}
    return kinds.get(family, "text")


@dataclass(frozen=True)
class Raw:
    """A body as it stands, at the path of a prediction.

    Args:
        code: None: it may be answered, or refused as invalid_input.
        kinds: of the families that it is for.
        protocols: None: all.
    """

    id: str
    body: bytes
    code: str | None
    headers: dict[str, str] = field(default_factory=dict)
    kinds: tuple[str, ...] = KINDS
    protocols: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Asked:
    """Data and parameters, as each protocol puts them.

    Args:
        code: None: it may be answered, or refused as invalid_input.
        families: None: all of the kind that the list is for.
        protocols: None: all.
    """

    id: str
    data: Any = "hello world"
    code: str | None = INVALID
    parameters: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    families: tuple[str, ...] | None = None
    protocols: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Told:
    """What a connection must answer.

    Args:
        statuses: one of them; none: nothing comes, or the connection ends.
        code: None: the server in front of us speaks, or the answer is no refusal.
        headers: what they hold; None: there is no such header.
        count: of answers.
    """

    statuses: tuple[int, ...]
    code: str | None = None
    headers: dict[str, str | None] = field(default_factory=dict)
    count: int = 1


@dataclass(frozen=True)
class Wire:
    """Bytes on a connection.

    Args:
        sent: made of the body of a request that is answered with 200.
        asgi: None: the same as by Flask.
        ends: whether the caller then closes its half of the connection; uvicorn takes that for the whole.
        takes: seconds that the answer may take, where waiting or sending is the point.
    """

    id: str
    sent: Callable[[bytes], bytes]
    flask: Told
    asgi: Told | None = None
    ends: bool = False
    takes: float | None = None
    lacks: bytes | None = None


def served(*statuses: int, **headers: str | None) -> Told:
    return Told(statuses, None, {name.replace("_", "-"): value for name, value in headers.items()})


def by_server(*statuses: int) -> Told:
    """gunicorn or uvicorn refuses it, in HTML or plain text: none of us is asked."""
    return Told(statuses)


def refused(status: int, code: str, **headers: str | None) -> Told:
    return Told((status,), code, {name.replace("_", "-"): value for name, value in headers.items()})


#: Nothing comes: the server waits for more, or hangs up.
SILENCE = Told(())
