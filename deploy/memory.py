"""How much memory a model will need, told from its sizes: the same model always gives the same manifest."""

from model_functions.artifact.manifest import MemoryNeed
from model_functions.artifact.stream import Serialized

_MIB = 2**20

#: Bytes of a process that has imported the engine and predicted something small (tests/benchmarks/cold measures them).
RUNTIME = {
    "torch": 420 * _MIB,
    "onnxruntime": 110 * _MIB,
    "openvino": 130 * _MIB,
    "sklearn": 190 * _MIB,
    "tensorflow": 380 * _MIB,
    "python": 60 * _MIB,
}

#: What becomes of one byte of weights while the engine starts, and afterwards. OpenVINO lays them out anew beside the
#: originals, half of them once more for long inputs; a scikit-learn tree copies its nodes; TensorFlow reads files,
#: which are memory too on an instance.
GROWTH = {
    "torch": (1.0, 1.0),
    "onnxruntime": (1.0, 1.0),
    "openvino": (2.5, 2.5),
    "sklearn": (2.0, 2.0),
    "tensorflow": (3.0, 1.0),
    "python": (2.0, 2.0),
}


def memory_need(engine: str, serialized: Serialized, copied: tuple[int, int]) -> MemoryNeed:
    """Bytes for the wrapper's two files, in the engine's hands.

    Args:
        copied: bytes of the weights that this wrapper's engine copies while it starts, and has twice afterwards.
    """
    stream = len(serialized.stream)
    weights = serialized.layout.memory_size(len(serialized.weights))
    at_most, afterwards = GROWTH[engine]
    return MemoryNeed(
        runtime=RUNTIME[engine],
        load=stream * 4 + int(weights * at_most) + copied[0],
        model=stream * 2 + int(weights * afterwards) + copied[1],
    )
