"""Runs ONNX graphs over weights that lie where they arrived; the only module that imports onnxruntime."""

import os
from functools import cache
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from model_functions.engines import Half

#: The ONNX graph of one node, ``single = Cast(half)``: numpy's own conversion takes ten times as long.
_CAST = bytes.fromhex(
    "080812003a540a1f0a0468616c66120673696e676c652204436173742a090a02746f1801a001021205776964656e5a130a0468616c66120b0a09080a12050a0312016e62150a0673696e676c65120b0a09080112050a0312016e42040a00100d"
)

#: Lays the kernels of convolutions out anew: a third faster, but it wants them in a file, and has them twice.
_CONVOLUTION_LAYOUT = "NchwcTransformer"


def widen(half: memoryview, single: memoryview) -> None:
    """Float16 values as float32 ones, into memory of twice the size."""
    session, count = _caster(), len(half) // 2
    values = np.frombuffer(half, np.float16)
    binding = session.io_binding()
    binding.bind_ortvalue_input("half", onnxruntime.OrtValue.ortvalue_from_numpy(values))
    address = np.frombuffer(single, np.float32).ctypes.data
    binding.bind_output("single", "cpu", 0, np.float32, (count,), address)
    session.run_with_iobinding(binding)


@cache
def _caster() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(_CAST, options, providers=["CPUExecutionProvider"])


class OnnxGraph:
    """A graph whose large initializers are arrays of ours: the session reads them in place, and copies none.

    Args:
        model: the ONNX file; the initializers that ``weights`` names are external, at the location ``.``.
        weights: by the initializers' names.
        half: store them in half precision.
    """

    def __init__(self, model: bytes, weights: dict[str, NDArray[Any]], *, half: bool = False) -> None:
        self.__setstate__({"model": model, "weights": weights, "half": half})

    def run(self, arrays: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        return self.outputs(arrays)[0]

    def outputs(self, arrays: dict[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """All that the graph gives for its inputs, by name."""
        found: list[NDArray[np.float32]] = self._session.run(None, arrays)
        return found

    def __getstate__(self) -> dict[str, Any]:
        weights = {name: self._stored(array) for name, array in self.weights.items()}
        return {"model": self.model, "weights": weights, "half": self.half}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.model: bytes = state["model"]
        self.weights: dict[str, NDArray[Any]] = state["weights"]
        self.half: bool = state["half"]
        self._session = self._start()

    def _stored(self, array: NDArray[Any]) -> Any:
        return Half(array) if self.half and array.dtype == np.float32 else array

    def _start(self) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
        # Laid out anew for the matrix kernels, the weights would be in memory twice, and start six times slower.
        options.add_session_config_entry("session.disable_prepacking", "1")
        # Kept: the session looks at their memory.
        self._values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in self.weights.items()}
        for name, value in self._values.items():
            options.add_initializer(name, value)
        return onnxruntime.InferenceSession(
            self.model, options, providers=["CPUExecutionProvider"], disabled_optimizers=[_CONVOLUTION_LAYOUT]
        )
