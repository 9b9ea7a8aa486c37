"""The fast lane of a wrapper that labels images: one graph."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deploy.lanes import Lane, NotEqual, accepted, apart, as_stored, checked_difference, graphs
from model_functions.engines.graph import GraphImageClassifier
from model_functions.wrapper import ModelWrapper

ENGINES = tuple(graphs.BUILDERS)

SEED = 12


def export(wrapper: Any, examples: list[Any]) -> Any:
    import torch

    # Two images, so that the exporter does not take their number for a constant.
    pixels = torch.from_numpy(_noise(wrapper, 2))
    return graphs.exported(_module(wrapper.engine.module), (pixels,), ({0},), ["pixel_values"], ["logits"])


def build(wrapper: ModelWrapper, engine: str, precision: str, model: Any, examples: list[Any]) -> Lane:
    """Raises NotEqual where the graph does not answer as the model does."""
    own: Any = wrapper.engine  # type: ignore[attr-defined]
    fast: Any = copy.copy(wrapper)
    fast.engine = GraphImageClassifier(graphs.BUILDERS[engine](model, precision), own.labels)
    stored: Any = as_stored(fast)
    _check_labels(wrapper, own, stored.engine, examples)
    tried = _batches(wrapper, examples)
    difference = checked_difference(
        (apart(own.logits(pixels), stored.engine.logits(pixels)) for pixels in tried), precision
    )
    return accepted(stored, engine, precision, difference)


def _batches(wrapper: Any, examples: list[Any]) -> Iterator[NDArray[np.float32]]:
    """The examples one by one, all of them together, and noise: other numbers of images than the export saw."""
    pixels = _pixels(wrapper, examples)
    yield from np.split(pixels, len(pixels))
    yield np.concatenate([pixels, _noise(wrapper, 1)])
    yield from (_noise(wrapper, count) for count in (1, 3))


def _pixels(wrapper: Any, examples: list[Any]) -> NDArray[np.float32]:
    items = [item for example in examples for item in wrapper.input.items(example)[0]]
    found: NDArray[np.float32] = wrapper.pixels(items)
    return found


def _check_labels(wrapper: Any, own: Any, fast: Any, examples: list[Any]) -> None:
    """Raises NotEqual for another best label of an example; behind it, near equals may change places."""
    pixels = _pixels(wrapper, examples)
    if (own.logits(pixels).argmax(axis=1) != fast.logits(pixels).argmax(axis=1)).any():
        raise NotEqual("it finds another label for an example")


def _noise(wrapper: Any, count: int) -> NDArray[np.float32]:
    """Images of noise, as the processor gives them."""
    from PIL import Image

    channels, height, width = wrapper.processor.shape
    shape = (count, height, width) if channels == 1 else (count, height, width, channels)
    values = np.random.default_rng(SEED).integers(0, 256, shape, dtype=np.uint8)
    return np.stack([wrapper.processor(Image.fromarray(one), "") for one in values])


def _module(module: Any) -> Any:
    """The module with its logits as the only output."""
    import torch

    from model_functions.engines.torch import image_logits

    class Exported(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, pixels: Any) -> Any:
            return image_logits(self.module, pixels).float()

    return Exported().eval()
