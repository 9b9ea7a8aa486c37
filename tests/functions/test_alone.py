"""Each function alone: staged, with what its requirements.txt says and nothing else, asked over HTTP."""

import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
import torch
from packaging.utils import canonicalize_name

from deploy import environments, locked, publisher
from deploy.project import FUNCTIONS, function_families
from deploy.publish import publish
from deploy.stage import stage
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.families.feature_extraction import FeatureExtractionWrapper
from model_functions.families.onnx import OnnxWrapper
from model_functions.families.pytorch import PytorchWrapper
from model_functions.families.text_classification import TextClassificationWrapper
from model_functions.repository import Repository
from model_functions.store.folder import FolderStore
from tests import tiny_graphs
from tests.running import ROOT, clean_environment, emulator, function_on
from tests.running import call as ask
from tests.system.conftest import QUESTIONS, ROW
from tests.tiny_models import TEXT, sentence_folder, text_classifier_folder

pytestmark = pytest.mark.slow

FAMILIES = [family for family in function_families() if family != "gateway"]
#: The development environment cannot run these.
APART = [family for family in FAMILIES if environments.own_pins(family)]

#: What is asked of the models that only the store below has.
MORE_QUESTIONS: list[tuple[str, Any, str]] = [
    ("tiny_text_classifier", TEXT, '"label"'),
    ("tiny_encoder", "anna", '"body": ['),
    ("tiny_graph", ROW, '"body": ['),
    ("tiny_module", ROW, '"body": ['),
    ("tiny_tensorflow", [1.5, 2.0], "[3.0, 4.0]"),
]


