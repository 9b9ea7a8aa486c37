"""What the clients of tensors send, and what the models must answer."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

TEXTS = [b"anna lives in berlin", b"sales fell"]
FEATURES = np.arange(12, dtype=np.float32).reshape(4, 3)

_WEIGHTS = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)


def scores(features: NDArray[Any]) -> NDArray[Any]:
    """What the model ``linear`` makes of them."""
    found: NDArray[Any] = features.astype(np.float32) @ _WEIGHTS
    return found


_EXTREMES = {kind: np.array([[np.iinfo(kind).min, 0, np.iinfo(kind).max]], kind) for kind in (
    "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
)}  # fmt: skip

#: By the names of the inputs of ``types`` and ``sums``: the ends of each type, and what lies between.
ARRAYS: dict[str, NDArray[Any]] = {
    "bool": np.array([[True, False, True]]),
    "string": np.array([[b"anna", "ü😀".encode(), b""]], object),
    "float16": np.array([[-65504, 0.5, 65504]], np.float16),
    "float": np.array([[-1.5e38, 0.25, 3.0e38]], np.float32),
    "double": np.array([[-1.5e300, 0.1, 1e-300]], np.float64),
    "values": np.array([[1, 2]], np.float32),
    "weights": np.array([[3, -4]], np.float32),
    **_EXTREMES,
}
