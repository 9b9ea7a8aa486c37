"""A model that answers its own version, whose rows are read with those of other requests."""

import time
from typing import Any

from model_functions.inputs import TextInput
from model_functions.rows import Batch, Row, Rows, RowWrapper

#: So long a batch takes: long enough for others to come meanwhile.
SECONDS = 0.002


class Versioned(RowWrapper):
    """Every row says who read it, and so does who puts the rows together."""

    family, task, engine_name = "tabular", "versioned", "python"
    batch = Batch(32, 32)

    def __init__(self, version: int = 0) -> None:
        super().__init__(TextInput())
        self.version = version

    def preprocess(self, items: list[str], parameters: dict[str, Any]) -> Rows:
        return Rows([Row(item) for item in items], asked=self.version)

    def forward_rows(self, rows: list[Any], parameters: dict[str, Any]) -> list[Any]:
        time.sleep(SECONDS)
        return [self.version] * len(rows)

    def postprocess(self, outputs: Rows, parameters: dict[str, Any]) -> list[Any]:
        return [[outputs.asked, version, self.version] for version in outputs.outputs]
