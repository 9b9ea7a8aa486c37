"""``python -m deploy evaluate`` with models that are published, by Apache Beam: what it tells, and its exit status."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest

from deploy.evaluation.command import MET, MISSED, NOT_MEASURED
from tests.deploy.evaluation.conftest import RIGHT, ROWS, Evaluate, json_lines, labelled_rows

pytestmark = pytest.mark.slow


def changed(workshop: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (workshop / "evaluation" / "changed.jsonl").read_text().splitlines()]


def test_a_worse_revision_misses_its_limit_and_the_better_one_meets_it(
    revisions: tuple[str, str], labelled: Path, evaluate: Evaluate
) -> None:
    good, bad = revisions
    limits = ("--max-drop", "accuracy=0.01")
    ended = evaluate("--revision", bad, "--against", "prod", *limits)
    assert ended.returncode == MISSED, ended.stderr
    assert "accuracy         1.0000  0.5000  -0.5000 worse" in ended.stdout
    assert "MISSED    --max-drop accuracy=0.01: 1.0000 before, 0.5000 now" in ended.stdout
    assert "15 rows are answered otherwise: 15 worse." in ended.stdout
    first = changed(labelled.parent)[0]
    assert first["key"] == f"{labelled}:1"
    assert first["row"] == labelled_rows()[0]
    assert first["before"]["prediction"]["prediction"] == "less"
    assert first["now"]["prediction"]["prediction"] == "more"
    page = (labelled.parent / "evaluation" / "report.html").read_text()
    assert f"revision {bad}, against revision {good}: 30 rows" in page
    assert "http" not in page, "it can be opened without a network"

    ended = evaluate("--revision", good, "--against", bad, *limits, "--min", "f1_macro=1", "--json")
    assert ended.returncode == MET, ended.stderr
    document = json.loads(ended.stdout)
    assert document["compared"]["before"]["accuracy"] == 0.5
    assert document["compared"]["now"]["accuracy"] == 1.0
    assert document["changed"] == {"worse": 0, "better": 15, "other": 0}
    assert document == json.loads((labelled.parent / "evaluation" / "evaluation.json").read_text())


def test_what_is_answered_already_is_not_asked_again(
    revisions: tuple[str, str], labelled: Path, evaluate: Evaluate
) -> None:
    assert evaluate().returncode == MET
    [answers] = (labelled.parent / "evaluation" / "answers").glob("*/part-*.jsonl")
    written = answers.stat().st_mtime_ns
    assert evaluate("--min", "accuracy=1").returncode == MET
    assert answers.stat().st_mtime_ns == written
    json_lines(labelled, [{**row, "label": "less"} for row in labelled_rows()])
    assert evaluate("--min", "accuracy=1").returncode == MISSED, "other labels in the same place"


def test_rows_that_the_model_refuses_are_counted_and_shown(
    revisions: tuple[str, str], labelled: Path, evaluate: Evaluate
) -> None:
    json_lines(labelled, [*labelled_rows(), {"data": ["many", 1], "label": "more"}])
    ended = evaluate("--min", "accuracy=1")
    assert ended.returncode == MISSED
    assert "1 row without an answer:" in ended.stdout
    assert 'labelled.jsonl:31: The column "a" is a string. Send a number.' in ended.stdout
    assert "met       --min accuracy=1: 1.0000" in ended.stdout
    assert "MISSED    --max-errors 0: 1 without an answer" in ended.stdout
    assert evaluate("--min", "accuracy=1", "--max-errors", "1").returncode == MET


def test_a_table_is_read_too(revisions: tuple[str, str], workshop: Path, evaluate: Evaluate) -> None:
    with (workshop / "labelled.csv").open("w", newline="") as file:
        rows = [[*row, label] for row, label in zip(ROWS, RIGHT, strict=True)]
        csv.writer(file).writerows([["a", "b", "label"], *rows])
    ended = evaluate("--min", "accuracy=1", data="labelled.csv")
    assert ended.returncode == MET, ended.stderr + ended.stdout


def test_a_text_is_as_likely_as_transformers_says(published_writer: Path, workshop: Path, evaluate: Evaluate) -> None:
    texts = ["anna lives in berlin", "hello world"]
    json_lines(workshop / "texts.jsonl", texts)
    ended = evaluate("--json", model="writer", data="texts.jsonl")
    assert ended.returncode == MET, ended.stderr
    found = json.loads(ended.stdout)["now"]["scores"]["perplexity"]
    assert found == pytest.approx(_perplexity(published_writer, texts), rel=1e-3)
    assert evaluate("--max", "perplexity=1", model="writer", data="texts.jsonl").returncode == MISSED


def _perplexity(folder: Path, texts: list[str]) -> float:
    """By the loss that a transformers model computes itself."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    total, count = 0.0, 0
    for text in texts:
        numbers = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            loss = float(model(input_ids=numbers, labels=numbers).loss)
        total, count = total + loss * (numbers.shape[1] - 1), count + numbers.shape[1] - 1
    return math.exp(total / count)


def test_what_makes_no_sense_has_a_status_of_its_own(
    revisions: tuple[str, str], labelled: Path, evaluate: Evaluate
) -> None:
    for more, message in {
        ("--max-drop", "accuracy=0.1"): "--max-drop accuracy=0.1: worse than what? Say --against.",
        ("--min", "bleu=10"): 'there is no metric "bleu" for these labels. There are: accuracy, f1_macro',
        ("--against", "canary"): 'no revision and no alias "canary"',
        ("--max-errors", "-1"): "--max-errors -1: give at least 0.",
    }.items():
        ended = evaluate(*more)
        assert (ended.returncode, message in ended.stderr) == (NOT_MEASURED, True), ended.stderr
    json_lines(labelled, [{"data": [1, 2], "entities": []}])
    ended = evaluate()
    assert ended.returncode == NOT_MEASURED
    assert ended.stderr.endswith('and "entities" is for one that answers with entities.\n')
