"""Which form inputs have, by their names."""

import pytest

from deploy.batch.readers import FORMATS, form_of, reader


@pytest.mark.parametrize(
    ("names", "form"),
    [(["a.jsonl", "b.ndjson"], "json_lines"), (["A.CSV"], "csv"), (["a.txt"], "lines"), (["a.png", "b.JPG"], "images")],
    ids=["json_lines", "csv", "lines", "images"],
)
def test_names_say_their_form(names: list[str], form: str) -> None:
    assert form_of(names) == form


def test_names_that_say_nothing_are_told() -> None:
    with pytest.raises(ValueError, match=r"nothing that says their form, as rows.dat. Say --format"):
        form_of(["rows.dat"])


def test_names_of_several_forms_are_told() -> None:
    with pytest.raises(ValueError, match=r"The inputs have several forms, as a.csv, b.jsonl. Say --format, one of"):
        form_of(["b.jsonl", "a.csv"])


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "parquet"])
def test_every_form_has_a_reader(form: str) -> None:
    assert callable(reader(form).parts)
    assert callable(reader(form).rows)
