"""Reads ONNX files on the publisher's machine; the only module that imports onnx, which no function has."""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import numpy_helper

from model_functions.engines.onnxruntime import OnnxGraph, OnnxModel, reason
from model_functions.tensors import Dimension, TensorSpec

#: Bytes from which an initializer leaves the graph.
EXTERNAL_BYTES = 1024

#: Whose operators are ONNX's own or ONNX Runtime's.
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview.training", "com.microsoft", "com.microsoft.nchwc")
_DTYPES = {
    onnx.TensorProto.FLOAT: "float32",
    onnx.TensorProto.DOUBLE: "float64",
    onnx.TensorProto.BOOL: "bool",
    onnx.TensorProto.STRING: "string",
}


def read(path: Path) -> OnnxModel:
    """The model of an ONNX file and of the files with its data beside it. No code of its maker runs.

    Raises ValueError for a file that is none, or that ONNX Runtime cannot run.
    """
    model = _loaded(path)
    graph = model.graph
    weights = _weights_among_inputs(model)
    defaults = {tensor.name for tensor in graph.initializer}
    inputs = [_spec(value, optional=value.name in defaults) for value in graph.input if value.name not in weights]
    outputs = [_output(value) for value in graph.output]
    foreign = sorted(set(_foreign_operators(model)))
    try:
        return OnnxModel(graph_of(without_traces(model)), inputs, outputs)
    except Exception as exc:
        # onnxruntime's errors have no base class, and the reason only in their text.
        if foreign:
            raise ValueError(
                f"{path.name} needs the operators {', '.join(foreign)}, which ONNX Runtime does not have. Export it "
                "with ONNX's own operators."
            ) from exc
        raise ValueError(f"ONNX Runtime cannot run {path.name}: {reason(exc)[:300]}") from exc


def graph_of(
    model: Any, *, half: bool = False, shared: dict[Any, Any] | None = None, packed: bool = False
) -> OnnxGraph:
    """The ONNX model, which is taken apart, with its large initializers as arrays beside it.

    Args:
        shared: the weights of other graphs by their content; equal ones are taken from here, others added.
        packed: lay out anew what is multiplied with.
    """
    shared = {} if shared is None else shared
    weights = {}
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.nbytes >= EXTERNAL_BYTES and array.dtype.kind in "biuf" and array.dtype.isbuiltin:
            weights[tensor.name] = shared.setdefault(_content(array), np.array(array))
            for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
                tensor.ClearField(field)
            tensor.data_location = onnx.TensorProto.EXTERNAL
            # A place that exists: onnxruntime looks whether it does, and then takes the array it is given.
            tensor.external_data.add(key="location", value=".")
    return _started(model, weights, half, _multiplied(model.graph) & set(weights) if packed else frozenset())


def _started(model: Any, weights: dict[str, NDArray[Any]], half: bool, packed: frozenset[str]) -> OnnxGraph:
    """The graph with as few weights copied as onnxruntime's optimizations allow: those of convolutions are laid out
    anew, and some that are folded into each other are read, before the session knows of the arrays.
    """
    data = model.SerializeToString(deterministic=True)
    attempts = [frozenset[str](), frozenset(weights) - _only_multiplied(model.graph)]
    for copied in attempts:
        # As many exceptions as reasons, and no base class.
        with contextlib.suppress(Exception):
            return OnnxGraph(data, weights, half=half, copied=copied, packed=packed)
    return OnnxGraph(data, weights, half=half, copied=frozenset(weights), packed=packed)


def _multiplied(graph: Any) -> frozenset[str]:
    """What matrices are multiplied with."""
    return frozenset(node.input[1] for node in graph.node if node.op_type in ("MatMul", "Gemm"))


def _only_multiplied(graph: Any) -> set[str]:
    """The initializers that no optimization reads."""
    uses: dict[str, set[str]] = {}
    for node in graph.node:
        for name in node.input:
            uses.setdefault(name, set()).add(node.op_type)
    return {tensor.name for tensor in graph.initializer if uses.get(tensor.name, set()) <= {"MatMul", "Gemm", "Gather"}}


def without_traces(model: Any) -> Any:
    """The model without where in whose source each node came from: it names its maker's folders."""
    del model.metadata_props[:]
    for graph in [model.graph, *model.functions]:
        del graph.metadata_props[:]
        graph.doc_string = ""
        for node in graph.node:
            del node.metadata_props[:]
            node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
        value.doc_string = ""
    return model


def _loaded(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        # By its path: a model of more than 2 GiB can be checked in no other way. Data outside of the folder is refused.
        onnx.checker.check_model(str(path))
        model = onnx.load(path)
    except (DecodeError, onnx.checker.ValidationError, ValueError, OSError) as exc:
        reason = " ".join(str(exc).split())[:300]
        raise ValueError(f"{path.name} is no whole ONNX model: {reason}") from exc
    return model


def _content(array: NDArray[Any]) -> tuple[Any, ...]:
    return array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest()


def _weights_among_inputs(model: Any) -> set[str]:
    """The initializers that stand among the inputs and are no caller's: in old files all of them, which must stand
    there, and otherwise where one is too large.
    """
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    listed = [value for value in model.graph.input if value.name in tensors]
    if model.ir_version < 4:
        return {value.name for value in listed}
    if not any(numpy_helper.to_array(tensors[value.name]).nbytes >= EXTERNAL_BYTES for value in listed):
        return set()
    for value in listed:
        # Else onnxruntime expects them to change, and optimizes nothing.
        model.graph.input.remove(value)
    return {value.name for value in listed}


def _spec(value: Any, *, optional: bool) -> TensorSpec:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        what = kind.removesuffix("_type").replace("_", " ") if kind else "thing without a type"
        raise ValueError(f'The input "{value.name}" is a {what}. Only tensors can be sent.')
    return _tensor(value.name, value.type.tensor_type, optional=optional)


def _output(value: Any) -> TensorSpec:
    kind = value.type.WhichOneof("value")
    if kind == "tensor_type":
        return _tensor(value.name, value.type.tensor_type)
    # A sequence or a map: of floats mostly, and its entries' number is told by none.
    return TensorSpec(value.name, "float32", None)


def _tensor(name: str, described: Any, *, optional: bool = False) -> TensorSpec:
    dtype = _DTYPES.get(described.elem_type) or onnx.TensorProto.DataType.Name(described.elem_type).lower()
    if dtype == "bfloat16":
        raise ValueError(f'"{name}" is bfloat16, which numpy does not have. Let the graph cast it from float32.')
    shape = tuple(map(_dimension, described.shape.dim)) if described.HasField("shape") else None
    return TensorSpec(name, dtype, shape, optional=optional)


def _dimension(size: Any) -> Dimension:
    if size.dim_value > 0:
        return int(size.dim_value)
    return str(size.dim_param) or None


def _foreign_operators(model: Any) -> Iterator[str]:
    own = {(function.domain, function.name) for function in model.functions}
    for nodes in [model.graph.node, *(function.node for function in model.functions)]:
        for node in nodes:
            if node.domain not in _DOMAINS and (node.domain, node.op_type) not in own:
                yield f"{node.domain}.{node.op_type}"
