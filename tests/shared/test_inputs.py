from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_functions.errors import InvalidInput
from model_functions.inputs import MAX_MARKS, PromptInput, TextInput, check_marks

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


@pytest.mark.parametrize(
    "text", ["a" + "\u0301" * 31, "x" * 29 + "\u0301\u0316" * 16, "\u0301" * 10_000, "é" * 900 + "\u0327" * 31]
)
def test_a_letter_with_more_marks_than_unicode_streams_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        TextInput().items(["fine", text])
    assert caught.value.path == "data[1]"
    assert caught.value.message.startswith("data[1] has a letter with more than 30 marks above or below it.")
    with pytest.raises(InvalidInput, match="has a letter with more than 30 marks"):
        PromptInput(chats=True).items([{"role": "user", "content": text}])


@given(st.lists(st.tuples(st.text("aé", min_size=1, max_size=40), st.integers(0, 40)), min_size=1, max_size=8))
def test_marks_are_counted_wherever_they_stand(parts: list[tuple[str, int]]) -> None:
    text = "".join(letters + "\u0301" * count for letters, count in parts)
    if max(count for _, count in parts) > MAX_MARKS:
        with pytest.raises(InvalidInput):
            check_marks("data", text)
    else:
        check_marks("data", text)
