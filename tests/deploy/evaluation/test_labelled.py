"""Labelled rows: what is read, and how wrong ones are told, all at once, before anything is predicted."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.batch import planning
from deploy.batch.files import files_at
from deploy.batch.job import Job
from deploy.batch.pinned import PinnedModel
from deploy.evaluation import labelled
from deploy.evaluation.kinds.classes import Classes
from deploy.evaluation.kinds.entities import Entities
from deploy.evaluation.kinds.texts import Texts
from deploy.evaluation.labelled import Labels, WrongRows
from model_functions.artifact.manifest import Manifest
from model_functions.artifact.signing import Trust
from model_functions.repository import Repository
from model_functions.store.folder import FolderStore
from tests.deploy.evaluation.conftest import json_lines
from tests.fakes.bucket import FakeBucket


@pytest.fixture
def job(store_folder: Path, trust: Trust, tmp_path: Path) -> Job:
    """Of rows of texts; the labels' kind has nothing to do with the model."""
    model = PinnedModel.at(Repository(FolderStore(store_folder), trust), "tiny_tagger")
    return Job(model, "", str(tmp_path / "rows.jsonl"), "json_lines", str(tmp_path / "out"))


@pytest.fixture
def manifest(job: Job) -> Manifest:
    return job.model.manifest()


def read(job: Job, manifest: Manifest, *rows: Any) -> Labels:
    json_lines(Path(job.input), list(rows))
    return read_what_is_there(job, manifest)


def read_what_is_there(job: Job, manifest: Manifest) -> Labels:
    return labelled.read(job, planning.found_inputs(job.input, job.output), manifest)


def test_the_column_says_what_kind_of_label_it_is(job: Job, manifest: Manifest) -> None:
    found = read(job, manifest, {"data": "Anna", "entities": []}, {"data": "Bob", "entities": []})
    assert isinstance(found.kind, Entities)
    assert found.expected == {f"{job.input}:1": frozenset(), f"{job.input}:2": frozenset()}
    assert isinstance(read(job, manifest, {"data": "a", "label": 1}).kind, Classes)
    assert isinstance(read(job, manifest, {"text": "a", "reference": "b", "source": "me"}).kind, Texts)
    assert read(job, manifest, {"data": "a", "references": ["b", "c"]}).expected == {f"{job.input}:1": ("b", "c")}


def test_a_table_spells_classes_and_texts_as_they_stand_and_the_rest_as_json(job: Job, manifest: Manifest) -> None:
    table = replace(job, format="csv", input=job.input.replace(".jsonl", ".csv"))
    for cells, expected in {
        'data,label\nAnna,"[x]"\n': "[x]",
        "data,reference\nAnna,12\n": ("12",),
        "data,target\nAnna,1.5\n": {"": 1.5},
        'data,entities\nAnna,"[{""start"": 0, ""end"": 4, ""label"": ""PER""}]"\n': frozenset({(0, 4, "PER")}),
    }.items():
        Path(table.input).write_text(cells)
        assert list(read_what_is_there(table, manifest).expected.values()) == [expected]
    Path(table.input).write_text("data,target\nAnna,much\n")
    with pytest.raises(WrongRows, match=r'rows.csv:1: "target" is "much", which is no JSON'):
        read_what_is_there(table, manifest)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param([{"data": "a"}], "{file}:1 has no label. Each row needs one, in the column that says", id="none"),
        pytest.param(["a"], "{file}:1 has no label. Each row needs one", id="a text alone"),
        pytest.param(
            [{"data": "a", "label": "x", "target": 1}], '{file}:1 has "label" and "target". Leave one label', id="two"
        ),
        pytest.param([], "{file} has no rows. Give labelled ones.", id="empty"),
        pytest.param(
            [{"words": "a", "more": 1, "label": "x"}], "{file}:1: None of the columns is called", id="no data"
        ),
        pytest.param(
            [{"data": "a", "label": "x"}, {"data": "b"}, {"data": "c", "target": 1}, {"data": "d", "label": []}],
            "3 rows are wrong, and nothing was predicted:\n"
            '  {file}:2 has no "label", and the first row has "label". Give each row one.\n'
            '  {file}:3 has "target", and the first row has "label". Give each row one.\n'
            '  {file}:4: "label" is no class. Give a text or a whole number.',
            id="all of them",
        ),
        pytest.param(
            [{"data": "Anna", "entities": [{"start": 0, "end": 9, "label": "PER"}]}],
            "1 row is wrong, and nothing was predicted:\n"
            '  {file}:1: "entities" has an entity that ends at 9, and the text has 4 characters.',
            id="beyond the text",
        ),
        pytest.param([{"data": "a", "label": "x"}, *[{"data": "b"}] * 12], "12 rows are wrong", id="many"),
    ],
)
def test_wrong_rows_are_told_by_line_with_the_way_out(
    job: Job, manifest: Manifest, rows: list[Any], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message.format(file=job.input))):
        read(job, manifest, *rows)


def test_a_line_that_is_no_json_is_told_too(job: Job, manifest: Manifest) -> None:
    Path(job.input).write_text(json.dumps({"data": "a", "label": "x"}) + "\n{oops\n")
    with pytest.raises(WrongRows, match=r"rows.jsonl:2: The line is not JSON: Expecting property name"):
        read_what_is_there(job, manifest)


def test_labels_that_the_model_could_never_be_measured_by_are_refused_before_it_is_asked(
    job: Job, manifest: Manifest, store_folder: Path, trust: Trust
) -> None:
    repository = Repository(FolderStore(store_folder), trust)
    labelled.check(read(job, manifest, {"data": "a", "entities": []}), repository, manifest)
    labels = read(job, manifest, {"data": "a", "target": 1})
    with pytest.raises(
        ValueError, match=r'^the model answers \[.*, and "target" is for one that answers with a number'
    ):
        labelled.check(labels, repository, manifest)


def test_rows_in_a_bucket_are_read_too(job: Job, manifest: Manifest, fake_bucket: FakeBucket) -> None:
    row = json.dumps({"data": "Anna", "label": "x"}).encode()
    files_at("gs://models/rows.jsonl").write("gs://models/rows.jsonl", row)
    found = read_what_is_there(replace(job, input="gs://models/rows.jsonl"), manifest)
    assert found.expected == {"gs://models/rows.jsonl:1": "x"}


def test_ten_wrong_rows_are_enough_to_read(job: Job, manifest: Manifest) -> None:
    with pytest.raises(WrongRows) as told:
        read(job, manifest, {"data": "a", "label": "x"}, *[{"data": "b"}] * 12)
    assert str(told.value).splitlines()[-1] == "  and 2 more"
