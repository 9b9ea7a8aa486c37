"""The steps that a model of tensors brings as data: before it on its inputs, after it on its outputs.

A step is a word, or an object of one word and its value. Axes and shapes are those of an item, without the batch's.

Before: ``{"rescale": factor}``, ``{"normalize": {"mean": …, "std": …, "axis": -1}}`` (a number, or one for each place
along the axis), ``{"reshape": {"from": [64], "to": [8, 8]}}``, ``{"transpose": [2, 0, 1]}``.
After: ``"softmax"`` or ``"sigmoid"`` over the last axis, ``"argmax"``, and at the end ``{"labels": [name, …]}``, which
names a class that argmax found, and ranks scores as ``[{"label", "score"}, …]``, the best first.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_functions.engines.scores import softmax
from model_functions.string_tensors import strings
from model_functions.tensors import Shape, TensorSpec

Step = tuple[str, Any]


def preprocessing(steps: Any, name: str) -> list[Step]:
    """The steps before the input, once they are known to be steps. Raises ValueError."""
    return _checked(steps, f"preprocess.{name}", _BEFORE)


def postprocessing(steps: Any, name: str) -> list[Step]:
    """The steps after the output, once they are known to be steps. Raises ValueError."""
    found = _checked(steps, f"postprocess.{name}", _AFTER)
    if any(word == "labels" for word, _ in found[:-1]):
        raise ValueError(f"postprocess.{name}: labels is the last step, and another follows it.")
    return found


def requested(spec: TensorSpec, steps: list[Step]) -> TensorSpec:
    """What a request sends of an input that goes through the steps.

    Args:
        spec: of the model's own input, without the batch's dimension.
    """
    for index, (word, value) in reversed(list(enumerate(steps))):
        place = f"preprocess.{spec.name}[{index}]"
        if word in ("rescale", "normalize") and not spec.dtype.startswith(("float", "bfloat")):
            raise ValueError(f"{place}: {word} gives numbers with a fraction, and the input is {spec.dtype}.")
        if word == "reshape":
            _check_shape(spec.shape, value["to"], place)
            spec = replace(spec, shape=tuple(value["from"]))
        elif word == "transpose":
            shape = _check_rank(spec.shape, len(value), place)
            spec = replace(spec, shape=tuple(shape[value.index(axis)] for axis in range(len(value))))
    return spec


def prepared(array: NDArray[Any], steps: list[Step], lead: int) -> NDArray[Any]:
    """The array after the steps before the model.

    Args:
        lead: 1 where its first dimension counts items, else 0.
    """
    for word, value in steps:
        if word == "rescale":
            array = array * array.dtype.type(value)
        elif word == "normalize":
            mean, std = (_along(value[part], array, value["axis"]) for part in ("mean", "std"))
            array = (array - mean) / std
        elif word == "reshape":
            array = array.reshape((*array.shape[:lead], *value["to"]))
        else:
            array = array.transpose((*range(lead), *(axis + lead for axis in value)))
    return np.ascontiguousarray(array)


def finished(output: Any, steps: list[Step], top_k: int | None) -> Any:
    """An item's output after the steps that follow the model. Raises ValueError where it does not fit them."""
    for word, value in steps:
        if word == "labels":
            return _labelled(np.asarray(output), value, top_k)
        output = _FUNCTIONS[word](np.asarray(output))
    return output


def answered(spec: TensorSpec, steps: list[Step]) -> TensorSpec:
    """What is answered of the model's own output as a tensor, after the steps."""
    words = [word for word, _ in steps]
    if "argmax" not in words:
        return spec
    shape = None if spec.shape is None else spec.shape[:-1]
    return replace(spec, dtype="string" if words[-1] == "labels" else "int64", shape=shape)


def answer(output: NDArray[Any], steps: list[Step]) -> NDArray[Any]:
    """The outputs of all items after the steps, as a tensor: labels name a class, and leave scores as they are."""
    for word, value in steps:
        if word != "labels":
            output = _FUNCTIONS[word](output)
        elif output.dtype.kind in "iu":
            output = strings(value)[output]
    return output


def _labelled(output: NDArray[Any], labels: list[str], top_k: int | None) -> Any:
    if output.dtype.kind in "iu":
        return np.array(labels, dtype=object)[output] if output.ndim else labels[int(output)]
    if output.shape[-1:] != (len(labels),):
        raise ValueError(f"The model gives scores of shape {output.shape} for {len(labels)} labels.")
    if output.ndim > 1:
        return [_labelled(row, labels, top_k) for row in output]
    order = np.argsort(-output, kind="stable")[:top_k]
    return [{"label": labels[index], "score": float(output[index])} for index in order]


