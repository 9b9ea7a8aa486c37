"""From a transformers decoder to a graph of flat tokens, those of all sequences in a row, for PagedGraph."""

import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deploy.lanes.graphs import rounded
from model_functions.engines.paged import Attention, PagedGraph

#: What stands for attention while the model is exported, in transformers and in torch.
_NAME, _OPERATION = "model_functions_paged", "model_functions::attend"

#: The smallest matrix that is worth a scale for each of its rows.
_LEAST_VALUES = 4096


@dataclass(frozen=True)
class Exported:
    """The graph (openvino.Model), as PagedGraph takes it.

    Args:
        layers: their attention.
    """

    model: Any
    layers: list[Attention]


def export(model: Any) -> Exported:
    """The model's graph of any number of tokens. Raises ValueError for attention that the pages do not know."""
    import torch

    # Else the converter tells its makers of each model, from a copy of this whole process.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    from openvino.frontend.pytorch import ConversionExtension
    from openvino.tools.ovc import convert_model

    layers: list[Attention] = []
    free = {0: torch.export.Dim.DYNAMIC}
    tokens, last = torch.arange(5), torch.tensor([2, 4])
    with _flat_attention(model), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            _module(model), (tokens, tokens.clone(), last), dynamic_shapes=(free, free, free), strict=False
        )
        extension = ConversionExtension(
            f"{_OPERATION.replace('::', '.')}.default", lambda context: _joined(context, layers)
        )
        converted = convert_model(program, extension=[extension])
    if len(layers) != model.config.num_hidden_layers:
        raise ValueError(f"{len(layers)} of its {model.config.num_hidden_layers} layers attend as pages are read")
    for value, name in zip(converted.inputs, ("tokens", "positions", "last"), strict=True):
        value.get_tensor().set_names({name})
    return Exported(converted, layers)


