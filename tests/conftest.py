"""What many tests stand on: tiny models, a publisher's key, a repository in a folder."""

import os
import warnings
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import hypothesis  # noqa: F401 - before a load freezes the collector, through which it looks for references
import pytest

from deploy.lanes import generation_graphs, graphs
from deploy.proving import proof
from deploy.publish import publish
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.families.image_classification import ImageClassificationWrapper
from model_functions.families.summarization import SummarizationWrapper
from model_functions.families.tabular import TabularWrapper
from model_functions.families.text_generation import TextGenerationWrapper
from model_functions.families.token_classification import TokenClassificationWrapper
from model_functions.families.translation import TranslationWrapper
from model_functions.repository import Repository
from model_functions.store.folder import FolderStore
from model_functions.wrapper import ModelWrapper
from tests import tiny_models
from tests.fakes.fixtures import fake_bucket  # noqa: F401 - a fixture for all
from tests.made_once import made_once

# So small models are not worth a second thread, which would wait for a processor that an engine's own thread spins on.
os.environ.setdefault("OMP_NUM_THREADS", "1")

#: Its tests run where the clients are that they call: ``python -m tests.conformance``.
collect_ignore = ["conformance"]

#: Folders and files that take minutes.
_LONGEST = ("samples", "browser", "functions", "test_openapi", "system", "test_release", "lanes", "batch", "evaluation")

