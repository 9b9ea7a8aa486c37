"""A bare function, the tutorial's way: the first request loads the model into a global."""

from typing import Any

from model import load

model: Any = None


def predict(request: Any) -> Any:
    global model
    if model is None:
        model = load()
    return {"body": model(request.get_json()["data"])}
