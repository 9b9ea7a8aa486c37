"""schemathesis asks running functions whatever their descriptions allow, and what they do not: it must find nothing.

By hand, for longer: ``pytest tests/system/test_openapi.py --hypothesis-seed`` is no way in; run its command line,
``st --config-file tests/system/schemathesis.toml run URL/openapi.json -n 100``, from the project's root.
"""

import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.publisher import open_repository, signing_key
from model_functions.names import function_name
from tests.described_models import FAMILIES, publish_all
from tests.running import ROOT, emulator

#: Operations that are asked of every family: whose schemas its models make.
_OF_MODELS = r"^(predict|predict_by_query|ask|infer_[a-z_]+|generate_[a-z_]+|tensorflow_predict_[a-z_]+_model|vertex_predict_.*|openai_(chat_completions|completions|embeddings))$"
#: Those that are the same for every family, and those of one path in several spellings, are asked of one.
_OF_ALL = "version|label"
#: At the gateway, which hands on what it is asked: what it reads itself, and what of a model's paths.
_OF_GATEWAY = r"^(predict|predict_by_query|warm_up|ask|list_models|infer_tabular_model|openai_completions|vertex_predict_tabular_model|torchserve_predict_tabular_model|model_(info|ready|status|metadata))$"

#: Functions for which what is described is not all that they want, and why.
LENIENT = {
    "text_generation": "which tokens and which roles a prompt may have, its tokenizer and its chat template know",
    "image_classification": "a form's files have no file names as schemathesis sends them",
    "gateway": "the same, of both",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An emulator with a model of each family."""
    store = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        # torch warns of its own exporter.
        warnings.simplefilter("ignore")
        patch.setenv("MODEL_STORE", str(store))
        publish_all(open_repository(), signing_key(), tmp_path_factory.mktemp("models"))
    with emulator(store) as (url, _):
        yield url


@pytest.mark.parametrize("name", [*FAMILIES, "gateway"])
def test_schemathesis_finds_nothing(site: str, name: str, tmp_path: Path) -> None:
    which = (
        ["--exclude-operation-id-regex", _OF_ALL] if name == "tabular" else ["--include-operation-id-regex", _OF_MODELS]
    )
    which = ["--include-operation-id-regex", _OF_GATEWAY] if name == "gateway" else which
    lenient = ["--exclude-checks", "positive_data_acceptance"] if name in LENIENT else []
    url = site if name == "gateway" else f"{site}/{function_name(name)}"
    command = [
        *(Path(sys.executable).parent / "st", "--config-file", ROOT / "tests" / "system" / "schemathesis.toml"),
        *("run", f"{url}/openapi.json", "--url", url, "--phases", "examples,coverage,fuzzing"),
        *("--max-examples", "2", "--seed", "1", "--workers", "2", "--no-color", "--continue-on-failure"),
        *(*which, *lenient),
    ]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'shared'}"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    found = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert found is not None, done.stdout[-2000:]
    assert int(found[2]) >= 200
