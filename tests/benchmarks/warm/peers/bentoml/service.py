"""BentoML over one of the models; a service of its own for those that gain nothing by batches."""

import os
from typing import Any

import bentoml
from models import model

BATCH, BATCH_MS = int(os.environ["BATCH"]), int(float(os.environ["BATCH_SECONDS"]) * 1000)
WORKERS = int(os.environ["WORKERS"])


@bentoml.service(workers=WORKERS)
class Batched:
    def __init__(self) -> None:
        self.model = model()

    @bentoml.api(batchable=True, max_batch_size=BATCH, max_latency_ms=BATCH_MS)
    def predict(self, data: list[Any]) -> list[Any]:
        return self.model(data)


@bentoml.service(workers=WORKERS)
class Single:
    def __init__(self) -> None:
        self.model = model()

    @bentoml.api
    def predict(self, data: list[Any]) -> list[Any]:
        return self.model(data)
