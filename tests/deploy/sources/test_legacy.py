"""Wrappers of the tutorial's way, dumped by a process of their own, serve as they did."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dill
import pytest

from deploy.__main__ import main
from deploy.publisher import open_repository
from model_functions.http.function import FamilyFunction
from model_functions.legacy import CALLS
from tests.shared.http.requests import body, get, message, post

pytestmark = pytest.mark.slow

TUTORIAL = Path(__file__).parent / "legacy" / "tutorial.py"


@pytest.fixture(scope="module")
def dumped(tmp_path_factory: pytest.TempPathFactory, tagger_folder: Path, generator_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("dumped")
    command = [sys.executable, str(TUTORIAL), str(tagger_folder), str(generator_folder), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def publish(path: Path, example: Any, *more: str) -> int:
    given = example if isinstance(example, str) else json.dumps(example)
    return main(["publish", "--from-dill", str(path), "--name", "old", "--example", given, "--trust", "--json", *more])


def test_a_pipeline_serves_its_body_from_the_family_of_its_task(
    dumped: Path, function: Callable[[str], FamilyFunction], capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish(dumped / "entities.dill", "Anna lives in Berlin") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["family"] == "token_classification"
    assert told["recognised"]["reason"] == (
        "it holds a transformers pipeline for token-classification; called by predict(data)"
    )
    with open(dumped / "entities.dill", "rb") as file:
        old = dill.load(file)
    answers = function("token_classification")
    for data in ("Anna lives in Berlin", ["Paris", "Anna works"]):
        assert body(answers.handle(post({"data": data})))["body"] == old.predict(data)["body"]
    assert body(answers.handle(get("/predict?data=Paris")))["body"] == old.predict("Paris")["body"]


def test_a_model_and_its_tokenizer_are_called_with_what_prepare_data_makes(
    dumped: Path, function: Callable[[str], FamilyFunction], capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish(dumped / "summaries.dill", "hello world") == 1
    assert "it holds a T5ForConditionalGeneration" in capsys.readouterr().err
    assert publish(dumped / "summaries.dill", "hello world", "--family", "summarization") == 0
    assert json.loads(capsys.readouterr().out)["recognised"]["reason"].endswith(f"predict({CALLS[3]})")
    with open(dumped / "summaries.dill", "rb") as file:
        old = dill.load(file)
    answer = body(function("summarization").handle(post({"data": "hello Berlin"})))["body"]
    assert answer == old.predict(old.prepare_data({"data": "hello Berlin"}))["body"]


def test_an_estimator_answers_with_plain_values_and_its_statuses_become_errors(
    dumped: Path, function: Callable[[str], FamilyFunction]
) -> None:
    assert publish(dumped / "sizes.dill", {"rows": [[1.0, 0.0]]}) == 0
    tabular = function("tabular")
    answer = body(tabular.handle(post({"data": {"rows": [[1.0, 0.0], [0.0, 1.0]]}})))
    assert answer["body"] == ["large", "small"]
    refused = tabular.handle(post({"data": {}}))
    assert (refused.status, message(refused)) == (400, "The model answered with status 400: no rows")
    failed = tabular.handle(post({"data": {"rows": []}}))
    assert (failed.status, message(failed)) == (500, "The model answered with status 500: no row")
    wrong = tabular.handle(post({"data": 5}))
    assert (wrong.status, body(wrong)["error"]["code"]) == (500, "model_error")
    extra = tabular.handle(post({"data": {"rows": []}, "parameters": {"method": "predict"}}))
    assert (extra.status, '"method" is no parameter of this model' in message(extra)) == (422, True)


def test_a_class_of_main_with_its_globals_survives_fresh_processes(
    dumped: Path, workshop: Path, fresh_processes: None, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--family", "tabular")
    assert publish(dumped / "words.dill", "tw", *arguments) == 0
    first = json.loads(capsys.readouterr().out)
    assert publish(dumped / "words.dill", "tw", *arguments) == 0, "again, and nothing changes"
    assert json.loads(capsys.readouterr().out) == first
    assert main(["verify", "old", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["examples"][0]["answer"] == {"prediction": ["two", "twelve", "twenty"]}
    repository = open_repository()
    manifest = repository.manifest("tabular", "old", first["revision"])
    assert manifest.python == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert {"dill._dill:_create_type", "model_functions.legacy:LegacyWrapper"} <= set(manifest.globals)


def test_a_module_that_the_script_had_imported_is_found_and_another_global_is_named(
    dumped: Path, workshop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = dumped / "words_without_globals.dill"
    assert publish(path, "o", "--family", "tabular") == 0
    assert publish(path, "tw", "--family", "tabular") == 1
    assert (
        "predict(data): NameError: name 'LIMIT' is not defined "
        "(dill left the script's globals out: dump it again with dill.dump(…, recurse=True))"
    ) in capsys.readouterr().err


def test_nothing_is_loaded_unless_trusted_and_nothing_written_of_what_is_no_wrapper(
    dumped: Path, workshop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["publish", "--name", "old", "--example", "tw"]
    assert main([*arguments, "--from-dill", str(dumped / "words.dill")]) == 1
    assert "runs whatever code its maker put into it" in capsys.readouterr().err
    assert main([*arguments, "--from-dill", str(dumped / "words.dill"), "--trust"]) == 1
    assert "Nothing tells which family serves words.dill: it holds builtins.list. Say it with --family." in (
        capsys.readouterr().err
    )
    whole = (dumped / "words.dill").read_bytes()
    wrongs = {
        "cut.dill": (whole[: len(whole) // 2], "cut.dill cannot be loaded: "),
        "empty.dill": (b"", "empty.dill cannot be loaded: EOFError"),
        "text.dill": (b"hello", "text.dill cannot be loaded: "),
        "list.dill": (dill.dumps([1, 2]), "list.dill holds a list, which has no predict method."),
    }
    for name, (data, said) in wrongs.items():
        (workshop / name).write_bytes(data)
        assert publish(workshop / name, "tw", "--family", "tabular") == 1
        assert said in capsys.readouterr().err
    assert not list(workshop.rglob("manifest.json"))
