"""A model that answers its input: what is left is the stack's own time."""

from typing import Any

from model_functions.inputs import TextInput
from model_functions.wrapper import ModelWrapper


class NoopWrapper(ModelWrapper):
    family, task, engine_name = "tabular", "nothing", "python"

    @classmethod
    def from_source(cls, source: str, **settings: Any) -> "NoopWrapper":
        return cls(TextInput())

    def preprocess(self, items: list[str], parameters: dict[str, Any]) -> list[str]:
        return items

    def forward(self, features: list[str], parameters: dict[str, Any]) -> list[str]:
        return features

    def postprocess(self, outputs: list[str], parameters: dict[str, Any]) -> list[Any]:
        return outputs
