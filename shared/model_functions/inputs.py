"""What ``data`` may be: how one item is told from many, and which items are refused."""

from dataclasses import dataclass
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
        check_characters(path, len(value), self.max_characters, "Send it in parts.")
        if not value.strip():
            raise InvalidInput(path, f"{path} is an empty text. Send at least one word.")
        return value


#: Messages of a chat.
MAX_MESSAGES = 256

Message = dict[str, str]


@dataclass(frozen=True)
class Asked:
    """What a model shall go on with.

    Args:
        path: where in the request it stands.
    """

    path: str
    value: str | list[Message]


class PromptInput:
    """A text, or a chat, which is a list of messages; or a list of texts and chats.

    Args:
        max_characters: of the longest text, or of all messages of a chat.
        chats: whether the model takes them.
    """

    kind = "prompt"

    def __init__(self, max_characters: int = 100_000, max_items: int = MAX_ITEMS, *, chats: bool) -> None:
        self.max_characters = max_characters
        self.max_items = max_items
        self.chats = chats

    def items(self, data: Any) -> tuple[list[Asked], bool]:
        # A message stands for nothing alone: a list that begins with one is a chat.
        if not isinstance(data, list) or (data and isinstance(data[0], dict)):
            return [self._item(data, "data")], True
        check_count(data, self.max_items)
        return [self._item(item, f"data[{index}]") for index, item in enumerate(data)], False

    def from_query(self, values: list[str]) -> str | list[str]:
        return values[0] if len(values) == 1 else values

    def schema(self) -> dict[str, Any]:
        text = {"type": "string", "minLength": 1, "maxLength": self.max_characters}
        if not self.chats:
            return one_or_many(text, self.max_items)
        fields = {"role": {"type": "string", "minLength": 1}, "content": text}
        message = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
        chat = {"type": "array", "items": message, "minItems": 1, "maxItems": MAX_MESSAGES}
        many = {"type": "array", "items": {"anyOf": [text, chat]}, "minItems": 1, "maxItems": self.max_items}
        return {"anyOf": [text, chat, many]}

    def _item(self, value: Any, path: str) -> Asked:
        if isinstance(value, list):
            return Asked(path, self._chat(value, path))
        if not isinstance(value, str):
            way_out = "Send a text, or a chat as a list of messages." if self.chats else "Send a text."
            raise InvalidInput(path, f"{path} is {json_type(value)}. {way_out}")
        if not value:
            raise InvalidInput(path, f"{path} is an empty text. Send at least one character.")
        check_characters(path, len(value), self.max_characters, "Send less of it.")
        return Asked(path, value)

    def _chat(self, messages: list[Any], path: str) -> list[Message]:
        if not self.chats:
            raise InvalidInput(path, f"{path} is a chat, and this model has no chat template. Send a text.")
        if not messages:
            raise InvalidInput(path, f"{path} is a chat without messages. Send at least one.")
        if len(messages) > MAX_MESSAGES:
            raise InvalidInput(path, f"{path} has {len(messages)} messages; the limit is {MAX_MESSAGES}. Send fewer.")
        for index, message in enumerate(messages):
            _check_message(message, f"{path}[{index}]")
        count = sum(len(message["content"]) for message in messages)
        check_characters(path, count, self.max_characters, "Leave out old messages.")
        return messages


def _check_message(message: Any, path: str) -> None:
    shape = 'Send {"role": ROLE, "content": TEXT}.'
    if not isinstance(message, dict):
        raise InvalidInput(path, f"{path} is {json_type(message)}, where a chat has a message. {shape}")
    for name in message:
        if name not in ("role", "content"):
            raise InvalidInput(f"{path}.{name[:60]}", f'"{name[:60]}" is no field of a message. {shape}')
    for name in ("role", "content"):
        if name not in message:
            raise InvalidInput(path, f'{path} has no "{name}". {shape}')
        if not isinstance(message[name], str):
            raise InvalidInput(f"{path}.{name}", f"{path}.{name} is {json_type(message[name])}. Send a string.")
        if not message[name]:
            raise InvalidInput(f"{path}.{name}", f"{path}.{name} is an empty text. Send at least one character.")


def check_characters(path: str, count: int, limit: int, way_out: str) -> None:
    """Refuses what is longer than the limit."""
    if count > limit:
        raise InvalidInput(path, f"{path} has {count} characters; the limit is {limit}. {way_out}")


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
