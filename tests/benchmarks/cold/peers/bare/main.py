"""A function that does nothing: how long functions-framework itself takes."""

from typing import Any


def predict(_: Any) -> str:
    return "ready"
