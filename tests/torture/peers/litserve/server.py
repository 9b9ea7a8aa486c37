"""LitServe as its documentation has it, with its own limits set: of a body's size, and of how long a request waits."""

import sys
from typing import Any

import litserve
from model import load
from pydantic import BaseModel


class Question(BaseModel):
    data: Any


class Served(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = load()

    def decode_request(self, request: Question) -> Any:
        return request.data

    def predict(self, data: Any) -> Any:
        return self.model(data)

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"body": output}


if __name__ == "__main__":
    server = litserve.LitServer(Served(), accelerator="cpu", timeout=30, max_payload_size=8 * 1024 * 1024)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
