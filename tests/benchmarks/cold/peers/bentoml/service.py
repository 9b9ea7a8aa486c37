"""BentoML over the classifier, as its documentation serves a Hugging Face pipeline."""

import os
from typing import Any

import bentoml
from transformers import pipeline


@bentoml.service(workers=1)
class Classifier:
    def __init__(self) -> None:
        self.pipeline = pipeline("token-classification", model=os.environ["MODEL_FOLDER"], aggregation_strategy="first")

    @bentoml.api
    def predict(self, text: str) -> list[dict[str, Any]]:
        return [entity | {"score": float(entity["score"])} for entity in self.pipeline(text)]
