"""The fast lane of a torch module of tensors: an ONNX graph with the same inputs and outputs."""

import copy
from typing import Any

import numpy as np

from deploy.lanes import (
    TOLERANCE,
    Lane,
    NotEqual,
    accepted,
    apart,
    as_stored,
    check_predictions,
    checked_difference,
    graphs,
)
from model_functions.engines.tensors import stacked
from model_functions.errors import InvalidInput
from model_functions.wrapper import ModelWrapper

ENGINES = ("onnxruntime",)


def export(wrapper: Any, examples: list[Any]) -> Any:
    own = wrapper.engine
    outputs = [spec.name for spec in own.outputs]
    if own.program is not None:
        return graphs.converted(own.program, [spec.name for spec in own.inputs], outputs)
    [batch, *_] = _batches(wrapper, examples)
    arguments = [name for name in own.arguments() if name in batch]
    if set(arguments) != set(batch):
        raise ValueError("the module takes inputs that its forward does not name")
    tensors = own.tensors(batch)
    free = tuple(_free(next(spec for spec in own.inputs if spec.name == name)) for name in arguments)
    return graphs.exported(own.module, tuple(tensors[name] for name in arguments), free, arguments, outputs)


def build(wrapper: ModelWrapper, engine: str, precision: str, model: Any, examples: list[Any]) -> Lane:
    """Raises NotEqual where the graph does not answer as the module does."""
    from model_functions.engines.onnxruntime import OnnxModel

    own: Any = wrapper.engine  # type: ignore[attr-defined]
    graph = graphs.BUILDERS[engine](model, precision)
    fast: Any = copy.copy(wrapper)
    fast.engine = OnnxModel(graph, own.inputs, own.outputs, own.sizes)
    stored: Any = as_stored(fast)
    tried = _batches(wrapper, examples)
    difference = checked_difference((_difference(own, stored.engine, batch) for batch in tried), precision)
    check_predictions(wrapper, stored, examples, TOLERANCE[precision])
    return accepted(stored, engine, precision, difference)


def _batches(wrapper: Any, examples: list[Any]) -> list[dict[str, Any]]:
    """The examples twice over and alone, as the module reads them: a dimension of one size looks like a fixed one."""
    found = []
    for example in examples:
        items, _ = wrapper.input.items(example)
        sizes = (items * 2, items[:1]) if wrapper.tensors.batched else (items,)
        found += [
            stacked([row.features for row in wrapper.preprocess(tried, {}).rows], wrapper.tensors) for tried in sizes
        ]
    return found


def _free(spec: Any) -> set[int]:
    return {place for place, size in enumerate(spec.shape or ()) if not isinstance(size, int)}


def _difference(own: Any, fast: Any, batch: dict[str, Any]) -> float:
    """The largest difference of two outputs, in parts of the largest output. Raises NotEqual for other shapes."""
    names = [spec.name for spec in own.outputs]
    largest = 0.0
    for expected, found in zip(own.run(batch, names), _answer(fast, batch, names), strict=True):
        if expected.shape != found.shape or expected.dtype != found.dtype:
            raise NotEqual("it gives outputs of other shapes")
        if expected.dtype.kind not in "fc":
            if not np.array_equal(expected, found):
                raise NotEqual("it gives other whole numbers")
            continue
        largest = max(largest, apart(expected.astype(np.float64), found))
    return largest


def _answer(fast: Any, batch: dict[str, Any], names: list[str]) -> list[Any]:
    try:
        answer: list[Any] = fast.run(batch, names)
    except InvalidInput as exc:
        raise NotEqual(f"it takes other inputs: {exc.message}") from exc
    return answer
