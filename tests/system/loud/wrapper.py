"""A model that says in every way what it is asked to say."""

import logging
import threading
import warnings
from typing import Any

from model_functions.inputs import TextInput
from model_functions.wrapper import ModelWrapper


class LoudWrapper(ModelWrapper):
    family, task, engine_name = "tabular", "shouting", "python"

    @classmethod
    def from_source(cls, source: str, **settings: Any) -> "LoudWrapper":
        return cls(TextInput())

    def preprocess(self, items: list[str], parameters: dict[str, Any]) -> list[str]:
        return items

    def forward(self, features: list[str], parameters: dict[str, Any]) -> list[str]:
        for text in features:
            way = text.partition(" ")[0]
            if way == "raises":
                raise ValueError(f"cannot read {text}")
            if way == "warns":
                warnings.warn("this estimator is old", stacklevel=2)
            if way == "logs":
                logging.getLogger("somebodys.library").warning("a library's words")
            if way == "threads":
                thread = threading.Thread(target=self._fail, args=[text], name="helper")
                thread.start()
                thread.join()
        return features

    def postprocess(self, outputs: list[str], parameters: dict[str, Any]) -> list[Any]:
        return outputs

    def _fail(self, text: str) -> None:
        raise RuntimeError(text)
