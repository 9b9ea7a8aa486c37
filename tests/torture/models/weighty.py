"""A model of a size, whose answer tells which it is, and that nothing has freed its memory."""

from typing import Any

import numpy as np

from model_functions.inputs import TextInput
from model_functions.wrapper import ModelWrapper


class Weighty(ModelWrapper):
    """The sum of its table, with what it was asked.

    Args:
        size: bytes.
    """

    # It has its bytes once, as this engine has them; of Python's own nobody can tell.
    family, task, engine_name = "tabular", "weighing", "onnxruntime"

    def __init__(self, number: int, size: int) -> None:
        super().__init__(TextInput())
        self.number = number
        self.table = np.full(size // 8, number, np.int64)

    def preprocess(self, items: list[str], parameters: dict[str, Any]) -> list[str]:
        return items

    def forward(self, features: list[str], parameters: dict[str, Any]) -> list[str]:
        # Every byte is looked at: memory that was freed, or is another's, would tell another number.
        whole = int(self.table.min()) == int(self.table.max()) == self.number
        return [f"{self.number if whole else 'broken'} {feature}" for feature in features]

    def postprocess(self, outputs: list[str], parameters: dict[str, Any]) -> list[str]:
        return outputs


class Wordy(Weighty):
    """The same, of another family."""

    family = "text_classification"
