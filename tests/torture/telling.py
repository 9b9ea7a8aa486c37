"""The model that says what it does, in the place's bucket."""

from collections.abc import Callable
from pathlib import Path

from deploy.sources.own_wrapper import load_class
from model_functions.wrapper import ModelWrapper
from tests.torture.place import Place

_SOURCE = Path(__file__).parent / "models" / "telling.py"


def publish_telling(place: Place, version: int) -> None:
    """Moves the alias to this version of it."""
    maker: Callable[[int], ModelWrapper] = load_class(f"{_SOURCE}:Telling")
    place.publish("telling", maker(version), ["test"], engine="python")
