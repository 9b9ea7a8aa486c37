"""What of a row is the model's data."""

from typing import Any

import pytest

from deploy.batch.parts import InputRow
from deploy.batch.questions import data_column, data_of
from model_functions.errors import InvalidInput
from model_functions.wrapper import ModelWrapper
from tests.tiny_models import COLUMNS


@pytest.mark.parametrize(
    ("columns", "kind", "asked", "column"),
    [
        (["id", "text"], "text", None, "text"),
        (["text", "data"], "text", None, "data"),
        (["review"], "text", None, "review"),
        (["id", "review"], "text", "review", "review"),
        (["id", "text"], "row", None, None),
        (["id", "data"], "row", None, "data"),
        (["x", "y"], "tensors", None, None),
        (["id", "image"], "image", None, "image"),
        (["text", "text_pair"], "pair", None, "text"),
    ],
    ids=["text", "data first", "the only one", "asked for", "row", "row in a column", "tensors", "image", "pair"],
)
def test_the_column_of_the_data(columns: list[str], kind: str, asked: str | None, column: str | None) -> None:
    assert data_column(columns, kind, asked) == column


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match=r'There is no column "body". The columns: id, text.'):
        data_column(["id", "text"], "text", "body")


def test_columns_none_of_which_is_data_are_told() -> None:
    with pytest.raises(
        ValueError, match=r"None of the columns is called data, inputs, text or the like: id, body. Say"
    ):
        data_column(["id", "body"], "text", None)


def row(**columns: Any) -> InputRow:
    return InputRow("in", 1, columns)


def test_a_tables_row_is_its_own_columns_alone(classifier: ModelWrapper) -> None:
    example = dict.fromkeys(COLUMNS, 0.5)
    assert data_of(row(id=7, **example), classifier, None, spelled=False) == example


def test_what_is_spelled_is_read_as_the_column_says(classifier: ModelWrapper) -> None:
    example = dict.fromkeys(COLUMNS, 0.5)
    spelled = {name: str(value) for name, value in example.items()}
    assert data_of(row(id="7", **spelled), classifier, None, spelled=True) == example


def test_a_tables_row_may_stand_in_a_column(classifier: ModelWrapper) -> None:
    assert data_of(row(id="7", data="[0.5, 1]"), classifier, None, spelled=True) == [0.5, 1]
    assert data_of(row(data=[0.5, 1]), classifier, None, spelled=False) == [0.5, 1]


def test_a_text_is_read_as_it_is_spelled(tagger: ModelWrapper) -> None:
    assert data_of(row(text="17"), tagger, None, spelled=True) == "17"


def test_a_row_without_the_data_is_refused_alone(tagger: ModelWrapper) -> None:
    with pytest.raises(InvalidInput, match=r'There is no column "text". The columns: id.'):
        data_of(row(id=7), tagger, "text", spelled=False)
