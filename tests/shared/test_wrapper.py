from typing import Any

import pytest

from model_functions.errors import InvalidInput
from model_functions.inputs import TextInput
from model_functions.parameters import Parameter
from model_functions.wrapper import ModelWrapper


class Shouting(ModelWrapper):
    """Upper-cases: small, and a real wrapper."""

    family, task = "shouting", "shouting"
    declared = (Parameter("marks", "integer", "Exclamation marks.", 1, 0, 3),)

    def preprocess(self, items: list[str], parameters: dict[str, Any]) -> list[str]:
        return [text.strip() for text in items]

    def forward(self, features: list[str], parameters: dict[str, Any]) -> list[str]:
        return [text.upper() for text in features]

    def postprocess(self, outputs: list[str], parameters: dict[str, Any]) -> list[str]:
        return [text + "!" * parameters["marks"] for text in outputs]


def test_predict_is_the_three_steps() -> None:
    assert Shouting(TextInput()).predict(" hello ") == "HELLO!"


def test_a_list_gives_a_list_in_order() -> None:
    wrapper = Shouting(TextInput())
    assert wrapper.predict(["b", "a"], {"marks": 0}) == ["B", "A"]
    assert wrapper.predict(["only"]) == ["ONLY!"]


def test_a_publisher_presets_and_narrows() -> None:
    wrapper = Shouting(TextInput(), defaults={"marks": 2}, bounds={"marks": (1, 2)})
    assert wrapper.predict("hey") == "HEY!!"
    with pytest.raises(InvalidInput, match="Give an integer from 1 to 2"):
        wrapper.predict("hey", {"marks": 3})


def test_a_publisher_cannot_set_what_is_not_declared() -> None:
    with pytest.raises(InvalidInput, match='"volume" is no parameter of this model'):
        Shouting(TextInput(), defaults={"volume": 11})


def test_the_interface_is_what_a_caller_may_send() -> None:
    interface = Shouting(TextInput(max_characters=5)).interface()
    assert interface["kind"] == "text"
    assert interface["task"] == "shouting"
    assert interface["data"]["anyOf"][0]["maxLength"] == 5
    assert interface["parameters"]["marks"]["maximum"] == 3
