"""BentoML over one of the models, in batches where BATCH says so."""

import os
from typing import Any

import bentoml
from models import model

BATCH = int(os.environ["BATCH"])
BATCHED = {"batchable": True, "max_batch_size": BATCH, "max_latency_ms": int(os.environ["BATCH_MS"])}


@bentoml.service(workers=int(os.environ["WORKERS"]))
class Served:
    def __init__(self) -> None:
        self.model = model()

    @bentoml.api(**BATCHED if BATCH > 1 else {})
    def predict(self, data: list[Any]) -> list[Any]:
        return self.model(data)
