import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.publish import publish
from model_functions.artifact import stream
from model_functions.artifact.manifest import FileEntry
from model_functions.artifact.signing import SigningKey, Trust
from model_functions.cache import LoadedModel, ModelCache
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
from model_functions.phases import Phases
from model_functions.repository import WRAPPER_FILE, Repository
from model_functions.store.folder import FolderStore

ROW = [0.5, 1.0, 2.0]


class CountingStore(FolderStore):
    """Counts what is read, and fails while it is told to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: list[str] = []
        self.failing = False

    def read_into(self, name: str, buffer: memoryview, offset: int = 0) -> None:
        self.reads.append(name)
        if self.failing:
            raise StoreUnavailable("The store is away.", retry_after=5)
        super().read_into(name, buffer, offset)


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    return CountingStore(tmp_path)


@pytest.fixture
def repository(store: CountingStore, trust: Trust, key: SigningKey, classifier: TabularWrapper) -> Repository:
    repository = Repository(store, trust)
    publish(classifier, name="wine", examples=[ROW], repository=repository, key=key)
    return repository


@pytest.fixture
def cache(repository: Repository) -> ModelCache:
    return ModelCache(repository, TabularWrapper, "prod")


def test_the_first_request_loads_and_the_second_finds(cache: ModelCache, store: CountingStore) -> None:
    cold, warm = Phases(), Phases()
    model = cache.get("wine", cold)
    assert model.wrapper.predict(ROW)["prediction"] == "large"
    assert cache.get("wine", warm) is model
    assert list(cold.milliseconds) == ["manifest", "download", "load"]
    assert warm.milliseconds == {}
    assert len(store.reads) == 1
    assert cache.loaded() == ["wine"]


def test_a_hundred_first_requests_load_once(cache: ModelCache, store: CountingStore) -> None:
    start = threading.Barrier(100)
    found: list[LoadedModel] = []

    def ask() -> None:
        start.wait()
        found.append(cache.get("wine", Phases()))

    threads = [threading.Thread(target=ask) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 100
    assert len(set(map(id, found))) == 1
    assert len(store.reads) == 1


def test_a_failed_load_is_told_and_tried_again(cache: ModelCache, store: CountingStore) -> None:
    store.failing = True
    with pytest.raises(StoreUnavailable):
        cache.get("wine", Phases())
    store.failing = False
    assert cache.get("wine", Phases()).wrapper.predict(ROW)


def test_an_unknown_model_is_not_found(cache: ModelCache) -> None:
    with pytest.raises(ModelNotFound, match='No model "beer"'):
        cache.get("beer", Phases())


def refused(cache: ModelCache, kind: type[ServingError], monkeypatch: pytest.MonkeyPatch) -> ServingError:
    """The refusal of a load, and proof that dill was not called."""

    def unpickle(*_: Any) -> Any:
        pytest.fail("the stream reached dill")

    monkeypatch.setattr(stream, "load", unpickle)
    with pytest.raises(kind) as caught:
        cache.get("wine", Phases())
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
    cache: ModelCache, store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    [path] = store.root.rglob("wrapper.dill")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    error = refused(cache, DigestMismatch, monkeypatch)
    assert "are not those that were signed. Publish the model again." in error.message


def test_a_foreign_signature_is_refused_before_dill(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = Repository(repository.store, Trust([SigningKey.generate().trusted()]))
    error = refused(ModelCache(stranger, TabularWrapper, "prod"), SignatureRefused, monkeypatch)
    assert "which this function does not trust" in error.message


def test_another_python_is_refused_before_a_byte_is_fetched(
    cache: ModelCache, store: CountingStore, repository: Repository, key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    republish(repository, key, python="3.9")
    store.reads.clear()
    error = refused(cache, PythonMismatch, monkeypatch)
    assert "wine was published with Python 3.9" in error.message
    assert store.reads == []


def test_a_missing_package_is_refused_before_a_byte_is_fetched(
    cache: ModelCache, store: CountingStore, repository: Repository, key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    republish(repository, key, packages={"lightgbm": "9.9.9"})
    store.reads.clear()
    error = refused(cache, PackageMismatch, monkeypatch)
    assert "Add lightgbm==9.9.9 to the function's requirements.txt" in error.message
    assert store.reads == []


def test_an_import_that_is_not_listed_is_refused(cache: ModelCache, repository: Repository, key: SigningKey) -> None:
    republish(repository, key, globals=("model_functions.families.tabular:TabularWrapper",))
    with pytest.raises(GlobalRefused, match="which its manifest does not list"):
        cache.get("wine", Phases())


def test_a_wrapper_of_another_family_is_refused(repository: Repository) -> None:
    class Other(TranslationWrapper):
        family = "tabular"

    with pytest.raises(ArtifactRefused, match="holds a TabularWrapper; this function serves Other"):
        ModelCache(repository, Other, "prod").get("wine", Phases())


def test_a_stream_that_is_signed_and_broken_gives_a_clear_error(
    cache: ModelCache, repository: Repository, key: SigningKey
) -> None:
    pointer = repository.resolve("tabular", "wine", "prod")
    manifest = repository.manifest("tabular", "wine", pointer.revision)
    broken = replace(manifest, files={WRAPPER_FILE: FileEntry.of(b"not a pickle")})
    repository.add(broken, {WRAPPER_FILE: b"not a pickle"}, key)
    repository.point(broken, "prod", key)
    with pytest.raises(ArtifactRefused, match=r"wine cannot be unpickled here \(UnpicklingError\)"):
        cache.get("wine", Phases())
