"""LitServe over the classifier, as its documentation serves a Hugging Face pipeline."""

import os
import sys
from typing import Any

import litserve
from transformers import pipeline


class Classifier(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.pipeline = pipeline(
            "token-classification", model=os.environ["MODEL_FOLDER"], aggregation_strategy="first", device=device
        )

    def decode_request(self, request: dict[str, str]) -> str:
        return request["text"]

    def predict(self, text: str) -> list[dict[str, Any]]:
        return self.pipeline(text)

    def encode_response(self, entities: list[dict[str, Any]]) -> dict[str, Any]:
        return {"entities": [entity | {"score": float(entity["score"])} for entity in entities]}


if __name__ == "__main__":
    server = litserve.LitServer(Classifier(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, generate_client_file=False)
