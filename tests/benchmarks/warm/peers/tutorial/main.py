"""The tutorial way: a dill or a joblib file on local disk, loaded by the first request."""

import os
from typing import Any

import dill

model: Any = None


def predict(request: Any) -> Any:
    global model
    if model is None:
        with open(os.environ["MODEL_FILE"], "rb") as file:
            model = dill.load(file)
    return {"output": model.predict(request.get_json()["data"])}
