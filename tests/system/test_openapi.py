"""schemathesis asks running functions whatever their descriptions allow, and what they do not: it must find nothing.

For longer, by hand, beside ``make run`` and from the project's root:
``PYTHONPATH=.:shared .venv/bin/st --config-file tests/system/schemathesis.toml run URL/openapi.json -n 100``.
"""

import os
import re
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.publisher import open_repository, signing_key
from model_functions.names import function_name
from model_functions.settings import ACTIONS
from tests.described_models import FAMILIES, publish_all
from tests.made_keys import Writer, made
from tests.running import ROOT, emulator

FUNCTIONS = (*FAMILIES, "gateway")

#: Of every family what its models make: the own interface, and one operation of each protocol that has their data.
_OF_MODELS = "predict|ask|(infer|tensorflow_predict)_{name}_model"
_OF_MODELS += "|openai_(chat_completions|completions|embeddings)"
#: Of the gateway, which hands on the rest, what it reads itself, and something of each protocol.
_OF_GATEWAY = "predict|predict_by_query|warm_up|list_models|openai_completions|model_(info|ready|status|metadata)"
_OF_GATEWAY += "|(infer|vertex_predict|torchserve_predict|ask|invoke)_tabular_model"

#: Functions of which the description cannot say all that they want, and why.
LENIENT = {
    "text_generation": "which tokens and roles a prompt may have, the tokenizer and the chat's template know",
    "image_classification": "schemathesis sends a form's files without names for them",
    "gateway": "it has the models of both",
}


@pytest.fixture(scope="module")
def reports(
    described_store: Path, trust_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, subprocess.CompletedProcess[str]]:
    """What schemathesis says of each function, behind one emulator with a model of each family."""
    with emulator(described_store, MODEL_TRUST=str(trust_file)) as (url, _), ThreadPoolExecutor(2) as pool:
        running: dict[str, Future[subprocess.CompletedProcess[str]]] = {
            name: pool.submit(_report, name, url, tmp_path_factory.mktemp(name)) for name in FUNCTIONS
        }
        return {name: report.result() for name, report in running.items()}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_schemathesis_finds_nothing(reports: dict[str, subprocess.CompletedProcess[str]], name: str) -> None:
    done = reports[name]
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    found = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert found is not None, done.stdout[-2000:]
    assert int(found[2]) >= 100


@pytest.mark.parametrize("name", ["tabular", "gateway"])
def test_nobody_is_answered_without_the_key_that_the_description_demands(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that may everything is given to schemathesis, which then leaves it out, and makes up others."""
    monkeypatch.setenv("MODEL_STORE", str(tmp_path / "store"))
    publish_all(open_repository(), signing_key(), tmp_path / "models", ("tabular",))
    key = made(may=ACTIONS)
    Writer(open_repository().store, signing_key()).write(key)
    with emulator(tmp_path / "store", ACCESS="keys") as (url, _):
        done = _report(name, url, tmp_path, key.text)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    found = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert found is not None, done.stdout[-2000:]
    assert int(found[2]) >= 100


def _report(name: str, site: str, folder: Path, key: str | None = None) -> "subprocess.CompletedProcess[str]":
    url = site if name == "gateway" else f"{site}/{function_name(name)}"
    arguments = ["--max-examples", "1", "--seed", "1", "--no-color", "--continue-on-failure", *_selection(name)]
    if key is not None:
        # What else there is to find, is found where everybody may ask.
        arguments += ["--header", f"X-Api-Key: {key}", "--checks", "ignored_auth,status_code_conformance"]
    program = str(Path(sys.executable).parent / "st")
    command = [program, "--config-file", str(ROOT / "tests" / "system" / "schemathesis.toml")]
    return subprocess.run(
        [*command, "run", f"{url}/openapi.json", "--url", url, "--phases", "examples,coverage,fuzzing", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'shared'}"},
        capture_output=True,
        text=True,
        check=False,
    )


def _selection(name: str) -> list[str]:
    """One family is asked everything, but for the spellings of its versions; of the others what differs."""
    lenient = ["--exclude-checks", "positive_data_acceptance"] if name in LENIENT else []
    if name == "tabular":
        return ["--exclude-operation-id-regex", "version|label", *lenient]
    which = _OF_GATEWAY if name == "gateway" else _OF_MODELS.format(name=name)
    return ["--include-operation-id-regex", f"^({which})$", *lenient]
