"""From a transformers model to a graph for the fast lane: exported once as ONNX, then made each engine's own."""

import logging
import math
import re
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_functions.engines import Tokens


def export(model: Any, tokens: Tokens, output: str) -> Any:
    """The model as an ONNX model (onnx.ModelProto) of any number of texts and tokens.

    Args:
        tokens: a batch of at least two texts, for the shapes.
        output: the attribute of the model's answer that the graph gives.
    """
    import torch

    names = list(tokens.arrays)
    inputs = tuple(torch.from_numpy(array) for array in tokens.arrays.values())
    return exported(_module(model, names, output), inputs, (({0, 1},) * len(names),), names, [output])


def exported(module: Any, inputs: tuple[Any, ...], free: Any, names: list[str], outputs: list[str]) -> Any:
    """The module as an ONNX model.

    Args:
        inputs: tensors and lists of them, as the module takes them.
        free: for each tensor the dimensions that may have another size.
        names: of the inputs, those in lists one by one.
    """
    import torch

    def export() -> Any:
        return torch.onnx.export(
            module,
            inputs,
            input_names=names,
            output_names=outputs,
            dynamic_shapes=_dynamic(free),
            dynamo=True,
            verbose=False,
        )

    return _quietly(export)


def converted(program: Any, names: list[str], outputs: list[str]) -> Any:
    """The program of torch.export as an ONNX model."""
    import torch

    def export() -> Any:
        return torch.onnx.export(program, input_names=names, output_names=outputs, dynamo=True, verbose=False)

    return _quietly(export)


def _quietly(export: Callable[[], Any]) -> Any:
    """The ONNX model that the exporter gives, which else tells of all that it tries, and of packages it could use."""
    import onnx

    from model_functions.engines.onnx_file import without_traces

    for name in ("torch.onnx", "torch.fx"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        # Through a file, because a message of more than 2 GiB cannot be made in memory.
        path = Path(folder) / "model.onnx"
        export().save(path, external_data=True)
        return without_traces(onnx.load(path))


def _dynamic(free: Any) -> Any:
    import torch

    if isinstance(free, set):
        return dict.fromkeys(sorted(free), torch.export.Dim.DYNAMIC)
    return type(free)(_dynamic(part) for part in free)


def onnxruntime_graph(model: Any, *, half: bool, shared: dict[Any, Any] | None = None, packed: bool = False) -> Any:
    """The ONNX model as a graph with its weights beside it.

    Args:
        shared: the weights of other graphs by their content; equal ones are taken from here, others added.
        packed: lay out anew what is multiplied with.
    """
    import onnx

    from model_functions.engines.onnx_file import graph_of

    slim = onnx.ModelProto()
    slim.CopyFrom(model)
    # A table that another graph multiplies with too is shared whole.
    if half and shared is None:
        _halve_tables(slim.graph)
    return graph_of(slim, half=half, shared=shared, packed=packed)


def _halve_tables(graph: Any) -> None:
    """Keeps in half precision what is only looked up: the rows that are found are widened, not the whole table."""
    from onnx import TensorProto, helper, numpy_helper

    from model_functions.engines.onnx_file import EXTERNAL_BYTES

    uses: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            uses.setdefault(name, []).append(node)
    for tensor in graph.initializer:
        lookups = uses.get(tensor.name, [])
        table = tensor.data_type == TensorProto.FLOAT and math.prod(tensor.dims) * 4 >= EXTERNAL_BYTES
        if not table or not all(node.op_type == "Gather" and node.input[1] != tensor.name for node in lookups):
            continue
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
        for node in lookups:
            wide = node.output[0]
            node.output[0] = f"{wide}_half"
            cast = helper.make_node("Cast", [node.output[0]], [wide], to=TensorProto.FLOAT)
            graph.node.insert(list(graph.node).index(node) + 1, cast)


def openvino_graph(model: Any, precision: str) -> Any:
    """The ONNX model as OpenVINO's intermediate representation.

    Args:
        precision: in which it computes; its weights are stored in half precision where that rounds no more, and those
            of its products as int8 for ``int8`` and ``int8-weights``.
    """
    from model_functions.engines.openvino import OpenvinoGraph, openvino_package

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model.SerializeToString())
        converted = openvino_package.Core().read_model(path)
        openvino_package.save_model(converted, path.with_suffix(".xml"), compress_to_fp16=precision != "fp32")
        if precision in ("int8", "int8-weights"):
            halved = openvino_package.Core().read_model(path.with_suffix(".xml"))
            quantized = int8_products(halved)
            path = path.with_name("quantized.onnx")
            openvino_package.save_model(quantized, path.with_suffix(".xml"), compress_to_fp16=False)
        weights = np.fromfile(path.with_suffix(".bin"), np.uint8)
        return OpenvinoGraph(_renamed(path.with_suffix(".xml").read_text()).encode(), weights, precision)


def int8_products(model: Any) -> Any:
    """The OpenVINO model with int8 weights in its products of matrices: a scale for each column of the result."""
    from openvino import opset13 as operations

    for node in model.get_ordered_ops():
        if node.get_type_name() != "MatMul":
            continue
        weights = _constant(node.input_value(1).get_node())
        if weights is None or weights.ndim != 2:
            continue
        turned = np.ascontiguousarray(weights if node.get_attributes()["transpose_b"] else weights.T)
        narrow, scales = rounded(turned)
        # In the form that the engine knows for compressed weights, and multiplies without widening them first.
        widened = operations.convert(operations.constant(narrow), "f16")
        scaled = operations.multiply(widened, operations.constant(scales.astype(np.float16)))
        single = operations.convert(scaled, "f32")
        product = operations.matmul(node.input_value(0), single, node.get_attributes()["transpose_a"], True)
        for target in list(node.output(0).get_target_inputs()):
            target.replace_source_output(product.output(0))
    return model


def rounded(values: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """A matrix as int8, with a scale for each of its rows."""
    scales = np.abs(values).max(axis=1, keepdims=True).astype(np.float32) / 127
    scales[scales == 0] = 1
    return np.rint(values / scales).astype(np.int8), scales


def _constant(node: Any) -> NDArray[np.float32] | None:
    """The values of a constant, stored in half precision or not."""
    if node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Constant" or not np.issubdtype(node.data.dtype, np.floating):
        return None
    values: NDArray[np.float32] = node.data.astype(np.float32)
    return values


def _renamed(xml: str) -> str:
    """The representation with its layers named by their numbers: a process counts on with each that it converts."""
    return re.sub(r'<layer id="(\d+)" name="[^"]*"', r'<layer id="\1" name="\1"', xml)


#: From an ONNX model, and the precision, to the engine's graph.
BUILDERS: dict[str, Callable[[Any, str], Any]] = {
    "onnxruntime": lambda model, precision: onnxruntime_graph(model, half=precision == "fp16"),
    "openvino": openvino_graph,
}


def multiplied_bytes(model: Any) -> int:
    """Bytes of the ONNX model's weights that every token meets: what is only looked up costs no time."""
    looked_up = {node.input[0] for node in model.graph.node if node.op_type == "Gather"}
    used = {name for node in model.graph.node if node.op_type != "Gather" for name in node.input}
    tables = looked_up - used
    return sum(4 * math.prod(tensor.dims) for tensor in model.graph.initializer if tensor.name not in tables)


def _module(model: Any, names: list[str], output: str) -> Any:
    """The model with its inputs in a row, and one output."""
    import torch

    class Exported(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *arrays: Any) -> Any:
            return getattr(self.model(**dict(zip(names, arrays, strict=True))), output)

    return Exported().eval()
