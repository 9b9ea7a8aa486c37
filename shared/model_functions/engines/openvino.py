"""Runs OpenVINO graphs over weights that lie where they arrived; the only module that imports openvino."""

import os
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray


class OpenvinoGraph:
    """An intermediate representation.

    Args:
        xml: its structure.
        weights: its constants, uint8.
    """

    def __init__(self, xml: bytes, weights: NDArray[np.uint8]) -> None:
        self.__setstate__({"xml": xml, "weights": weights})

    def run(self, arrays: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        output: NDArray[np.float32] = self._compiled(arrays)[0]
        return output

    def __getstate__(self) -> dict[str, Any]:
        return {"xml": self.xml, "weights": self.weights}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.xml: bytes = state["xml"]
        self.weights: NDArray[np.uint8] = state["weights"]
        core = openvino.Core()
        model = core.read_model(self.xml.decode(), openvino.Tensor(self.weights, shared_memory=True))
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": len(os.sched_getaffinity(0)),
            # Its own choice on a processor that has bfloat16 changes the answers.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        self._compiled = core.compile_model(model, "CPU", options)