@pytest.fixture(scope="module")
def store(graph_store_folder: Path, tmp_path_factory: pytest.TempPathFactory, trust: Trust, key: SigningKey) -> Path:
    """The common store, and in it models of the families that it lacks."""
    folder = tmp_path_factory.mktemp("alone")
    shutil.copytree(graph_store_folder, folder / "store")
    repository = Repository(FolderStore(folder / "store"), trust)
    graph = OnnxWrapper.from_source(str(tiny_graphs.linear(folder / "linear.onnx")))
    publish(graph, name="tiny_graph", examples=[ROW], repository=repository, key=key)
    module = PytorchWrapper.from_module(torch.nn.Linear(3, 2), ROW)
    publish(module, name="tiny_module", examples=[ROW], repository=repository, key=key, engine="torch")
    texts = TextClassificationWrapper.from_source(str(text_classifier_folder(folder / "texts")))
    publish(texts, name="tiny_text_classifier", examples=[TEXT], repository=repository, key=key, engine="torch")
    encoder = FeatureExtractionWrapper.from_source(str(sentence_folder(folder / "sentences")))
    publish(encoder, name="tiny_encoder", examples=["anna"], repository=repository, key=key)
    if APART:
        in_its_environment("tensorflow", "tests.tiny_tensorflow", str(folder / "saved"))
        arguments = ["publish", str(folder / "saved"), "--family", "tensorflow", "--name", "tiny_tensorflow"]
        done = subprocess.run(
            [sys.executable, "-m", "deploy", *arguments, "--example", "[1.5, 2.0]", "--json"],
            cwd=ROOT,
            env=clean_environment(MODEL_STORE=str(folder / "store")),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["engine"]["name"] == "tensorflow"
    return folder / "store"


def in_its_environment(family: str, *command: str) -> str:
    """What a module says that runs in the family's own environment."""
    code = f"import sys; from deploy.environments import run; sys.exit(run({family!r}, *{list(command)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory, key: SigningKey) -> Path:
    """Lists the tests' key and this laptop's, which signs what the verbs publish."""
    document = json.loads(publisher.trust_document(release=False))
    document["keys"].append(key.trusted("the tests", local=True).entry())
    path = tmp_path_factory.mktemp("trust") / "trust.json"
    path.write_text(json.dumps(document))
    return path


@pytest.fixture(scope="module")
def site(store: Path, trusting: Path) -> Iterator[str]:
    with emulator(store, MODEL_TRUST=str(trusting)) as (url, _):
        yield url


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        number: int = probe.getsockname()[1]
        return number


@pytest.mark.parametrize("family", function_families())
def test_a_function_has_what_it_says_that_it_consists_of_and_no_more(family: str) -> None:
    requirements = FUNCTIONS / family / "requirements.txt"
    said = locked.of_function(environments.pins(requirements), locked.packages(locked.FOR_FUNCTIONS))
    # A build for CPUs alone brings none of what GPUs need.
    gpu = {one.name for one in said if one.name.startswith(("nvidia-", "cuda-", "triton"))}
    found = distributions(path=[environments._packages(environments.made(FUNCTIONS / family))])
    has = {canonicalize_name(one.metadata["Name"]): one.version.removesuffix("+cpu") for one in found}
    assert has.items() <= {one.name: one.version for one in said}.items()
    assert {one.name for one in said} - has.keys() <= gpu


def question(family: str, store: Path) -> tuple[str, Any, str]:
    """A model of the family in the store, data, and what its answer holds."""
    names = {path.name for path in (store / family).glob("*")}
    for name, data, field in (*QUESTIONS, *MORE_QUESTIONS):
        if name in names:
            return name, data, field
    raise AssertionError(
        f"No tiny model of {family} is asked anything. Put one into models (tests/conftest.py) and add a line "
        "to QUESTIONS (tests/system/conftest.py), or do both in this file."
    )


def predict(url: str, name: str, data: Any) -> str:
    answer = ask(f"{url}/predict", json.dumps({"model_name": name, "data": data}).encode())
    assert answer.status == 200, answer.body
    return answer.body.decode()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_function_predicts_with_nothing_but_its_requirements(
    family: str, store: Path, trusting: Path, port: int, tmp_path: Path
) -> None:
    folder, environment = stage(family, build=tmp_path), environments.made(FUNCTIONS / family)
    name, data, field = question(family, store)
    settings = {"MODEL_STORE": str(store), "MODEL_TRUST": str(trusting), "PYTHONVERBOSE": "1"}
    with function_on(environment / "bin", folder, port, **settings) as (url, process):
        assert field in predict(url, name, data)
    check_imports(process.lines, environment, folder)


def test_the_gateway_routes_with_nothing_but_its_requirements(
    site: str, store: Path, trusting: Path, port: int, tmp_path: Path
) -> None:
    folder, environment = stage("gateway", build=tmp_path), environments.made(FUNCTIONS / "gateway")
    settings = {"MODEL_STORE": str(store), "MODEL_TRUST": str(trusting), "PYTHONVERBOSE": "1", "FUNCTIONS_URL": site}
    with function_on(environment / "bin", folder, port, **settings) as (url, process):
        assert "large" in predict(url, "tiny_classifier", ROW)
    check_imports(process.lines, environment, folder)


def check_imports(lines: list[str], environment: Path, folder: Path) -> None:
    """Every package came from the environment, and every module of ours from the staged folder."""
    # Two threads may write into one line.
    paths = set(re.findall(r"(?:from|matches) '?(/[^'\s#]+?\.(?:pyc?|so))\b", "\n".join(lines)))
    packages = {path.partition("/site-packages/")[0] for path in paths if "/site-packages/" in path}
    assert packages == {str(environment / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}")}
    ours = {path for path in paths if path.startswith(str(ROOT)) and not path.startswith(str(environment))}
    assert not ours
    assert any(path.startswith(f"{folder}/model_functions/") for path in paths)


@pytest.mark.parametrize("family", APART)
def test_the_emulator_runs_a_function_where_its_requirements_are(family: str, site: str, store: Path) -> None:
    name, data, field = question(family, store)
    assert field in predict(site, name, data)


@pytest.mark.parametrize("family", APART)
def test_rows_of_a_file_are_predicted_where_the_requirements_of_their_model_are(
    family: str, store: Path, trusting: Path, tmp_path: Path
) -> None:
    name, data, field = question(family, store)
    (tmp_path / "rows.jsonl").write_text(f"{json.dumps(data)}\n" * 3)
    command = ["batch", name, "--input", str(tmp_path / "rows.jsonl"), "--output", str(tmp_path / "out")]
    settings = clean_environment(MODEL_STORE=str(store), MODEL_TRUST=str(trusting))
    done = subprocess.run(
        [sys.executable, "-m", "deploy", *command], cwd=ROOT, env=settings, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    answers = (tmp_path / "out" / "part-000000.jsonl").read_text().splitlines()
    assert [field in answer for answer in answers] == [True] * 3


@pytest.mark.parametrize("family", APART)
def test_a_family_apart_passes_its_own_tests_where_its_requirements_are(family: str) -> None:
    file = f"tests/shared/families/test_{family}.py"
    said = in_its_environment(family, "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-rA", file)
    assert " passed" in said
    assert " skipped" not in said


def test_a_family_without_a_question_is_named(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="No tiny model of tabular is asked anything"):
        question("tabular", tmp_path)
