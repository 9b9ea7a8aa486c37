"""From a transformers encoder-decoder to two graphs: one reads texts, one takes a step in writing the answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from deploy.lanes import graphs


@dataclass(frozen=True)
class Exported:
    """The graphs as ONNX models (onnx.ModelProto).

    Args:
        cache: heads and their size, for each of the arrays that a step remembers.
    """

    reader: Any
    stepper: Any
    cache: list[tuple[int, int]]


def export(model: Any) -> Exported:
    """The model's graphs, of any number of texts and any lengths, before the first token too."""
    import torch

    with _one_token_head(model), torch.no_grad():
        numbers = torch.zeros((2, 5), dtype=torch.long)
        mask = torch.ones_like(numbers)
        # The exporter must not take the mask for one that masks nothing.
        mask[1, 3:] = 0
        reader, stepper = _modules(model)
        source = list(reader(numbers, mask))
        past = [array[:, :, :3].clone() for array in source]
        count = len(source)
        names = {kind: [f"{kind}_{index}" for index in range(count)] for kind in ("source", "past", "next")}
        return Exported(
            graphs.exported(
                reader, (numbers, mask), ({0, 1}, {0, 1}), ["input_ids", "attention_mask"], names["source"]
            ),
            graphs.exported(
                stepper,
                (numbers[:, :1].clone(), mask, past, source),
                ({0}, {0, 1}, [{0, 2}] * count, [{0, 2}] * count),
                ["token", "attention_mask", *names["past"], *names["source"]],
                ["logits", *names["next"]],
            ),
            [(array.shape[1], array.shape[3]) for array in source],
        )


def _modules(model: Any) -> tuple[Any, Any]:
    """The model as a reader of texts, and as a writer of one token more."""
    import torch
    from transformers.cache_utils import DynamicCache, EncoderDecoderCache

    class Reader(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            # What the step itself computes is not asked for, so the exporter leaves it out.
            cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
            self.model(
                input_ids=input_ids,
                attention_mask=attention_mask,
                decoder_input_ids=input_ids[:, :1],
                past_key_values=cache,
                use_cache=True,
            )
            return _flat(cache.cross_attention_cache)

    class Stepper(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, token: Any, attention_mask: Any, past: list[Any], source: list[Any]) -> Any:
            cache = EncoderDecoderCache(_cache(past), _cache(source))
            # Only its shape is looked at: the keys and values of the text are there.
            hidden = torch.zeros(source[0].shape[0], source[0].shape[2], 1)
            answer = self.model(
                encoder_outputs=(hidden,),
                attention_mask=attention_mask,
                decoder_input_ids=token,
                past_key_values=cache,
                use_cache=True,
            )
            return answer.logits[:, -1], *_flat(cache.self_attention_cache)

    def _cache(flat: list[Any]) -> Any:
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(zip(flat[::2], flat[1::2], strict=True)):
            cache.update(keys, values, layer)
        return cache

    return Reader().eval(), Stepper().eval()


def _flat(cache: Any) -> tuple[Any, ...]:
    return tuple(array for layer in cache.layers for array in (layer.keys, layer.values))


@contextmanager
def _one_token_head(model: Any) -> Iterator[None]:
    """The output layer on two dimensions: on three, the exporter would store a turned copy of the embeddings."""
    import torch

    class Head(torch.nn.Module):
        def __init__(self, head: Any) -> None:
            super().__init__()
            self.head = head

        def forward(self, hidden: Any) -> Any:
            return self.head(hidden[:, -1])[:, None]

    head = model.get_output_embeddings()
    model.set_output_embeddings(Head(head))
    try:
        yield
    finally:
        model.set_output_embeddings(head)
