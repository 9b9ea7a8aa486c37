"""The model that the peers serve: it answers what it is asked, one request at a time, and takes as long as that says.

It comes as a pickle from a slow place (MODEL_URL), as tutorials have it. This runs in the peers' own environments.
"""

import os
import pickle
import threading
import time
import urllib.request
from typing import Any

_ONE_AT_A_TIME = threading.Lock()


class Waiting:
    """``wait 0.2`` waits; whatever else is asked is answered at once."""

    def __init__(self) -> None:
        self.weights = bytes(1 << 20)

    def __call__(self, data: Any) -> Any:
        kind, _, seconds = data.partition(" ") if isinstance(data, str) else ("", "", "")
        if kind == "wait":
            with _ONE_AT_A_TIME:
                time.sleep(float(seconds))
        return data


def load() -> Any:
    with urllib.request.urlopen(os.environ["MODEL_URL"]) as answer:
        return pickle.loads(answer.read())
