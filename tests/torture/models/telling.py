"""A model that says in the log when it is unpickled and when it is asked its sample, and takes its time for both."""

import logging
import time
from typing import Any

from model_functions.inputs import TextInput
from model_functions.wrapper import ModelWrapper

log = logging.getLogger("telling")

SECONDS = 0.7


class Telling(ModelWrapper):
    """Each answer tells its version."""

    family, task, engine_name = "tabular", "telling", "python"

    def __init__(self, version: int) -> None:
        super().__init__(TextInput())
        self.version = version

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._tell("unpickled")

    def preprocess(self, items: list[str], parameters: dict[str, Any]) -> list[str]:
        return items

    def forward(self, features: list[str], parameters: dict[str, Any]) -> list[str]:
        if features == ["test"]:
            self._tell("asked")
        return features

    def postprocess(self, outputs: list[str], parameters: dict[str, Any]) -> list[str]:
        return [f"{self.version} {output}" for output in outputs]

    def _tell(self, what: str) -> None:
        log.warning("%s %d", what, self.version)
        time.sleep(SECONDS)
