"""The object that the tutorial way serializes whole."""

from typing import Any


class Wrapper:
    """A transformers pipeline and the one method that the function calls."""

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline

    def predict(self, text: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.pipeline(text)[0]
        return answer
