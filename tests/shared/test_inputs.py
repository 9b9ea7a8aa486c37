from typing import Any

import jsonschema
import pytest

from model_functions.errors import InvalidInput
from model_functions.inputs import TextInput

TEXTS = TextInput(max_characters=10, max_items=3)


def test_a_string_is_one_item() -> None:
    assert TEXTS.items("hello") == (["hello"], True)


def test_a_list_is_many_in_order() -> None:
    assert TEXTS.items(["b", "a"]) == (["b", "a"], False)


@pytest.mark.parametrize(
    ("data", "path", "message"),
    [
        ("", "data", "data is an empty text. Send at least one word."),
        (" \n", "data", "data is an empty text. Send at least one word."),
        ("x" * 11, "data", "data has 11 characters; the limit is 10. Send it in parts."),
        (None, "data", "data is null. Send a string, or a list of strings."),
        (5, "data", "data is a number. Send a string, or a list of strings."),
        (True, "data", "data is a boolean. Send a string, or a list of strings."),
        ({"text": "x"}, "data", "data is an object. Send a string, or a list of strings."),
        ([], "data", "data is an empty list. Send at least one item."),
        (["a"] * 4, "data", "data has 4 items; the limit is 3. Send fewer per request."),
        (["a", ""], "data[1]", "data[1] is an empty text. Send at least one word."),
        (["a", ["b"]], "data[1]", "data[1] is a list. Send a string, or a list of strings."),
    ],
)
def test_anything_else_is_refused_with_its_place(data: object, path: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        TEXTS.items(data)
    assert (caught.value.path, caught.value.message) == (path, message)


def test_the_schema_admits_what_is_admitted() -> None:
    schema = TEXTS.schema()
    good: list[Any] = ["hello", ["a", "b"]]
    bad: list[Any] = ["", [], ["a"] * 4, "x" * 11, 5]
    for data in good:
        jsonschema.validate(data, schema)
    for data in bad:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(data, schema)
