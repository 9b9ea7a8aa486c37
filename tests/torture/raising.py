"""The model that does what no model should, in the place's bucket."""

from pathlib import Path

from deploy.sources.own_wrapper import load_class
from model_functions.inputs import TextInput
from tests.torture.place import Place

_SOURCE = Path(__file__).parent / "models" / "raising.py"


def publish_raising(place: Place) -> None:
    wrapper = load_class(f"{_SOURCE}:Raising")(TextInput())
    place.publish("raising", wrapper, ["say nothing"], engine="python")
