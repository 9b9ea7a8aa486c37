"""LitServe over one of the models."""

import os
import sys
from typing import Any

import litserve
from models import model

BATCH = int(os.environ["BATCH"])


class Served(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = model()

    def decode_request(self, request: dict[str, Any]) -> Any:
        return request["data"]

    def predict(self, data: Any) -> Any:
        return self.model(data) if BATCH > 1 else self.model([data])[0]

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"output": output}


if __name__ == "__main__":
    api = Served(max_batch_size=BATCH, batch_timeout=float(os.environ["BATCH_MS"]) / 1000)
    workers, fast = int(os.environ["WORKERS"]), os.environ["FAST_QUEUE"] == "1"
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=workers, fast_queue=fast)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )
