"""Runs OpenVINO graphs over weights that lie where they arrived; the only module that imports openvino."""

import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import openvino


def _imported() -> Any:
    """The package without its converter, which takes as long to import as all the rest, and counts who uses it."""
    converter = "openvino.tools.ovc"
    absent = converter not in sys.modules
    if absent:
        # Its own import of the converter is for environments too that have none.
        sys.modules[converter] = None  # type: ignore[assignment]
    try:
        import openvino
    finally:
        if absent:
            del sys.modules[converter]
    return openvino


openvino_package = _imported()

#: How a graph computes, by the words of the manifest. OpenVINO's own choice changes the answers.
_COMPUTING: dict[str, dict[str, Any]] = {
    "fp32": {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"},
    "bf16": {"INFERENCE_PRECISION_HINT": "bf16", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"},
    # What enters a product of matrices becomes int8 too, 64 numbers at a time with a scale of their own.
    "int8": {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "64"},
}


def compiled(xml: bytes, weights: NDArray[np.uint8], precision: str) -> "openvino.CompiledModel":
    """An intermediate representation, ready to run on all cores in turn.

    Args:
        precision: as the manifest has it; of the words for rounded weights, fp32 is computed.
    """
    core = openvino_package.Core()
    model = core.read_model(xml.decode(), openvino_package.Tensor(weights, shared_memory=True))
    return core.compile_model(model, "CPU", options(precision))


def options(precision: str) -> dict[str, Any]:
    """For a model that runs alone, on all cores."""
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": len(os.sched_getaffinity(0)),
        **_COMPUTING.get(precision, _COMPUTING["fp32"]),
    }


class OpenvinoGraph:
    """An intermediate representation.

    Args:
        xml: its structure.
        weights: its constants, uint8.
        precision: in which it computes (see ``compiled``).
    """

    #: Of every shape that it meets, OpenVINO makes kernels that it keeps: those of BERT-base take 6 ms and 2 MB, and
    #: those of some sizes are slow: 131 tokens take an eighth longer than 144 (tests/benchmarks/lengths.py).
    multiple = 16

    def __init__(self, xml: bytes, weights: NDArray[np.uint8], precision: str = "fp32") -> None:
        self.__setstate__({"xml": xml, "weights": weights, "precision": precision})

    def run(self, arrays: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        output: NDArray[np.float32] = self._compiled(arrays)[0]
        return output

    def __getstate__(self) -> dict[str, Any]:
        return {"xml": self.xml, "weights": self.weights, "precision": self.precision}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.xml: bytes = state["xml"]
        self.weights: NDArray[np.uint8] = state["weights"]
        # Artifacts of before there was a choice have none.
        self.precision: str = state.get("precision", "fp32")
        self._compiled = compiled(self.xml, self.weights, self.precision)
