"""Runs decoders in OpenVINO, any sequences side by side: their attention finds the past in pages of memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_functions.engines.openvino import openvino_package as openvino
from model_functions.engines.openvino import options
from model_functions.engines.pages import PAGE_TOKENS, Row, pages_for
from model_functions.engines.search import Floats

#: What the kernel is told of all sequences of a step, beside their tokens.
_PLACES = ("past_lens", "subsequence_begins", "block_indices", "block_indices_begins", "max_context_len")

#: What keys and values are kept in, where not in single precision. Reading them takes up to half of a step of eight.
_KEPT = {"bf16": "bf16", "int8": "u8"}


@dataclass(frozen=True)
class Attention:
    """A layer's attention.

    Args:
        scale: of a query's products with the keys.
        window: tokens that it looks back at; 0: all.
        heads: of the queries.
        shared: of the keys and values, each of which several queries' heads may share.
        key_size, value_size: of a head.
    """

    scale: float
    window: int
    heads: int
    shared: int
    key_size: int
    value_size: int

    @property
    def token_bytes(self) -> int:
        """What a token leaves in the pages, in single precision."""
        return 4 * self.shared * (self.key_size + self.value_size)


class PagedGraph:
    """An intermediate representation of flat tokens: those of all sequences in a row, without padding.

    It stands in operations of OpenVINO's own; where a layer attends, it joins queries, keys and values in an operation
    named ``attend.0`` and on, and takes the first columns of it in one named ``attended.0`` and on. The attention comes
    between them here, as OpenVINO cannot read the operation for it from a file.

    Args:
        xml: its structure; ``tokens``, ``positions`` and, of each sequence's last token, the place, ``last``, come in.
        weights: its constants, uint8.
        layers: their attention.
        pages: that there are for all sequences.
        precision: in which it computes (see ``compiled`` in engines/openvino.py).
    """

    def __init__(
        self, xml: bytes, weights: NDArray[np.uint8], layers: Sequence[Attention], pages: int, precision: str
    ) -> None:
        state = {"xml": xml, "weights": weights, "layers": tuple(layers), "pages": pages, "precision": precision}
        self.__setstate__(state)

    def run(self, rows: list[Row]) -> Floats:
        """How likely each token is to follow each row, shape (rows, vocabulary); valid until the next run."""
        used = [row.pages[: pages_for(row.past + len(row.tokens))] for row in rows]
        ends = np.cumsum([0, *(len(row.tokens) for row in rows)])
        arrays = {
            "tokens": np.concatenate([row.tokens for row in rows]),
            "positions": np.concatenate([np.arange(row.past, row.past + len(row.tokens)) for row in rows]),
            "last": ends[1:] - 1,
            "past_lens": _int32([row.past for row in rows]),
            "subsequence_begins": _int32(ends),
            "block_indices": _int32(np.concatenate(used)),
            "block_indices_begins": _int32(np.cumsum([0, *map(len, used)])),
            "max_context_len": _int32(max(row.past + len(row.tokens) for row in rows)),
        }
        for name, array in arrays.items():
            self._request.set_tensor(name, openvino.Tensor(array))
        self._request.infer()
        scores: Floats = self._request.get_output_tensor(0).data
        return scores

    def copy(self, page: int, other: int) -> None:
        """Makes the other page the same."""
        for memory in self._memory:
            memory[other] = memory[page]

    def memory_bytes(self) -> int:
        """Of all pages, at most."""
        return self.pages * PAGE_TOKENS * sum(layer.token_bytes for layer in self.layers)

    def __getstate__(self) -> dict[str, Any]:
        names = ("xml", "weights", "layers", "pages", "precision")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.xml: bytes = state["xml"]
        self.weights: NDArray[np.uint8] = state["weights"]
        self.layers: tuple[Attention, ...] = state["layers"]
        self.pages: int = state["pages"]
        self.precision: str = state["precision"]
        core = openvino.Core()
        model = core.read_model(self.xml.decode(), openvino.Tensor(self.weights, shared_memory=True))
        _attend(model, self.layers)
        pages = {"KV_CACHE_PRECISION": _KEPT.get(self.precision, "f32")}
        compiled = core.compile_model(model, "CPU", options(self.precision) | pages)
        self._request = compiled.create_infer_request()
        self._memory = [self._paged(value) for value in compiled.inputs if "_cache." in value.get_any_name()]

    def _paged(self, value: Any) -> NDArray[Any]:
        """Memory for a layer's keys or values, which costs nothing before it is written to."""
        _, *shape = (dimension.get_max_length() for dimension in value.get_partial_shape())
        kind = value.get_element_type()
        memory = np.zeros((self.pages, *shape), np.dtype(f"u{kind.size}"))
        self._request.set_tensor(value.get_any_name(), openvino.Tensor(memory, openvino.Shape(memory.shape), kind))
        return memory