def graph_of(exported: Exported, precision: str, pages: int) -> PagedGraph:
    """The graph with its weights beside it.

    Args:
        precision: one of EngineRecord's.
    """
    import openvino

    model = exported.model.clone()
    if precision in ("int8", "int8-weights"):
        _narrow(model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        openvino.save_model(model, path, compress_to_fp16=precision in ("fp16", "bf16"))
        weights = np.fromfile(path.with_suffix(".bin"), np.uint8)
        xml = _renamed(path.read_text()).encode()
    return PagedGraph(xml, weights, exported.layers, pages, precision)


def weights_bytes(exported: Exported) -> int:
    """In single precision."""
    return sum(
        operation.data.nbytes for operation in exported.model.get_ops() if operation.get_type_name() == "Constant"
    )


def _module(model: Any) -> Any:
    """The model with flat tokens, their places in their sequences, and which of them to give scores for."""
    import torch

    class Exported(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, tokens: Any, positions: Any, last: Any) -> Any:
            answer = self.model(
                input_ids=tokens[None], position_ids=positions[None], use_cache=False, logits_to_keep=last
            )
            return answer.logits[0].float()

    return Exported().eval()


@contextmanager
def _flat_attention(model: Any) -> Iterator[None]:
    """transformers' own way to give a model another attention; without a mask, as the pages tell what is past."""
    from transformers import AttentionInterface

    attend = _operation()

    def flat(module: Any, query: Any, key: Any, value: Any, mask: Any, **options: Any) -> tuple[Any, None]:
        scale, window = options.pop("scaling", None), options.pop("sliding_window", None)
        asked = {name for name, option in options.items() if option is not None and name not in _HARMLESS}
        if asked or mask is not None or not getattr(module, "is_causal", True):
            raise ValueError(f"its attention takes {', '.join(sorted(asked)) or 'a mask of its own'}")
        scale = query.shape[-1] ** -0.5 if scale is None else float(scale)
        sizes = (query.shape[1], key.shape[1], key.shape[3], value.shape[3])
        return attend(query, key, value, scale, window or 0, *sizes).transpose(1, 2), None

    AttentionInterface.register(_NAME, flat)
    own = model.config._attn_implementation
    model.set_attn_implementation(_NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(own)


#: What transformers tells an attention, and changes nothing in a causal one that is not trained.
_HARMLESS = {
    *(
        "dropout",
        "is_causal",
        "position_ids",
        "cache_position",
        "use_cache",
        "output_attentions",
        "output_hidden_states",
    ),
    *("position_embeddings", "return_dict", "logits_to_keep", "cu_seq_lens_q", "cu_seq_lens_k"),
}


@cache
def _operation() -> Any:
    """The operation that stands for attention in the exported program."""
    import torch

    schema = "(Tensor query, Tensor key, Tensor value, float scale, int window, int heads, int shared, int key_size, "
    schema += "int value_size) -> Tensor"

    def shaped(query: Any, key: Any, value: Any, *facts: Any) -> Any:
        return query.new_empty((*query.shape[:3], value.shape[3]))

    operation: Any = torch.library.custom_op(_OPERATION, shaped, mutates_args=(), schema=schema)
    operation.register_fake(shaped)
    return operation


def _joined(context: Any, layers: list[Attention]) -> Any:
    """Queries, keys and values of the next layer, and what stands for its answer, as PagedGraph names them."""
    from openvino import opset13

    def integers(*values: int) -> Any:
        return opset13.constant(np.array(values, dtype=np.int32))

    def flat(value: Any, width: int) -> Any:
        return opset13.reshape(opset13.transpose(value, integers(0, 2, 1, 3)), integers(-1, width), False)

    scale, window, heads, shared, key_size, value_size = (
        np.asarray(context.get_values_from_const_input(index)).item() for index in range(3, 9)
    )
    number, layer = len(layers), Attention(float(scale), window, heads, shared, key_size, value_size)
    layers.append(layer)
    widths = (heads * key_size, shared * key_size, shared * value_size)
    joined = opset13.concat([flat(context.get_input(index), width) for index, width in enumerate(widths)], 1)
    joined.set_friendly_name(f"attend.{number}")
    attended = opset13.slice(joined, integers(0), integers(heads * value_size), integers(1), integers(1))
    attended.set_friendly_name(f"attended.{number}")
    whole = opset13.reshape(attended, integers(1, -1, heads, value_size), False)
    return opset13.transpose(whole, integers(0, 2, 1, 3)).outputs()


def _renamed(xml: str) -> str:
    """The representation without what a process counts on with each it converts: its name, and its other layers'."""
    xml = re.sub(r'<net name="[^"]*"', '<net name="decoder"', xml, count=1)
    return re.sub(r'<layer id="(\d+)" name="(?!attend(?:ed)?\.\d+")[^"]*"', r'<layer id="\1" name="\1"', xml)


def _narrow(model: Any) -> None:
    """Stores the weights as whole numbers of eight bits, with a scale for each row."""
    from openvino import opset13

    made: dict[Any, tuple[Any, Any]] = {}

    def narrowed(constant: Any, *, turned: bool) -> tuple[Any, Any]:
        """The numbers and the scales of a matrix, one for those that hold the same."""
        values: NDArray[Any] = constant.data.T if turned else constant.data
        key = values.shape, hash(values.tobytes())
        if key not in made:
            numbers, scales = rounded(values)
            made[key] = opset13.constant(numbers), opset13.constant(scales)
        return made[key]

    for operation in model.get_ordered_ops():
        kind = operation.get_type_name()
        place = {"MatMul": 1, "Gather": 0}.get(kind)
        constant = None if place is None else operation.input_value(place).get_node()
        if constant is None or constant.get_type_name() != "Constant" or not _is_matrix(constant):
            continue
        if kind == "MatMul":
            attributes = operation.get_attributes()
            numbers, scales = narrowed(constant, turned=not attributes["transpose_b"])
            weights = opset13.multiply(opset13.convert(numbers, "f32"), scales)
            other = opset13.matmul(operation.input_value(0), weights, attributes["transpose_a"], True)
        else:
            numbers, scales = narrowed(constant, turned=False)
            found = (opset13.gather(table, *operation.input_values()[1:]) for table in (numbers, scales))
            rows, row_scales = found
            other = opset13.multiply(opset13.convert(rows, "f32"), row_scales)
        for target in operation.output(0).get_target_inputs():
            target.replace_source_output(other.output(0))
    model.validate_nodes_and_infer_types()


def _is_matrix(constant: Any) -> bool:
    shape = list(constant.get_output_shape(0))
    return constant.get_element_type().is_real() and len(shape) == 2 and int(np.prod(shape)) >= _LEAST_VALUES
