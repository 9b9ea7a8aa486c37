"""The models that take as long as they are asked to, in the place's bucket."""

from pathlib import Path

from deploy.sources.own_wrapper import load_class
from model_functions.inputs import TextInput
from tests.torture.place import Place

_SOURCE = Path(__file__).parent / "models" / "waiting.py"


def publish_waiting(place: Place) -> None:
    """``waiting``, and ``writing``, which streams."""
    for name in ("Waiting", "Writing"):
        wrapper = load_class(f"{_SOURCE}:{name}")(TextInput(max_characters=100_000, max_items=64))
        example = "wait 0" if name == "Waiting" else "wait 0 one"
        place.publish(name.lower(), wrapper, [example], engine="python")
