"""The models of a size, in the place's bucket."""

from collections.abc import Callable
from pathlib import Path

from deploy.publish import Published
from deploy.sources.own_wrapper import load_class
from model_functions.wrapper import ModelWrapper
from tests.torture.place import Place

_SOURCE = Path(__file__).parent / "models" / "weighty.py"


def publish_weighty(place: Place, name: str, number: int, size: int, kind: str = "Weighty") -> Published:
    """A wrapper, its weights of ``size`` bytes, and the source file that it ships."""
    maker: Callable[[int, int], ModelWrapper] = load_class(f"{_SOURCE}:{kind}")
    wrapper = maker(number, size)
    return place.publish(name, wrapper, ["how much"], engine="onnxruntime")
