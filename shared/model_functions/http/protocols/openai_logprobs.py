"""The tokens of an answer and their probabilities, in the two shapes that OpenAI's API has for them."""

from collections.abc import Mapping
from typing import Any

#: A token, and where it begins in the text.
Placed = tuple[int, dict[str, Any]]


class Logprobs:
    """The tokens that make up the text of a choice, told whole or in pieces."""

    def __init__(self) -> None:
        self._begins = 0
        self._told = 0

    def take(self, text: str, piece: Mapping[str, Any]) -> list[Placed] | None:
        """The next ones; None where they are not asked for.

        Args:
            text: that has become known with them.
        """
        self._told += len(text)
        if "tokens" not in piece:
            return None
        found = []
        for token in piece["tokens"]:
            # Special tokens are no text, and those of a stop sequence are not told.
            if token["special"] or ("stop_sequence" in piece and self._begins >= self._told):
                continue
            found.append((self._begins, token))
            self._begins += len(token["text"])
        return found


def of_chat(tokens: list[Placed] | None) -> dict[str, Any] | None:
    if tokens is None:
        return None
    content = [_chat_token(token) | {"top_logprobs": list(map(_chat_token, token["top"]))} for _, token in tokens]
    return {"content": content, "refusal": None}


def of_completion(tokens: list[Placed] | None) -> dict[str, Any] | None:
    if tokens is None:
        return None
    return {
        "tokens": [token["text"] for _, token in tokens],
        "token_logprobs": [token["logprob"] for _, token in tokens],
        "top_logprobs": [_by_text(token) for _, token in tokens],
        "text_offset": [begin for begin, _ in tokens],
    }


def _by_text(token: Mapping[str, Any]) -> dict[str, float]:
    """The alternatives, of those with one text the likeliest; and the token itself, however unlikely it was."""
    found: dict[str, float] = {}
    for other in token["top"]:
        found.setdefault(other["text"], other["logprob"])
    return found | {token["text"]: token["logprob"]}


def _chat_token(token: Mapping[str, Any]) -> dict[str, Any]:
    text = token["text"]
    # Half a character has no text of its own.
    return {"token": text, "logprob": token["logprob"], "bytes": None if "\ufffd" in text else list(text.encode())}
