"""MLServer over the classifier, through a custom runtime.

Its own Hugging Face runtime brings TensorFlow and optimum 1 along; this has what all others here have.
"""

import json
import os
from typing import List  # noqa: UP035 - MLServer finds no codec for list[str]

from mlserver import MLModel
from mlserver.codecs import decode_args
from transformers import pipeline


class Classifier(MLModel):
    async def load(self) -> bool:
        self.pipeline = pipeline("token-classification", model=os.environ["MODEL_FOLDER"], aggregation_strategy="first")
        return True

    @decode_args
    async def predict(self, text: List[str]) -> List[str]:  # noqa: UP006
        return [
            json.dumps([entity | {"score": float(entity["score"])} for entity in self.pipeline(one)]) for one in text
        ]
