from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.publish import publish
from model_functions.artifact import stream
from model_functions.artifact.manifest import FileEntry
from model_functions.artifact.signing import SigningKey, Trust
from model_functions.errors import (
    ArtifactRefused,
    DigestMismatch,
    GlobalRefused,
    ModelNotFound,
    PackageMismatch,
    PythonMismatch,
    ServingError,
    SignatureRefused,
    StoreUnavailable,
)
from model_functions.families.tabular import TabularWrapper
from model_functions.families.translation import TranslationWrapper
from model_functions.loading import ModelLoader
from model_functions.phases import Phases
from model_functions.repository import WRAPPER_FILE, Repository
from model_functions.store.folder import FolderStore, OpenFile
from model_functions.wrapper import ModelWrapper

ROW = [0.5, 1.0, 2.0]


class CountingStore(FolderStore):
    """Counts what is read, and fails while it is told to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: list[str] = []
        self.failing = False

    def open(self, name: str) -> OpenFile:
        self.reads.append(name)
        if self.failing:
            raise StoreUnavailable("The store is away.", retry_after=5)
        return super().open(name)


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    return CountingStore(tmp_path)


@pytest.fixture
def repository(store: CountingStore, trust: Trust, key: SigningKey, classifier: TabularWrapper) -> Repository:
    repository = Repository(store, trust)
    publish(classifier, name="wine", examples=[ROW], repository=repository, key=key)
    return repository


@pytest.fixture
def loader(repository: Repository) -> ModelLoader:
    return ModelLoader(repository, TabularWrapper, "prod")


def loaded(loader: ModelLoader) -> ModelWrapper:
    return loader.load(loader.resolve("wine", Phases()), Phases())


def test_a_model_is_resolved_from_its_alias_and_loaded_from_one_file(loader: ModelLoader, store: CountingStore) -> None:
    phases = Phases()
    manifest = loader.resolve("wine", phases)
    assert (manifest.name, store.reads) == ("wine", [])
    assert loader.load(manifest, phases).predict(ROW)["prediction"] == "large"
    assert set(phases.milliseconds) - {"boot", "idle"} == {"manifest", "verify", "download", "load", "import"}
    assert len(store.reads) == 1


def test_a_store_that_is_away_says_so(loader: ModelLoader, store: CountingStore) -> None:
    store.failing = True
    with pytest.raises(StoreUnavailable):
        loaded(loader)


def test_an_unknown_model_is_not_found(loader: ModelLoader) -> None:
    with pytest.raises(ModelNotFound, match='No model "beer"'):
        loader.resolve("beer", Phases())


def refused(loader: ModelLoader, kind: type[ServingError], monkeypatch: pytest.MonkeyPatch) -> ServingError:
    """The refusal of a load, and proof that dill was not called."""

    def unpickle(*_: Any) -> Any:
        pytest.fail("the stream reached dill")

    monkeypatch.setattr(stream, "load", unpickle)
    with pytest.raises(kind) as caught:
        loaded(loader)
    return caught.value


def republish(repository: Repository, key: SigningKey, **changes: Any) -> None:
    """Publishes the wine model with another manifest."""
    pointer = repository.resolve("tabular", "wine", "prod")
    manifest = repository.manifest("tabular", "wine", pointer.revision)
    data = bytes(repository.read_file(manifest, WRAPPER_FILE))
    changed = replace(manifest, **changes)
    repository.add(changed, {WRAPPER_FILE: data}, key)
    repository.point(changed, "prod", key)


def test_a_changed_byte_is_refused_before_dill(
    loader: ModelLoader, store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    [path] = store.root.rglob("wrapper.dill")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    error = refused(loader, DigestMismatch, monkeypatch)
    assert "are not those that were signed. Publish the model again." in error.message


def test_a_foreign_signature_is_refused_before_dill(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = Repository(repository.store, Trust([SigningKey.generate().trusted()]))
    error = refused(ModelLoader(stranger, TabularWrapper, "prod"), SignatureRefused, monkeypatch)
    assert "which this function does not trust" in error.message


def test_another_python_is_refused_before_a_byte_is_fetched(
    loader: ModelLoader, store: CountingStore, repository: Repository, key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    republish(repository, key, python="3.9")
    store.reads.clear()
    error = refused(loader, PythonMismatch, monkeypatch)
    assert "wine was published with Python 3.9" in error.message
    assert store.reads == []


def test_a_missing_package_is_refused_before_a_byte_is_fetched(
    loader: ModelLoader, store: CountingStore, repository: Repository, key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    republish(repository, key, packages={"lightgbm": "9.9.9"})
    store.reads.clear()
    error = refused(loader, PackageMismatch, monkeypatch)
    assert "Add lightgbm==9.9.9 to the function's requirements.txt" in error.message
    assert store.reads == []


def test_an_import_that_is_not_listed_is_refused(loader: ModelLoader, repository: Repository, key: SigningKey) -> None:
    republish(repository, key, globals=("model_functions.families.tabular:TabularWrapper",))
    with pytest.raises(GlobalRefused, match="which its manifest does not list"):
        loaded(loader)


def test_a_wrapper_of_another_family_is_refused(repository: Repository) -> None:
    class Other(TranslationWrapper):
        family = "tabular"

    with pytest.raises(ArtifactRefused, match="holds a TabularWrapper; this function serves Other"):
        loaded(ModelLoader(repository, Other, "prod"))


def test_a_stream_that_is_signed_and_broken_gives_a_clear_error(
    loader: ModelLoader, repository: Repository, key: SigningKey
) -> None:
    pointer = repository.resolve("tabular", "wine", "prod")
    manifest = repository.manifest("tabular", "wine", pointer.revision)
    broken = replace(manifest, files={WRAPPER_FILE: FileEntry.of(b"not a pickle")})
    repository.add(broken, {WRAPPER_FILE: b"not a pickle"}, key)
    repository.point(broken, "prod", key)
    with pytest.raises(ArtifactRefused, match=r"wine cannot be unpickled here \(UnpicklingError\)"):
        loaded(loader)
