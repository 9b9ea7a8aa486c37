"""What ``data`` may be: how one item is told from many, and which items are refused."""

from dataclasses import dataclass, field
from typing import Any, Protocol
from unicodedata import combining

from model_functions.errors import InvalidInput

#: Marks in a row: UAX #15, stream-safe text format.
MAX_MARKS = 30

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
        check_marks(path, value)
        return value


#: Messages of a chat.
MAX_MESSAGES = 256

Message = dict[str, str]


@dataclass(frozen=True)
class Asked:
    """What a model shall go on with: one of the three.

    Args:
        path: where in the request it stands.
        tokens: by their numbers in the model's vocabulary.
    """

    path: str
    text: str = ""
    messages: list[Message] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)


class PromptInput:
    """A text, a chat, which is a list of messages, or the model's own tokens by their numbers; or a list of those.

    Args:
        max_characters: of the longest text, or of all messages of a chat; and tokens, at most.
        chats: whether the model takes them.
    """

    kind = "prompt"

    def __init__(self, max_characters: int = 100_000, max_items: int = MAX_ITEMS, *, chats: bool) -> None:
        self.max_characters = max_characters
        self.max_items = max_items
        self.chats = chats

    def items(self, data: Any) -> tuple[list[Asked], bool]:
        # Neither a message nor a number stands for something alone: a list that begins with one is a single item.
        if not isinstance(data, list) or (data and (isinstance(data[0], dict) or _is_number(data[0]))):
            return [self._item(data, "data")], True
        check_count(data, self.max_items)
        return [self._item(item, f"data[{index}]") for index, item in enumerate(data)], False

    def from_query(self, values: list[str]) -> str | list[str]:
        return values[0] if len(values) == 1 else values

    def schema(self) -> dict[str, Any]:
        text = {"type": "string", "minLength": 1, "maxLength": self.max_characters}
        tokens = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}
        tokens |= {"maxItems": self.max_characters}
        fields = {"role": {"type": "string", "minLength": 1}, "content": text}
        message = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
        chat = {"type": "array", "items": message, "minItems": 1, "maxItems": MAX_MESSAGES}
        one = [text, chat, tokens] if self.chats else [text, tokens]
        many = {"type": "array", "items": {"anyOf": one}, "minItems": 1, "maxItems": self.max_items}
        return {"anyOf": [*one, many]}

    def _item(self, value: Any, path: str) -> Asked:
        if isinstance(value, list) and value and _is_number(value[0]):
            return Asked(path, tokens=self._tokens(value, path))
        if isinstance(value, list):
            return Asked(path, messages=self._chat(value, path))
        if not isinstance(value, str):
            way_out = "Send a text, or a chat as a list of messages." if self.chats else "Send a text."
            raise InvalidInput(path, f"{path} is {json_type(value)}. {way_out}")
        if not value:
            raise InvalidInput(path, f"{path} is an empty text. Send at least one character.")
        check_characters(path, len(value), self.max_characters, "Send less of it.")
        check_marks(path, value)
        return Asked(path, value)

    def _tokens(self, numbers: list[Any], path: str) -> list[int]:
        if len(numbers) > self.max_characters:
            raise InvalidInput(
                path, f"{path} has {len(numbers)} tokens; the limit is {self.max_characters}. Send less of it."
            )
        for index, number in enumerate(numbers):
            if not _is_number(number) or number < 0:
                what = number if _is_number(number) else json_type(number)
                raise InvalidInput(f"{path}[{index}]", f"{path}[{index}] is {what}. Tokens are integers from 0.")
        return numbers

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
        for index, message in enumerate(messages):
            check_marks(f"{path}[{index}].content", message["content"])
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


def _is_number(value: Any) -> bool:
    # JSON's true is no number, though Python's is.
    return isinstance(value, int) and not isinstance(value, bool)


def check_characters(path: str, count: int, limit: int, way_out: str) -> None:
    """Refuses what is longer than the limit."""
    if count > limit:
        raise InvalidInput(path, f"{path} has {count} characters; the limit is {limit}. {way_out}")


def check_marks(path: str, text: str) -> None:
    """Refuses a letter with more marks than Unicode's stream-safe format has: to put them in order takes the square of
    the time, whoever normalizes the text.
    """
    if text.isascii():
        return
    # Of so many characters in a row one stands at a multiple of their number: few are looked at.
    for start in range(MAX_MARKS, len(text), MAX_MARKS + 1):
        if not combining(text[start]):
            continue
        first, last = start, start + 1
        while first > 0 and combining(text[first - 1]):
            first -= 1
        while last < len(text) and last - first <= MAX_MARKS and combining(text[last]):
            last += 1
        if last - first > MAX_MARKS:
            raise InvalidInput(
                path, f"{path} has a letter with more than {MAX_MARKS} marks above or below it. Send fewer of them."
            )


def one_or_many(item: dict[str, Any], max_items: int) -> dict[str, Any]:
    """The JSON Schema of an item or a list of items."""
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1, "maxItems": max_items}]}


def check_count(items: list[Any], limit: int) -> None:
    """Refuses a list that is empty or too long."""
    if not items:
        raise InvalidInput("data", "data is an empty list. Send at least one item.")
    if len(items) > limit:
        raise InvalidInput("data", f"data has {len(items)} items; the limit is {limit}. Send fewer per request.")


def check_first_item(items: list[Any], kind: str, path: str) -> None:
    """Refuses a list that would be read as one item, where it is known to be a list of them.

    Args:
        kind: of the input: a list of numbers is a row or a prompt's tokens, one of messages a chat.
    """
    items_of = {"row": (list, dict), "prompt": (str, list)}.get(kind)
    if items_of is not None and not isinstance(items[0], items_of):
        what = "a row, as a list or an object" if kind == "row" else "a text, or a chat as a list of messages"
        raise InvalidInput(path, f"{path} is {json_type(items[0])}. Each is an item: send {what}.")


def json_type(value: Any) -> str:
    """What a JSON value is, as a message says it."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)
