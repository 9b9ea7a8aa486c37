"""A model that answers its input at once: what is left is the machinery around a model."""

from typing import Any

from model_functions.wrapper import ModelWrapper


class NothingWrapper(ModelWrapper):
    """A prediction is its own input."""

    family, task, engine_name = "text_classification", "text-classification", "python"

    def preprocess(self, items: list[str], parameters: dict[str, Any]) -> list[str]:
        return items

    def forward(self, features: list[str], parameters: dict[str, Any]) -> list[str]:
        return features

    def postprocess(self, outputs: list[str], parameters: dict[str, Any]) -> list[str]:
        return outputs