#: What starts whole functions, or a browser, is slow without saying so.
_SLOW = ("system", "browser")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where nothing slow is run, that is not imported either."""
    return True if config.option.markexpr == "not slow" and collection_path.name in _SLOW else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name in _SLOW:
            item.add_marker(pytest.mark.slow)
    # What takes longest begins first: at the end no worker waits for another. The sort keeps files together.
    items.sort(key=_place_in_line)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Files as a whole; and one worker has the browser, and the models that it is shown."""
    from xdist.scheduler import LoadFileScheduling

    class Files(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return "tests/browser" if file.startswith("tests/browser/") else file

    return Files(config, log)


def _place_in_line(item: pytest.Item) -> int:
    names = (item.path.stem, item.path.parent.name)
    return min((_LONGEST.index(name) for name in names if name in _LONGEST), default=len(_LONGEST))


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    """All workers' own: it signs the stores that they share."""
    made = made_once(tmp_path_factory, "key", lambda folder: SigningKey.generate().write(folder / "key.pem"))
    return SigningKey.read(made / "key.pem")


@pytest.fixture(scope="session")
def trust(key: SigningKey) -> Trust:
    return Trust([key.trusted("the tests", local=True)])


@pytest.fixture
def repository(tmp_path: Path, trust: Trust) -> Repository:
    return Repository(FolderStore(tmp_path / "store"), trust)


@pytest.fixture(scope="session")
def tagger_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.tagger_folder(tmp_path_factory.mktemp("tagger"))


@pytest.fixture(scope="session")
def generator_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.generator_folder(tmp_path_factory.mktemp("generator"))


@pytest.fixture(scope="session")
def marian_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.marian_folder(tmp_path_factory.mktemp("marian"))


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.image_folder(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="session")
def eye(image_folder: Path) -> ImageClassificationWrapper:
    return ImageClassificationWrapper.from_source(str(image_folder))


@pytest.fixture(scope="session")
def tagger(tagger_folder: Path) -> TokenClassificationWrapper:
    return TokenClassificationWrapper.from_source(str(tagger_folder))


@pytest.fixture(scope="session")
def summarizer(generator_folder: Path) -> SummarizationWrapper:
    return SummarizationWrapper.from_source(str(generator_folder), defaults={"max_new_tokens": 8})


@pytest.fixture(scope="session")
def translator(marian_folder: Path) -> TranslationWrapper:
    return TranslationWrapper.from_source(str(marian_folder))


@pytest.fixture(scope="session")
def writer(tmp_path_factory: pytest.TempPathFactory) -> TextGenerationWrapper:
    """It chats, and never ends by itself what it writes."""
    folder = tiny_models.llama_folder(tmp_path_factory.mktemp("llama"))
    return TextGenerationWrapper.from_source(str(folder), defaults={"max_new_tokens": 16, "min_new_tokens": 16})


@pytest.fixture(scope="session", autouse=True)
def exported_once() -> Iterator[None]:
    """Each model is exported once for all tests; those of the exporter itself undo it."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (graphs, generation_graphs):
            patch.setattr(module, "export", _once(module.export))
        yield


_IN_A_FRESH_PROCESS = proof._in_a_fresh_process


@pytest.fixture
def fresh_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Revisions are examined as a publisher does it: each in a process of its own."""
    monkeypatch.setattr(proof, "_in_a_fresh_process", _IN_A_FRESH_PROCESS)


@pytest.fixture(scope="session", autouse=True)
def examined_here() -> Iterator[None]:
    """A fresh process imports its frameworks anew: the tests of the proof itself have one, the others save it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proof, "_in_a_fresh_process", proof.examine_here)
        yield


@pytest.fixture(scope="module")
def quick_gcloud() -> Iterator[None]:
    """The real gcloud, without its second of a start."""
    from tests.gcloud import forked

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(forked.folder()), prepend=os.pathsep)
        yield


def _once(export: Callable[..., Any]) -> Callable[..., Any]:
    # The models are kept: another one could get the id of one that is gone.
    made: dict[int, tuple[Any, Any]] = {}

    def once(model: Any, *rest: Any) -> Any:
        if id(model) not in made:
            made[id(model)] = model, export(model, *rest)
        return made[id(model)][1]

    return once


@pytest.fixture(scope="session")
def classifier() -> TabularWrapper:
    example = dict.fromkeys(tiny_models.COLUMNS, 0.5)
    return TabularWrapper.from_estimator(tiny_models.classifier(), example)


@pytest.fixture(scope="session")
def models(
    tagger: TokenClassificationWrapper,
    summarizer: SummarizationWrapper,
    translator: TranslationWrapper,
    classifier: TabularWrapper,
    eye: ImageClassificationWrapper,
    writer: TextGenerationWrapper,
) -> dict[str, tuple[ModelWrapper, Any]]:
    """A model of each family with an example, named as tiny_tagger."""
    return {
        "tiny_tagger": (tagger, tiny_models.TEXT),
        "tiny_summarizer": (summarizer, tiny_models.TEXT),
        "tiny_translator": (translator, tiny_models.TEXT),
        "tiny_writer": (writer, "hello world"),
        "tiny_classifier": (classifier, dict.fromkeys(tiny_models.COLUMNS, 0.5)),
        "tiny_eye": (eye, eye.default_example),
    }


@pytest.fixture(scope="session")
def store_folder(
    tmp_path_factory: pytest.TempPathFactory, trust: Trust, key: SigningKey, request: pytest.FixtureRequest
) -> Path:
    """A store of the models as they were made: nothing is exported for it."""
    return made_once(
        tmp_path_factory, "store", lambda folder: _store(folder, request.getfixturevalue("models"), trust, key)
    )


@pytest.fixture(scope="session")
def graph_store_folder(
    tmp_path_factory: pytest.TempPathFactory, trust: Trust, key: SigningKey, request: pytest.FixtureRequest
) -> Path:
    """The same, where the tagger, the translator and the eye run by graphs."""
    graphs = {"tiny_tagger", "tiny_translator", "tiny_eye"}
    return made_once(
        tmp_path_factory, "graphs", lambda folder: _store(folder, request.getfixturevalue("models"), trust, key, graphs)
    )


@pytest.fixture(scope="session")
def described_store(tmp_path_factory: pytest.TempPathFactory, trust: Trust, key: SigningKey) -> Path:
    """A store with a model of each family, for who asks whatever the functions' descriptions allow."""
    # Imported here: few tests want it.
    from tests.described_models import publish_all

    def make(folder: Path) -> None:
        with warnings.catch_warnings():
            # torch warns of its own exporter.
            warnings.simplefilter("ignore")
            publish_all(Repository(FolderStore(folder), trust), key, tmp_path_factory.mktemp("described"))

    return made_once(tmp_path_factory, "described_store", make)


def _store(
    folder: Path,
    models: dict[str, tuple[ModelWrapper, Any]],
    trust: Trust,
    key: SigningKey,
    graphs: Collection[str] = (),
) -> None:
    repository = Repository(FolderStore(folder), trust)
    for name, (wrapper, example) in models.items():
        engine = "onnxruntime" if name in graphs else "torch"
        publish(wrapper, name=name, examples=[example], repository=repository, key=key, engine=engine)


@pytest.fixture(scope="session")
def trust_file(tmp_path_factory: pytest.TempPathFactory, key: SigningKey) -> Path:
    """A trust.json that lists the tests' key."""
    import json

    path = tmp_path_factory.mktemp("trust") / "trust.json"
    path.write_text(json.dumps({"keys": [key.trusted("the tests", local=True).entry()]}))
    return path
