"""Where rows go: each to one file, replaced as a whole, and counted once."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.batch.files import Found, LocalFiles
from deploy.batch.job import Job
from deploy.batch.journal import MOST_LABELS, SECONDS, Entry, Journal, labels_of
from deploy.batch.parts import InputRow, Part
from deploy.batch.predictor import Outcome
from deploy.batch.writing import write

FILES = LocalFiles()
PART = Part(3, (Found("in", 1, 1),), 1, 3)
BAD = Outcome(None, ("invalid_input", "data is null. Send a string."))


def lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()] if Path(path).exists() else []


def written(job: Job, *answered: tuple[InputRow, Outcome]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    write(FILES, job, PART, answered)
    return lines(f"{job.output}/part-000003.jsonl"), lines(f"{job.output}/dead-letters/part-000003.jsonl")


def test_a_row_keeps_its_columns_and_gets_key_prediction_revision_and_error(job: Job) -> None:
    good, bad = written(job, (InputRow("in", 1, {"id": 7, "text": "é"}), Outcome({"label": "a"})))
    assert good == [
        {
            "key": "in:1",
            "id": 7,
            "text": "é",
            "prediction": {"label": "a"},
            "revision": job.model.revision,
            "error": None,
        }
    ]
    assert bad == []


def test_a_row_without_prediction_goes_to_the_dead_letters_alone(job: Job) -> None:
    good, bad = written(job, (InputRow("in", 1, {"id": 7}, b"{}"), BAD))
    assert good == []
    error = {"code": "invalid_input", "message": "data is null. Send a string."}
    assert bad == [{"key": "in:1", "id": 7, "revision": job.model.revision, "error": error}]


@pytest.mark.parametrize(
    ("raw", "kept"), [(b"{bro", {"raw": "{bro"}), (b"\xff", {"raw_base64": "/w=="})], ids=["text", "bytes"]
)
def test_what_could_not_be_read_is_kept_as_it_stands(raw: bytes, kept: dict[str, str], job: Job) -> None:
    _, (bad,) = written(job, (InputRow("in", 1, {}, raw, ("invalid_json", "…")), Outcome(None, ("invalid_json", "…"))))
    assert bad.items() >= kept.items()


@pytest.mark.parametrize("name", ["key", "prediction", "revision", "error", "input_error", "input_input_key"])
def test_a_column_named_as_ours_is_kept_under_another_name(name: str, job: Job) -> None:
    (good,), _ = written(job, (InputRow("in", 1, {name: "mine"}), Outcome(1)))
    assert good["input_" + name] == "mine"
    assert good["prediction"] == 1
    assert len(good) == 5


@pytest.mark.parametrize("prediction", [float("nan"), object(), {1, 2}], ids=["NaN", "object", "set"])
def test_a_prediction_that_is_no_json_is_a_dead_letter(prediction: Any, job: Job) -> None:
    good, (bad,) = written(job, (InputRow("in", 1, {"id": 1}), Outcome(prediction)))
    assert good == []
    assert bad["error"]["code"] == "model_error"
    assert bad["error"]["message"].startswith("The prediction cannot be written as JSON: ")


def test_an_images_bytes_are_not_written_again(job: Job) -> None:
    (good,), _ = written(job, (InputRow("a.png", None, {"data": b"\x89PNG"}), Outcome([])))
    assert good == {"key": "a.png", "prediction": [], "revision": job.model.revision, "error": None}


def test_a_part_that_is_done_again_leaves_nothing_of_before(job: Job) -> None:
    row = InputRow("in", 1, {"id": 1})
    assert written(job, (row, BAD))[1] != []
    good, bad = written(job, (row, Outcome("a")))
    assert (len(good), bad) == (1, [])
    good, bad = written(job, (row, BAD))
    assert (good, len(bad)) == ([], 1)


def test_an_entry_counts_what_was_written(job: Job) -> None:
    row = InputRow("in", 1, {})
    outcomes = [Outcome({"label": "a"}, None, 0.003), Outcome({"label": "b"}, None, 0.003), BAD, BAD]
    entry = write(FILES, job, PART, [(row, outcome) for outcome in outcomes])
    assert (entry.rows, entry.failed, entry.all_rows) == (2, 2, 4)
    assert entry.errors == {"invalid_input": 2}
    assert entry.examples == {"invalid_input": "data is null. Send a string."}
    assert entry.labels == {"a": 1, "b": 1}
    assert entry.latency[SECONDS.index(0.005)] == 2
    Journal(FILES, job).write(PART, entry)
    assert dict(Journal(FILES, job).entries()) == {3: entry}
    assert dict(Journal(FILES, job).entries({3})) == {}


def test_entries_add_up() -> None:
    total = Entry()
    for label in ("a", "b", "a"):
        entry = Entry(seconds=1.5)
        entry.count(Outcome({"label": label}, None, 1e9))
        entry.count(BAD)
        total.add(Entry.from_document(json.loads(json.dumps(entry.document()))))
    assert (total.rows, total.failed, total.seconds) == (3, 3, 4.5)
    assert total.labels == {"a": 2, "b": 1}
    assert total.latency[-1] == 3


def test_labels_are_told_of_while_they_are_few() -> None:
    entry = Entry()
    for number in range(MOST_LABELS + 1):
        entry.count(Outcome({"label": str(number)}))
    assert entry.document()["labels"] == {}


@pytest.mark.parametrize(
    ("prediction", "labels"),
    [
        ({"prediction": "class_1", "probabilities": {}}, ["class_1"]),
        ({"prediction": 3}, ["3"]),
        ({"prediction": 3.5}, []),
        ([{"label": "a", "score": 0.7}, {"label": "b", "score": 0.3}], ["a"]),
        ([{"word": "Anna", "label": "PER"}, {"word": "Rome", "label": "LOC"}], ["PER", "LOC"]),
        ([], []),
        ([0.1, 0.2], []),
        ({"summary_text": "…"}, []),
        (None, []),
    ],
    ids=["class", "number", "value", "ranking", "entities", "none", "vector", "text", "null"],
)
def test_labels_of_a_prediction(prediction: Any, labels: list[str]) -> None:
    assert labels_of(prediction) == labels
