"""What ``/v2/models/{model}/infer`` asks and answers: tensors as JSON, and as bytes behind it.

Sources: kserve/open-inference-protocol, specification/protocol/inference_rest.md; triton-inference-server/server,
docs/protocol/extension_{binary_data,classification,parameters,schedule_policy}.md.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from model_functions.errors import InvalidInput
from model_functions.http.coding import compressed
from model_functions.http.message import Response
from model_functions.http.protocols.datatypes import DATATYPES, DTYPES, SIZES
from model_functions.http.question import Question, headers_of
from model_functions.loaded import LoadedModel
from model_functions.tensors import TensorSpec
from model_functions.wrapper import ModelWrapper

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The length of the JSON before the bytes.
HEADER = "Inference-Header-Content-Length"
BYTES = "application/octet-stream"

#: Parameters of a request that are not the model's: Triton's own, which all its clients may send, and MLServer's.
_RESERVED = {
    *("sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "binary_data_output"),
    *("content_type", "headers"),
}
_RESERVED_PREFIX = "triton_"


@dataclass(slots=True)
class Asked:
    """An input of a request.

    Args:
        path: where in the request it stands.
        data: lists as JSON has them, or bytes.
    """

    name: str
    path: str
    datatype: str
    shape: list[int]
    data: Any


@dataclass(slots=True)
class Wanted:
    """An output that a request names.

    Args:
        as_bytes: None: as the request says of all.
        classes: so many of the best places instead of the numbers themselves; 0: the numbers.
    """

    name: str
    as_bytes: bool | None
    classes: int


@dataclass(slots=True)
class InferQuestion(Question):
    """Tensors in, tensors out.

    Args:
        data: the inputs; of a raw binary request the only one's bytes.
        id: of the caller's own, repeated in the answer.
        wanted: the outputs that it names; none: all.
        as_bytes: whether outputs of which nothing else is said are answered as bytes.
        coding: how the answer is compressed.
    """

    as_tensors = True

    data: list[Asked] | memoryview
    id: str | None = None
    wanted: list[Wanted] = field(default_factory=list)
    as_bytes: bool = False
    coding: str = ""

    def read(self, wrapper: ModelWrapper) -> tuple[Any, dict[str, Any]]:
        specs = wrapper.tensor_outputs()
        for one in self.wanted:
            _check_output(one.name, [spec.name for spec in specs])
        inputs = self.data if isinstance(self.data, list) else [_only_input(self.data, wrapper)]
        arrays = {one.name: _array(one) for one in inputs}
        parameters = model_parameters(wrapper, self.parameters)
        # A model that can leave outputs out computes no others.
        if self.wanted and "outputs" in wrapper.parameters and "outputs" not in parameters:
            parameters["outputs"] = ",".join(one.name for one in self.wanted)
        return wrapper.data_of(arrays), parameters

    def answer(self, model: LoadedModel, prediction: Mapping[str, NDArray[Any]]) -> Response:
        specs = {spec.name: spec for spec in model.wrapper.tensor_outputs()}
        outputs, parts = [], list[Any]()
        for one in self.wanted or [Wanted(name, None, 0) for name in prediction]:
            # What a parameter leaves out is declared, and is not there.
            _check_output(one.name, prediction)
            labels = model.wrapper.tensor_labels(one.name) if one.classes else []
            record, data = self._output(one, prediction[one.name], specs.get(one.name), labels)
            outputs.append(record)
            parts += [] if data is None else [data]
        told: dict[str, Any] = {"model_name": model.manifest.name, "model_version": model.manifest.revision}
        told |= ({} if self.id is None else {"id": self.id}) | {"outputs": outputs}
        try:
            response = Response.json(told, headers=headers_of(model))
        except ValueError as exc:
            # Bytes could tell it: what cannot is what the caller chose.
            raise InvalidInput(
                "outputs",
                f"{model.manifest.name} answered with a number that is not finite, which JSON does not have. Ask for "
                'the output as bytes: "parameters": {"binary_data": true}.',
            ) from exc
        if parts:
            response.headers |= {"Content-Type": BYTES, HEADER: str(len(response.body))}
            response.body = b"".join([response.body, *parts])
        return compressed(response, self.coding)

    def _output(
        self, wanted: Wanted, array: NDArray[Any], spec: TensorSpec | None, labels: list[str]
    ) -> tuple[dict[str, Any], Any]:
        """The output's record, and its bytes if it has any."""
        from model_functions.http.protocols.tensor_bytes import datatype_of, to_bytes

        datatype = datatype_of(array, spec)
        if wanted.classes:
            array, datatype = _classified(array, wanted, labels), "BYTES"
        record: dict[str, Any] = {"name": wanted.name, "datatype": datatype, "shape": list(array.shape)}
        if self.as_bytes if wanted.as_bytes is None else wanted.as_bytes:
            data = to_bytes(array, datatype)
            return record | {"parameters": {"binary_data_size": len(data)}}, data
        values = array.reshape(-1).tolist()
        return record | {"data": _texts(values, wanted.name) if datatype == "BYTES" else values}, None


