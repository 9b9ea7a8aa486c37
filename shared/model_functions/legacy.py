"""Wrappers of an older way: any class with ``predict``, maybe with ``prepare_data``, that serves as it is.

Such a class answers ``{"statusCode": 200, "body": …}``, and was often defined in ``__main__``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model_functions.errors import (
    DeadlineExceeded,
    InvalidInput,
    InvalidRequest,
    ModelError,
    ModelUnavailable,
    PayloadTooLarge,
    ServingError,
    UnsupportedMediaType,
)
from model_functions.wrapper import ModelWrapper

#: How a wrapper may be called, in the words of the manifest: the argument of ``predict``.
CALLS = ("data", "prepare_data(data)", '{"data": data}', 'prepare_data({"data": data})')

#: What a status of the old wrapper becomes; one that is not here is the caller's error below 500, else the model's.
_ERRORS: dict[int, type[ServingError]] = {
    400: InvalidRequest,
    413: PayloadTooLarge,
    415: UnsupportedMediaType,
    503: ModelUnavailable,
    504: DeadlineExceeded,
}
_LONGEST_REASON = 300


class RawInput:
    """Whatever the old wrapper took, as it is; a list goes to it whole.

    Args:
        kind: the page's form: ``text`` where the example is one, else ``json``.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def items(self, data: Any) -> tuple[list[Any], bool]:
        return [data], True

    def from_query(self, values: list[str]) -> Any:
        return values[0] if len(values) == 1 else values

    def schema(self) -> dict[str, Any]:
        return {"description": "Whatever the wrapper took before it was published here."}


class LegacyWrapper(ModelWrapper):
    """Serves an older wrapper's ``body`` as the prediction.

    Args:
        wrapped: has ``predict``, and maybe ``prepare_data``.
        family: whose function serves it: the one that has what the wrapped model needs.
        call: one of CALLS.
    """

    family = ""
    task = "legacy"

    def __init__(self, wrapped: Any, family: str, call: str, *, engine_name: str, kind: str = "json") -> None:
        super().__init__(RawInput(kind))
        # The class serves several families: each of its objects is of one.
        vars(self).update(family=family, engine_name=engine_name)
        self.wrapped = wrapped
        self.call = call

    def preprocess(self, items: list[Any], parameters: dict[str, Any]) -> list[Any]:
        return items

    def forward(self, features: list[Any], parameters: dict[str, Any]) -> list[Any]:
        return [self._answer(data) for data in features]

    def postprocess(self, outputs: list[Any], parameters: dict[str, Any]) -> list[Any]:
        return [plain(body(output)) for output in outputs]

    def _answer(self, data: Any) -> Any:
        argument = {"data": data} if "{" in self.call else data
        if self.call.startswith("prepare_data"):
            argument = self.wrapped.prepare_data(argument)
        return self.wrapped.predict(argument)


def body(answer: Any) -> Any:
    """The ``body`` of an answer; an answer that has no status is the body itself.

    Raises the error that the answer's status means.
    """
    if not isinstance(answer, Mapping) or "statusCode" not in answer:
        return answer
    status = int(answer["statusCode"])
    if 200 <= status < 300:
        return answer.get("body")
    reason = f"The model answered with status {status}: {str(answer.get('body'))[:_LONGEST_REASON]}"
    if status in _ERRORS:
        raise _ERRORS[status](reason)
    raise InvalidInput("data", reason) if 400 <= status < 500 else ModelError(reason)


def plain(value: Any) -> Any:
    """A value with the arrays and tensors in it as JSON has them."""
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(part) for part in value]
    if hasattr(value, "tolist") and not isinstance(value, str):
        return value.tolist()
    return value
