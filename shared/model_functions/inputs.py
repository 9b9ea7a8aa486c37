"""What ``data`` may be: how one item is told from many, and which items are refused."""

from typing import Any, Protocol

from model_functions.errors import InvalidInput

#: Items in one request, unless a publisher says otherwise.
MAX_ITEMS = 32


class Input(Protocol):
    kind: str
    """``text``, ``row``, ``image`` …: which form the page shows."""

    def items(self, data: Any) -> tuple[list[Any], bool]:
        """The items, and whether ``data`` was a single one. Raises InvalidInput."""

    def from_query(self, values: list[str]) -> Any:
        """``data`` as a query string spells it, once for each ``data=`` that was given."""

    def schema(self) -> dict[str, Any]:
        """A JSON Schema of ``data``."""


class TextInput:
    """A string, or a list of strings.

    Args:
        max_characters: the longest text, counted before anything else looks at it.
    """

    kind = "text"

    def __init__(self, max_characters: int = 10_000, max_items: int = MAX_ITEMS) -> None:
        self.max_characters = max_characters
        self.max_items = max_items

    def items(self, data: Any) -> tuple[list[str], bool]:
        if not isinstance(data, list):
            return [self._text(data, "data")], True
        check_count(data, self.max_items)
        return [self._text(text, f"data[{index}]") for index, text in enumerate(data)], False

    def from_query(self, values: list[str]) -> str | list[str]:
        return values[0] if len(values) == 1 else values

    def schema(self) -> dict[str, Any]:
        text = {"type": "string", "minLength": 1, "maxLength": self.max_characters}
        return one_or_many(text, self.max_items)

    def _text(self, value: Any, path: str) -> str:
        if not isinstance(value, str):
            raise InvalidInput(path, f"{path} is {json_type(value)}. Send a string, or a list of strings.")
        if len(value) > self.max_characters:
            raise InvalidInput(
                path, f"{path} has {len(value)} characters; the limit is {self.max_characters}. Send it in parts."
            )
        if not value.strip():
            raise InvalidInput(path, f"{path} is an empty text. Send at least one word.")
        return value


def one_or_many(item: dict[str, Any], max_items: int) -> dict[str, Any]:
    """The JSON Schema of an item or a list of items."""
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1, "maxItems": max_items}]}


def check_count(items: list[Any], limit: int) -> None:
    """Refuses a list that is empty or too long."""
    if not items:
        raise InvalidInput("data", "data is an empty list. Send at least one item.")
    if len(items) > limit:
        raise InvalidInput("data", f"data has {len(items)} items; the limit is {limit}. Send fewer per request.")


def json_type(value: Any) -> str:
    """What a JSON value is, as a message says it."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)
