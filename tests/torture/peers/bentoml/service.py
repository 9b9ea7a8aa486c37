"""BentoML as its documentation has it, with its own limits set: of requests at once, and of how long one may take."""

import os
from typing import Any

import bentoml
from model import load


@bentoml.service(workers=1, traffic={"max_concurrency": int(os.environ.get("MAX_CONCURRENCY", "32")), "timeout": 30})
class Served:
    def __init__(self) -> None:
        self.model = load()

    @bentoml.api
    def predict(self, data: Any) -> dict[str, Any]:
        return {"body": self.model(data)}