def model_parameters(wrapper: ModelWrapper, given: Mapping[str, Any]) -> dict[str, Any]:
    """The request's parameters that are the model's. Clients send no lists: those are spelled as JSON in a string."""
    found = {}
    for name, value in given.items():
        if name in _RESERVED or name.startswith(_RESERVED_PREFIX):
            continue
        parameter = wrapper.parameters.get(name)
        spelled = isinstance(value, str) and parameter is not None and parameter.type != "string"
        found[name] = parameter.parse(value) if spelled and parameter is not None else value
    return found


def _check_output(name: str, known: Collection[str]) -> None:
    if name not in known:
        raise InvalidInput("outputs", f'There is no output "{name[:60]}". The outputs: {", ".join(known)}.')


def _only_input(data: memoryview, wrapper: ModelWrapper) -> Asked:
    """The input that is the whole body. Its shape follows from the model's and from how long it is."""
    needed = [spec for spec in wrapper.tensor_inputs() if not spec.optional]
    if len(needed) != 1:
        names = ", ".join(spec.name for spec in needed)
        raise InvalidInput("inputs", f"A body of bytes alone is a single input, and the model has {names}. Send JSON.")
    [spec] = needed
    datatype = DATATYPES[spec.dtype]
    if spec.dtype == "string":
        return Asked(spec.name, spec.name, datatype, [1], [data.tobytes()])
    # Its first dimension counts items, of which the body is one.
    shape: list[Any] = [size if isinstance(size, int) else None for size in spec.shape or ()]
    shape[:1] = [1] if shape[:1] == [None] and len(shape) > 1 else shape[:1]
    free = [place for place, size in enumerate(shape) if size is None]
    if spec.shape is None or len(free) > 1:
        raise InvalidInput("inputs", f"How a body of bytes alone is read, {spec.spelled()} does not tell. Send JSON.")
    for place in free:
        shape[place] = len(data) // (math.prod(size for size in shape if size) * SIZES[datatype])
    return Asked(spec.name, spec.name, datatype, shape, data)


def _array(asked: Asked) -> NDArray[Any]:
    # Imported here: a function that waits for its first request has no use for numpy.
    from model_functions.http.protocols.nested import flat_array
    from model_functions.http.protocols.tensor_bytes import from_bytes

    if isinstance(asked.data, memoryview):
        return from_bytes(asked.data, asked.datatype, asked.shape, asked.path)
    path = f"{asked.path}.data"
    array = flat_array(asked.data, TensorSpec(asked.name, DTYPES[asked.datatype], None), path)
    if len(array) != math.prod(asked.shape):
        raise InvalidInput(
            path, f"{path} has {len(array)} values; the shape {asked.shape} has {math.prod(asked.shape)}. Send as many."
        )
    return array.reshape(asked.shape)


def _classified(array: NDArray[Any], wanted: Wanted, labels: list[str]) -> NDArray[Any]:
    """``value:index:label`` of the best places of each item, as strings."""
    import numpy as np

    if array.dtype == object or not array.ndim:
        raise InvalidInput("outputs", f'The output "{wanted.name}" has no classes to choose from. Ask for it as it is.')
    rows = array.reshape(len(array) if array.ndim > 1 else 1, -1)
    best = np.argsort(-rows.astype(np.float64), axis=1, kind="stable")[:, : wanted.classes]
    ends = [f":{label}" for label in labels] if len(labels) == rows.shape[1] else [""] * rows.shape[1]
    found = [
        f"{row[place]!s}:{place}{ends[place]}".encode()
        for row, places in zip(rows, best.tolist(), strict=True)
        for place in places
    ]
    return np.array(found, object).reshape(best.shape if array.ndim > 1 else -1)


def _texts(values: list[bytes], name: str) -> list[str]:
    try:
        return [value.decode() for value in values]
    except UnicodeDecodeError as exc:
        raise InvalidInput(
            "outputs", f'The output "{name}" is no text, which JSON would need. Ask for it with "binary_data": true.'
        ) from exc
