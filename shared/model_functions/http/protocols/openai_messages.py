"""The messages of OpenAI's chats, as models take them."""

from typing import Any

from model_functions.errors import InvalidInput
from model_functions.http.protocols.openai_fields import shown
from model_functions.inputs import json_type


def read_message(message: Any, path: str) -> dict[str, str]:
    """The message as the model takes it: only its role and its text concern it."""
    if not isinstance(message, dict):
        raise InvalidInput(path, f'{path} is {json_type(message)}. Send {{"role": ROLE, "content": TEXT}}.')
    role = message.get("role")
    if not isinstance(role, str):
        raise InvalidInput(f"{path}.role", f'{path}.role is {json_type(role)}. Send "system", "user" or "assistant".')
    for name in ("audio", "function_call", "tool_calls"):
        if message.get(name):
            raise InvalidInput(f"{path}.{name}", f"{path} has {name}, and models here read and write text alone.")
    if role in ("function", "tool"):
        raise InvalidInput(
            f"{path}.role", f"{path} is the answer of a {role}, and models here call none. Leave it out."
        )
    # Models have learnt the older name.
    return {"role": "system" if role == "developer" else role, "content": _text(message.get("content"), path)}


def _text(content: Any, path: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise InvalidInput(f"{path}.content", f"{path}.content is {json_type(content)}. Send a text.")
    texts = []
    for index, part in enumerate(content):
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            what = shown(part.get("type")) if isinstance(part, dict) else json_type(part)
            raise InvalidInput(
                f"{path}.content[{index}]",
                f'{path}.content[{index}] is {what}, and models here read text. Send {{"type": "text", "text": TEXT}}.',
            )
        texts.append(part["text"])
    return "\n".join(texts)
