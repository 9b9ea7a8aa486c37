"""The object that the tutorial way serializes whole."""

from typing import Any


class Wrapper:
    """A transformers pipeline and the one method that the function calls."""

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline

    def predict(self, text: str) -> list[dict[str, Any]]:
        entities = self.pipeline(text)
        return [entity | {"score": float(entity["score"])} for entity in entities]
