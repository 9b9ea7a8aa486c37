import errno
import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from deploy.publish import publish
from model_functions.artifact import stream
from model_functions.artifact.download import Download
from model_functions.artifact.manifest import WRAPPER_FILE, FileEntry, Manifest
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.errors import (
    ArtifactRefused,
    DigestMismatch,
    GlobalRefused,
    InsufficientMemory,
    ManifestInvalid,
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
from model_functions.repository import Repository
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
    data = bytes(repository.download(manifest, WRAPPER_FILE).wait().memory)
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
    republish(repository, key, packages={"no-such-package": "9.9.9"})
    store.reads.clear()
    error = refused(loader, PackageMismatch, monkeypatch)
    assert "Add no-such-package==9.9.9 to the function's requirements.txt" in error.message
    assert store.reads == []


def test_an_import_that_is_not_listed_is_refused(loader: ModelLoader, repository: Repository, key: SigningKey) -> None:
    republish(repository, key, globals=("model_functions.families.tabular:TabularWrapper",))
    with pytest.raises(GlobalRefused, match="which its manifest does not list"):
        loaded(loader)


def test_a_wrapper_of_another_family_is_refused(loader: ModelLoader, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = loader.resolve("wine", Phases())
    monkeypatch.setattr(TabularWrapper, "family", "beverages")
    loader.wrapper_class = TranslationWrapper
    with pytest.raises(ArtifactRefused, match="holds a TabularWrapper; this function serves translation"):
        loader.load(manifest, Phases())


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


def test_an_older_alias_that_is_put_back_is_refused(
    loader: ModelLoader, store: CountingStore, repository: Repository, key: SigningKey
) -> None:
    [path] = store.root.rglob("prod.json")
    old, serial = path.read_bytes(), repository.resolve("tabular", "wine", "prod").serial
    republish(repository, key, description="newer")
    assert loader.resolve("wine", Phases()).description == "newer"
    path.write_bytes(old)
    with pytest.raises(ManifestInvalid) as caught:
        loader.resolve("wine", Phases())
    assert caught.value.message == (
        f'"prod" of tabular/wine has the serial {serial}, and {serial + 1} was read before: an old alias was put back. '
        "Promote the revision that is wanted."
    )


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG], ids=["full", "over a quota", "too large"])
def test_a_disk_without_room_is_no_fault_of_the_artifact(
    loader: ModelLoader, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    def unpickle(*_: Any) -> Any:
        raise OSError(reason, os.strerror(reason), "/tmp/model.pt2")

    manifest = loader.resolve("wine", Phases())
    with monkeypatch.context() as patched:
        patched.setattr(stream, "load", unpickle)
        with pytest.raises(InsufficientMemory) as caught:
            loader.load(manifest, Phases())
    assert caught.value.message == (
        "wine has files that its engine reads from /tmp, and there is no room for them: it is this instance's memory. "
        "Ask again in 5 s, or deploy the function with more memory."
    )
    assert caught.value.headers["Retry-After"] == "5"
    assert loader.load(manifest, Phases()).predict(ROW)


def test_an_alias_that_was_deleted_and_published_again_is_newer_than_it_was(
    loader: ModelLoader, store: CountingStore, repository: Repository, key: SigningKey
) -> None:
    [path] = store.root.rglob("prod.json")
    for number in range(3):
        republish(repository, key, description=f"number {number}")
        last = loader.resolve("wine", Phases())
    path.unlink()
    with pytest.raises(ModelNotFound):
        loader.resolve("wine", Phases())
    repository.point(last, "prod", key)
    assert loader.resolve("wine", Phases()) == last


@pytest.fixture(scope="module")
def weighty(tmp_path_factory: pytest.TempPathFactory, trust: Trust, key: SigningKey) -> Repository:
    """A model whose arrays have left the stream, in two revisions."""
    repository = Repository(CountingStore(tmp_path_factory.mktemp("weighty")), trust)
    for seed in range(2):
        rows = np.random.default_rng(seed).normal(size=(900, 3))
        estimator = KNeighborsClassifier().fit(rows, rows.sum(axis=1) > 0)
        wrapper = TabularWrapper.from_estimator(estimator, ROW)
        publish(wrapper, name="wine", examples=[ROW], repository=repository, key=key)
    return repository


def flipped(data: bytes) -> bytes:
    place = random.Random(len(data)).randrange(len(data) * 8)
    return data[: place // 8] + bytes([data[place // 8] ^ (1 << place % 8)]) + data[place // 8 + 1 :]


@pytest.mark.parametrize("file", ["wrapper.dill", "weights.safetensors", "manifest.json", "prod.json"])
@pytest.mark.parametrize(
    "damage",
    [flipped, lambda data: data[:-1], lambda data: data[: len(data) // 2], lambda _: b"", lambda data: data + b"\0"],
)
def test_damage_is_refused_before_dill(
    weighty: Repository, file: str, damage: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    store: Any = weighty.store
    revision = weighty.resolve("tabular", "wine", "prod").revision
    [path] = (path for path in store.root.rglob(file) if file == "prod.json" or revision in str(path))
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    try:
        refused(ModelLoader(weighty, TabularWrapper, "prod"), ArtifactRefused, monkeypatch)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("file", ["wrapper.dill", "weights.safetensors", "manifest.json"])
def test_a_file_of_another_revision_is_refused_before_dill(
    weighty: Repository, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store: Any = weighty.store
    pointer = weighty.resolve("tabular", "wine", "prod")
    folder = store.root / "tabular" / "wine" / "revisions"
    path, other = folder / pointer.revision / file, folder / pointer.previous[0] / file
    whole = path.read_bytes()
    if other.read_bytes() == whole:
        pytest.skip("both revisions have the same bytes")
    path.write_bytes(other.read_bytes())
    try:
        refused(ModelLoader(weighty, TabularWrapper, "prod"), ArtifactRefused, monkeypatch)
    finally:
        path.write_bytes(whole)


def test_what_has_begun_to_arrive_is_given_up_when_the_rest_cannot_begin(
    weighty: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Download] = []
    begin = Repository.download

    def refuse_the_second(self: Repository, manifest: Manifest, file: str) -> Download:
        if begun:
            raise OSError("Cannot allocate memory")
        begun.append(begin(self, manifest, file))
        return begun[0]

    monkeypatch.setattr(Repository, "download", refuse_the_second)
    loader = ModelLoader(weighty, TabularWrapper, "prod")
    with pytest.raises(OSError, match="Cannot allocate memory"):
        loaded(loader)
    with pytest.raises(StoreUnavailable, match="The download was given up"):
        begun[0].wait()


def test_the_whole_model_loads(weighty: Repository) -> None:
    manifest = ModelLoader(weighty, TabularWrapper, "prod").resolve("wine", Phases())
    assert set(manifest.files) == {"wrapper.dill", "weights.safetensors", "predictions.json"}
    assert loaded(ModelLoader(weighty, TabularWrapper, "prod")).predict(ROW)["prediction"] in (True, False)
