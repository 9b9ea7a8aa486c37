"""How each server is asked, and where its answers say what they say."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.warm.items import Item


@dataclass(frozen=True)
class Protocol:
    """One server's.

    Args:
        asks: the body for an item's data.
        says: what an answer's JSON predicts.
    """

    path: str
    asks: Callable[[Any], Any]
    says: Callable[[Any], Any]

    def request(self, item: Item) -> bytes:
        """The whole HTTP request."""
        body = self.body(item)
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def body(self, item: Item) -> bytes:
        return json.dumps(self.asks(item.data)).encode()


def _tensors(data: Any) -> dict[str, Any]:
    tensor = (
        {"name": "data", "shape": [1], "datatype": "BYTES", "data": [data]}
        if isinstance(data, str)
        else {"name": "data", "shape": [1, len(data)], "datatype": "FP64", "data": data}
    )
    return {"id": "1", "inputs": [tensor]}


def _unpacked(answer: Any) -> Any:
    """MLServer's answers are strings, which hold JSON where they are no text of the caller's own."""
    text = answer["outputs"][0]["data"][0]
    return json.loads(text) if text.startswith("{") else text


OURS = Protocol("/predict", lambda data: {"data": data}, lambda answer: answer["body"])
ECHO = Protocol("/", lambda data: {"data": data}, lambda answer: answer["data"])
TUTORIAL = Protocol("/", lambda data: {"data": data}, lambda answer: answer["output"])
LITSERVE = Protocol("/predict", lambda data: {"data": data}, lambda answer: answer["output"])
BENTOML = Protocol("/predict", lambda data: {"data": [data]}, lambda answer: answer[0])
MLSERVER = Protocol("/v2/models/served/infer", _tensors, _unpacked)


def prediction(said: Any) -> tuple[str, float] | str:
    """The label and its score, whichever way they are spelled; a text that was given back, as it is."""
    if isinstance(said, list):
        said = said[0]
    if isinstance(said, str):
        return said
    if "probabilities" in said:
        return str(said["prediction"]), float(said["probabilities"][str(said["prediction"])])
    return str(said["label"]), float(said["score"])