def _sigmoid(output: NDArray[Any]) -> NDArray[Any]:
    scores: NDArray[Any] = 1 / (1 + np.exp(-np.clip(output, -80, 80)))
    return scores


def _argmax(output: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(output.argmax(axis=-1))


_FUNCTIONS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "softmax": softmax,
    "sigmoid": _sigmoid,
    "argmax": _argmax,
}


def _along(value: Any, array: NDArray[Any], axis: int) -> NDArray[Any]:
    """The numbers, as they spread over the array: one alone, or one for each place along the axis."""
    numbers = np.asarray(value, array.dtype)
    if numbers.ndim and axis < 0:
        numbers = numbers.reshape((-1, *(1,) * (-1 - axis)))
    return numbers


def _checked(steps: Any, place: str, known: dict[str, Callable[[Any], Any]]) -> list[Step]:
    if not isinstance(steps, list):
        raise ValueError(f"{place} is no list of steps.")
    found: list[Step] = []
    for index, step in enumerate(steps):
        word, value = (step, None) if isinstance(step, str) else _pair(step)
        if word not in known:
            raise ValueError(f"{place}[{index}] is no step. There are: {', '.join(known)}.")
        try:
            found.append((word, known[word](value)))
        except (TypeError, ValueError, KeyError) as exc:
            raise ValueError(f"{place}[{index}]: {value!r:.60} is nothing that {word} can use. {_USES[word]}") from exc
    return found


def _pair(step: Any) -> tuple[Any, Any]:
    return next(iter(step.items())) if isinstance(step, dict) and len(step) == 1 else (None, None)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError
    return float(value)


def _numbers(value: Any) -> Any:
    return [_number(one) for one in value] if isinstance(value, list) else _number(value)


def _normalize(value: Any) -> dict[str, Any]:
    found = {"mean": _numbers(value["mean"]), "std": _numbers(value["std"]), "axis": value.get("axis", -1)}
    stds = found["std"] if isinstance(found["std"], list) else [found["std"]]
    if not all(stds) or not -8 <= found["axis"] < 0 or not set(value) <= set(found):
        raise ValueError
    return found


def _sizes(value: Any, least: int) -> list[int]:
    if not isinstance(value, list) or any(type(size) is not int or size < least for size in value):
        raise TypeError
    return value


def _reshape(value: Any) -> dict[str, list[int]]:
    found = {"from": _sizes(value["from"], 1), "to": _sizes(value["to"], 1)}
    if math.prod(found["from"]) != math.prod(found["to"]) or set(value) != set(found):
        raise ValueError
    return found


def _transpose(value: Any) -> list[int]:
    if sorted(_sizes(value, 0)) != list(range(len(value))):
        raise ValueError
    return list(value)


def _nothing(value: Any) -> None:
    if value is not None:
        raise ValueError


def _labels(value: Any) -> list[str]:
    if not isinstance(value, list) or not value or any(not isinstance(label, str) for label in value):
        raise ValueError
    return value


_BEFORE: dict[str, Callable[[Any], Any]] = {
    "rescale": _number,
    "normalize": _normalize,
    "reshape": _reshape,
    "transpose": _transpose,
}
_AFTER: dict[str, Callable[[Any], Any]] = {
    "softmax": _nothing,
    "sigmoid": _nothing,
    "argmax": _nothing,
    "labels": _labels,
}
_USES = {
    "rescale": 'Write {"rescale": 0.0625}.',
    "normalize": 'Write {"normalize": {"mean": [0.5], "std": [0.5], "axis": -1}}; no std of 0, axes count from -1.',
    "reshape": 'Write {"reshape": {"from": [64], "to": [8, 8]}}, equally many values in both.',
    "transpose": 'Write {"transpose": [2, 0, 1]}, each axis once.',
    "softmax": 'Write "softmax".',
    "sigmoid": 'Write "sigmoid".',
    "argmax": 'Write "argmax".',
    "labels": 'Write {"labels": ["cat", "dog"]}.',
}


def _check_rank(shape: Shape | None, rank: int, place: str) -> Shape:
    if shape is None or len(shape) != rank:
        raise ValueError(f"{place}: it gives {rank} dimensions, and the model takes the shape {shape}.")
    return shape


def _check_shape(shape: Shape | None, sizes: Iterable[int], place: str) -> None:
    given = list(sizes)
    wanted = _check_rank(shape, len(given), place)
    if any(isinstance(size, int) and size != found for size, found in zip(wanted, given, strict=True)):
        raise ValueError(f"{place}: it gives the shape {tuple(given)}, and the model takes {wanted}.")
