"""Runs ONNX graphs over weights that lie where they arrived; the only module that imports onnxruntime."""

import os
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

from model_functions.engines import Half
from model_functions.errors import InvalidInput
from model_functions.string_tensors import decoded
from model_functions.tensors import TensorSpec

#: The ONNX graph of one node, ``single = Cast(half)``: numpy's own conversion takes ten times as long.
_CAST = bytes.fromhex(
    "080812003a540a1f0a0468616c66120673696e676c652204436173742a090a02746f1801a001021205776964656e5a130a0468616c66120b0a09080a12050a0312016e62150a0673696e676c65120b0a09080112050a0312016e42040a00100d"
)


#: A place in onnxruntime's source: the kind of error, a file with a line, and the signature of a function.
_SOURCE = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : |/\S+:\d+ .*?\([^()]*(?:\([^()]*\)[^()]*)*\)(?: const)? ")


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
        copied: those of the weights that the session gets a copy of, because an optimization of the graph reads them.
        packed: those that the session also lays out anew for the matrix kernels, if any: it starts later, has them in
            memory twice, and multiplies a few rows in half the time.
    """

    #: It computes texts of any length alike.
    multiple = 1

    def __init__(
        self,
        model: bytes,
        weights: dict[str, NDArray[Any]],
        *,
        half: bool = False,
        copied: frozenset[str] = frozenset(),
        packed: frozenset[str] = frozenset(),
    ) -> None:
        self.__setstate__({"model": model, "weights": weights, "half": half, "copied": copied, "packed": packed})

    @property
    def copied_bytes(self) -> int:
        return sum(self.weights[name].nbytes for names in (self.copied, self.packed) for name in names)

    def run(self, arrays: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        first: NDArray[np.float32] = self.outputs(arrays)[0]
        return first

    def outputs(self, arrays: dict[str, NDArray[Any]], names: list[str] | None = None) -> list[Any]:
        """What the graph gives for its inputs, by name: the outputs of these names, or all."""
        found: list[Any] = self._session.run(names, arrays)
        return found

    def __getstate__(self) -> dict[str, Any]:
        weights = {name: self._stored(array) for name, array in self.weights.items()}
        choices = {"half": self.half, "copied": self.copied, "packed": self.packed}
        return {"model": self.model, "weights": weights} | choices

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.model: bytes = state["model"]
        self.weights: dict[str, NDArray[Any]] = state["weights"]
        self.half: bool = state["half"]
        # Artifacts of before there was a choice have none.
        self.copied: frozenset[str] = state.get("copied", frozenset())
        self.packed: frozenset[str] = state.get("packed", frozenset())
        self._session = self._start()

    def _stored(self, array: NDArray[Any]) -> Any:
        return Half(array) if self.half and array.dtype == np.float32 else array

    def _start(self) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what fails is raised
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
        if not self.packed:
            options.add_session_config_entry("session.disable_prepacking", "1")
        # Kept: the session looks at their memory.
        self._values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in self.weights.items()}
        for name, value in self._values.items():
            if name not in self.copied:
                options.add_initializer(name, value)
        if self.copied:
            names = sorted(self.copied)
            options.add_external_initializers(names, [self._values.pop(name) for name in names])
        return onnxruntime.InferenceSession(self.model, options, providers=["CPUExecutionProvider"])


class OnnxModel:
    """A graph whose inputs and outputs are known: what the families of tensors run.

    Args:
        sizes: of a symbol in the inputs' shapes, the smallest and the largest size.
    """

    def __init__(
        self,
        graph: OnnxGraph,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        sizes: Mapping[str, tuple[int, int | None]] | None = None,
    ) -> None:
        self.graph = graph
        self.copied_bytes = graph.copied_bytes, graph.copied_bytes
        self.inputs = list(inputs)
        self.outputs = list(outputs)
        self.sizes: Mapping[str, tuple[int, int | None]] = dict(sizes or {})

    def run(self, arrays: dict[str, NDArray[Any]], outputs: list[str]) -> list[Any]:
        """Raises InvalidInput for values that an operator cannot take, as an index beyond a table's end."""
        strings = {name: _texts(array, name) for name, array in arrays.items() if array.dtype == object}
        try:
            return self.graph.outputs(arrays | strings, outputs)
        except (Fail, InvalidArgument, RuntimeException) as exc:
            raise InvalidInput("data", f"The model cannot take this data: {reason(exc)[:200]}") from exc


def _texts(array: NDArray[Any], name: str) -> NDArray[Any]:
    found = [decoded(value, f"inputs.{name}") for value in array.reshape(-1).tolist()]
    return np.array(found, dtype=object).reshape(array.shape)


def reason(exc: Exception) -> str:
    """What onnxruntime says, without where in its own source it says it."""
    text = str(exc).partition("Status Message: ")[2] or str(exc)
    return " ".join(_SOURCE.sub("", text).split())
