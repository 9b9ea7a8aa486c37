"""Tiny ONNX graphs, made node by node."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING


def tensor(name: str, shape: list[Any] | None, dtype: int = FLOAT) -> Any:
    return helper.make_tensor_value_info(name, dtype, shape)


def save(
    path: Path,
    nodes: list[Any],
    inputs: list[Any],
    outputs: list[Any],
    weights: dict[str, Any] | None = None,
    *,
    opsets: tuple[tuple[str, int], ...] = (("", 17), ("ai.onnx.ml", 3)),
    **options: Any,
) -> Path:
    """Writes the graph; ``options`` are those of onnx.save."""
    initializers = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, initializers)
    imports = [helper.make_opsetid(domain, version) for domain, version in opsets]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=9), path, **options)
    return path


def linear(path: Path, *, width: int = 3, **options: Any) -> Path:
    """``scores`` of ``features``, any number of rows."""
    weights = {"w": np.random.default_rng(0).normal(size=(width, 2)).astype(np.float32)}
    nodes = [helper.make_node("MatMul", ["features", "w"], ["scores"])]
    return save(path, nodes, [tensor("features", ["n", width])], [tensor("scores", ["n", 2])], weights, **options)


def convolution(path: Path) -> Path:
    """Whose weights onnxruntime lays out anew: a mean a channel of ``pixels``, (any, 1, 8, 8)."""
    weights = {
        "w": np.random.default_rng(0).normal(size=(32, 1, 3, 3)).astype(np.float32),
        "scale": np.random.default_rng(1).normal(size=(32, 20)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["pixels", "w"], ["wide"], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["wide"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "scale"], ["channels"]),
    ]
    inputs, outputs = [tensor("pixels", [None, 1, 8, 8])], [tensor("channels", [None, 20])]
    return save(path, nodes, inputs, outputs, weights)


def picture(path: Path) -> Path:
    """``left`` or ``right``: which half of 4 × 4 ``pixels`` is darker. Its labels stand beside it."""
    nodes = [
        helper.make_node("Flatten", ["pixels"], ["flat"]),
        helper.make_node("MatMul", ["flat", "halves"], ["side"]),
    ]
    halves = np.tile([[1, 0], [1, 0], [0, 1], [0, 1]], (4, 1)).astype(np.float32)
    steps = {"postprocess": {"side": ["softmax", {"labels": ["left", "right"]}]}}
    path.with_suffix(".json").write_text(json.dumps(steps))
    return save(path, nodes, [tensor("pixels", [None, 4, 4])], [tensor("side", [None, 2])], {"halves": halves})


def weighted_sums(path: Path) -> Path:
    """Two outputs of two inputs of equal length, and ``scale``, which has a value of its own: 2."""
    nodes = [
        helper.make_node("Mul", ["values", "weights"], ["products"]),
        helper.make_node("ReduceSum", ["products", "axes"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "scale"], ["scaled"]),
    ]
    inputs = [tensor("values", ["batch", "length"]), tensor("weights", ["batch", "length"]), tensor("scale", [1])]
    outputs = [tensor("products", ["batch", "length"]), tensor("scaled", ["batch"])]
    weights = {"axes": np.array([1]), "scale": np.array([2], np.float32)}
    return save(path, nodes, inputs, outputs, weights)


def zip_map(path: Path) -> Path:
    """A classifier as scikit-learn's converter makes it: labels, and a sequence of maps."""
    nodes = [
        helper.make_node(
            "LinearClassifier",
            ["row"],
            ["label", "scores"],
            domain="ai.onnx.ml",
            classlabels_ints=[7, 9],
            coefficients=[-1.0, 0.0, 1.0, 0.0],
            intercepts=[0.0, 0.0],
            post_transform="SOFTMAX",
        ),
        helper.make_node("ZipMap", ["scores"], ["probabilities"], domain="ai.onnx.ml", classlabels_int64s=[7, 9]),
    ]
    of_floats = helper.make_map_type_proto(INT64, helper.make_tensor_type_proto(FLOAT, None))
    maps = helper.make_value_info("probabilities", helper.make_sequence_type_proto(of_floats))
    return save(path, nodes, [tensor("row", [None, 2])], [tensor("label", [None], INT64), maps])


def words(path: Path) -> Path:
    """Numbers of words, by a dictionary; lists of any length, which are no batch."""
    node = helper.make_node(
        "LabelEncoder",
        ["words"],
        ["numbers"],
        domain="ai.onnx.ml",
        keys_strings=["one", "two"],
        values_int64s=[1, 2],
        default_int64=-1,
    )
    return save(path, [node], [tensor("words", [None], STRING)], [tensor("numbers", [None], INT64)])


def lookup(path: Path, *, batch: Any) -> Path:
    """Rows of a table by number: one that it has not fails in the graph itself."""
    nodes = [helper.make_node("Gather", ["table", "numbers"], ["rows"])]
    inputs, outputs = [tensor("numbers", [batch, 2], INT64)], [tensor("rows", [batch, 2, 3])]
    return save(path, nodes, inputs, outputs, {"table": np.arange(12, dtype=np.float32).reshape(4, 3)})


def total(path: Path) -> Path:
    """One number of any numbers: the first dimension counts no items."""
    nodes = [helper.make_node("ReduceSum", ["values"], ["total"], keepdims=1)]
    return save(path, nodes, [tensor("values", ["n"])], [tensor("total", ["m"])])