def _int32(values: Any) -> NDArray[np.int32]:
    return np.array(values, dtype=np.int32)


def _attend(model: Any, layers: Sequence[Attention]) -> None:
    """Puts the attention into the graph."""
    places = {name: _parameter(name, openvino.Type.i32, [-1]) for name in _PLACES[:-1]}
    places |= {name: _parameter(name, openvino.Type.i32, []) for name in _PLACES[-1:]}
    caches = []
    named = {operation.get_friendly_name(): operation for operation in model.get_ops()}
    for number, layer in enumerate(layers):
        memory = [_parameter(f"{kind}_cache.{number}", openvino.Type.dynamic, [-1] * 4) for kind in ("key", "value")]
        caches += memory
        joined = named[f"attend.{number}"]
        attention = openvino.op._PagedAttentionExtension(_inputs(joined, memory, places, layer))
        facts = attention.get_rt_info()
        facts["num_k_heads"] = facts["num_v_heads"] = layer.shared
        facts["k_head_size"], facts["v_head_size"] = layer.key_size, layer.value_size
        for target in named[f"attended.{number}"].output(0).get_target_inputs():
            target.replace_source_output(attention.output(0))
    model.add_parameters([*places.values(), *caches])
    model.validate_nodes_and_infer_types()


def _inputs(joined: Any, memory: list[Any], places: dict[str, Any], layer: Attention) -> list[Any]:
    """What the operation takes, in its order; most of it is for what is not done here."""
    nothing, no_numbers = np.zeros(0, np.int32), np.zeros(0, np.float32)
    *indices, longest = places.values()
    constants = {
        "scale": np.float32(layer.scale),
        "sliding_window": np.int32(layer.window),
        "alibi_slopes": no_numbers,
        "max_context_len": longest,
        "score_aggregation_window": nothing,
        "rotated_block_indices": nothing,
        "rotation_deltas": nothing.reshape(0, 0),
        "rotation_trig_lut": no_numbers.reshape(0, 0),
        "xattention_threshold": no_numbers,
        "xattention_block_size": np.int32(64),
        "xattention_stride": np.int32(8),
        "sinks": no_numbers.reshape(0, 0, 0, 0),
        "adaptive_rkv_start_size": np.int32(0),
        "adaptive_rkv_evictable_sizes": nothing,
        "adaptive_rkv_diversity_block_set_indices": nothing,
        "adaptive_rkv_diversity_block_set_indices_begins": nothing,
        "token_type_ids": nothing,
        "qq_bias": np.zeros(0, np.uint8),
        "qq_bias_begins": nothing,
    }
    told = [value if value is longest else openvino.opset13.constant(value) for value in constants.values()]
    return [
        *(joined.input_value(index) for index in range(3)),
        *(node.output(0) for node in (*memory, *indices, *told)),
    ]


def _parameter(name: str, kind: Any, shape: list[int]) -> Any:
    parameter = openvino.op.Parameter(kind, openvino.PartialShape(shape))
    parameter.set_friendly_name(name)
    parameter.output(0).get_tensor().set_names({name})
    return parameter
