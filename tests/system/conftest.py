"""What the tests ask of every family, with the tiny models of the common store."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.publish import publish
from deploy.stage import stage
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.families.image_classification import GREY_SQUARE
from model_functions.families.text_generation import TextGenerationWrapper
from model_functions.repository import Repository
from model_functions.store.folder import FolderStore
from tests.fakes.bucket import FakeBucket
from tests.running import EDGES
from tests.tiny_models import TEXT, llama_folder

ROW = [0.5, 1.0, 2.0]

#: Model, data, and the field of its prediction.
QUESTIONS: list[tuple[str, Any, str]] = [
    ("tiny_tagger", TEXT, "entity_group"),
    ("tiny_summarizer", TEXT, "summary_text"),
    ("tiny_translator", TEXT, "translation_text"),
    ("tiny_classifier", ROW, "prediction"),
    ("tiny_eye", GREY_SQUARE, "label"),
    ("tiny_writer", "hello world", "generated_text"),
]


@pytest.fixture(scope="session")
def bucket(graph_store_folder: Path) -> Iterator[FakeBucket]:
    """The common store in a bucket, under ``gs://models/team``."""
    with FakeBucket("models") as bucket:
        for path in graph_store_folder.rglob("*.*"):
            if path.is_file() and not path.name.startswith("."):
                bucket.put(f"team/{path.relative_to(graph_store_folder)}", path.read_bytes())
        yield bucket


@pytest.fixture(scope="session")
def long_store(tmp_path_factory: pytest.TempPathFactory, key: SigningKey, trust: Trust) -> Path:
    """A store with ``long_writer``, which takes some seconds for its longest answer."""
    folder = tmp_path_factory.mktemp("long")
    wrapper = TextGenerationWrapper.from_source(str(llama_folder(folder / "llama", positions=4100)))
    repository = Repository(FolderStore(folder / "store"), trust)
    publish(wrapper, name="long_writer", examples=["hello world"], repository=repository, key=key, engine="torch")
    return folder / "store"


@pytest.fixture(scope="session")
def staged_writer(trust_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The staged folder of the function that serves it."""
    folder = stage("text_generation", build=tmp_path_factory.mktemp("writer"))
    shutil.copy(trust_file, folder / "trust.json")
    return folder


@pytest.fixture(params=EDGES, scope="module")
def edge(request: pytest.FixtureRequest) -> dict[str, str]:
    """The variables of one edge and then of the other."""
    found: dict[str, str] = EDGES[request.param]
    return found


every_family = pytest.mark.parametrize(("name", "data", "field"), QUESTIONS, ids=[name for name, *_ in QUESTIONS])
