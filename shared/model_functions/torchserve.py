"""TorchServe's custom handlers, initialized once by the publisher: they serve from memory, without their archive."""

from collections.abc import Mapping
from typing import Any

from model_functions.errors import InvalidInput, ModelError
from model_functions.inputs import MAX_ITEMS, check_count
from model_functions.legacy import plain
from model_functions.wrapper import ModelWrapper

#: How an item reaches the handler as ``{"body": …}``: a text as TorchServe's raw bodies come, or as JSON has it.
FORMS = ("bytes", "json")


class RequestInput:
    """Whatever the handler reads: one item or a list of items, each a request's body.

    Args:
        kind: the page's form: ``text`` where the example is one, else ``json``.
    """

    def __init__(self, kind: str, max_items: int = MAX_ITEMS) -> None:
        self.kind = kind
        self.max_items = max_items

    def items(self, data: Any) -> tuple[list[Any], bool]:
        if not isinstance(data, list):
            return [data], True
        check_count(data, self.max_items)
        return data, False

    def from_query(self, values: list[str]) -> Any:
        return values[0] if len(values) == 1 else values

    def schema(self) -> dict[str, Any]:
        return {"description": "A request's body as the handler reads it, or a list of them."}


class HandlerWrapper(ModelWrapper):
    """A prediction is what the handler answers to the item.

    Args:
        handler: initialized; has ``handle``.
        family: whose function serves it.
        form: one of FORMS.
    """

    family = ""
    task = "torchserve"
    reads_bodies = True

    def __init__(self, handler: Any, context: Any, family: str, form: str, *, kind: str = "json") -> None:
        super().__init__(RequestInput(kind))
        # The class serves several families: each of its objects is of one.
        vars(self)["family"] = family
        self.handler = handler
        self.context = context
        self.form = form

    def preprocess(self, items: list[Any], parameters: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"body": item.encode() if self.form == "bytes" and isinstance(item, str) else item} for item in items]

    def forward(self, features: list[dict[str, Any]], parameters: dict[str, Any]) -> list[Any]:
        answers = self.handler.handle(features, self.context)
        if not isinstance(answers, list | tuple) or len(answers) != len(features):
            raise ModelError(f"The handler gave no list of {len(features)} answers, one a request.")
        status, reason = self.context.take_status()
        if 400 <= status < 500:
            raise InvalidInput("data", f"The handler answered with status {status}: {reason}")
        if status >= 500:
            raise ModelError(f"The handler answered with status {status}: {reason}")
        return list(answers)

    def postprocess(self, outputs: list[Any], parameters: dict[str, Any]) -> list[Any]:
        return [plain(output) for output in outputs]

    def __getstate__(self) -> dict[str, Any]:
        # Imported here: only the publisher stores a handler.
        from model_functions.engines import torch_handler

        return vars(self) | {"handler": torch_handler.stored(self.handler)}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        self.handler = self.handler.restored()
