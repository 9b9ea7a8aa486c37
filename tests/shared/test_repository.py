import threading
from dataclasses import replace

import pytest

from model_functions.artifact.manifest import (
    WRAPPER_FILE,
    EngineRecord,
    FileEntry,
    Manifest,
    MemoryNeed,
    WeightsLayout,
    python_minor,
)
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.errors import (
    Conflict,
    ManifestInvalid,
    ModelNotFound,
    ServingError,
    SignatureRefused,
)
from model_functions.repository import Pointer, Repository, listing


def manifest(data: bytes = b"one", name: str = "wine", family: str = "tabular") -> Manifest:
    return Manifest(
        family=family,
        name=name,
        description="",
        wrapper="module:Class",
        engine=EngineRecord("sklearn"),
        memory=MemoryNeed(0, len(data), len(data)),
        weights=WeightsLayout(0, 0),
        python=python_minor(),
        packages={},
        files={WRAPPER_FILE: FileEntry.of(data)},
        globals=(),
        interface={},
        examples=[],
    )


@pytest.fixture
def three(repository: Repository, key: SigningKey) -> list[Manifest]:
    """Three revisions, each promoted in turn."""
    manifests = [manifest(data) for data in (b"one", b"two", b"three")]
    for made, data in zip(manifests, (b"one", b"two", b"three"), strict=True):
        repository.add(made, {WRAPPER_FILE: data}, key)
        repository.point(made, "prod", key)
    return manifests


def test_an_alias_leads_to_verified_bytes(repository: Repository, three: list[Manifest]) -> None:
    pointer = repository.resolve("tabular", "wine", "prod")
    found = repository.manifest("tabular", "wine", pointer.revision, pointer.manifest)
    assert found == three[2]
    assert bytes(repository.download(found, WRAPPER_FILE).wait().memory) == b"three"


def test_the_layout_is_the_promised_one(repository: Repository, three: list[Manifest]) -> None:
    names = set(repository.store.list())
    revision = three[0].revision
    assert "tabular/wine/aliases/prod.json" in names
    assert f"tabular/wine/revisions/{revision}/manifest.json" in names
    assert f"tabular/wine/revisions/{revision}/wrapper.dill" in names
    assert len(names) == 7


def test_adding_and_pointing_twice_changes_nothing(
    repository: Repository, key: SigningKey, three: list[Manifest]
) -> None:
    before = {name: repository.store.read(name) for name in repository.store.list()}
    repository.add(three[2], {WRAPPER_FILE: b"three"}, key)
    assert repository.point(three[2], "prod", key) == repository.resolve("tabular", "wine", "prod")
    assert {name: repository.store.read(name) for name in repository.store.list()} == before


def test_rolling_back_goes_back_one_at_a_time(repository: Repository, key: SigningKey, three: list[Manifest]) -> None:
    last = repository.resolve("tabular", "wine", "prod").serial
    for expected, serial in ((three[1], last + 1), (three[0], last + 2)):
        pointer = repository.roll_back("tabular", "wine", "prod", key)
        assert (pointer.revision, pointer.serial) == (expected.revision, serial)
        assert repository.resolve("tabular", "wine", "prod") == pointer
    with pytest.raises(ModelNotFound, match="has no revision before this one to roll back to"):
        repository.roll_back("tabular", "wine", "prod", key)


def test_an_unknown_model_says_how_to_publish(repository: Repository) -> None:
    with pytest.raises(ModelNotFound) as caught:
        repository.resolve("tabular", "nope", "prod")
    assert caught.value.message == (
        'No model "nope" is published as "prod" in tabular. GET / lists the models; python -m deploy publish adds one.'
    )


@pytest.mark.parametrize(
    "name", ["", "..", "a/b", "../x", "a..b", "A", "x" * 65, "a b", "a%2fb", "gs://x/y", "é", ".a"]
)
def test_a_name_that_cannot_be_never_reaches_the_store(repository: Repository, name: str) -> None:
    repository.store = None  # type: ignore[assignment]
    with pytest.raises(ModelNotFound, match="is no model's name"):
        repository.resolve("tabular", name, "prod")
    with pytest.raises(ModelNotFound, match="is no model's name"):
        repository.manifest("tabular", "wine", name)


def test_an_unknown_revision_is_named(repository: Repository, three: list[Manifest]) -> None:
    with pytest.raises(ModelNotFound, match='tabular/wine has no revision "0123456789ab"'):
        repository.manifest("tabular", "wine", "0123456789ab")


def overwrite(repository: Repository, name: str, data: bytes) -> None:
    repository.store.write(name, data, generation=repository.store.read(name).generation)


def test_a_manifest_of_another_model_is_refused(repository: Repository, key: SigningKey, three: list[Manifest]) -> None:
    for foreign in (manifest(b"one", name="beer"), manifest(b"one", family="translation"), three[1]):
        place = f"tabular/wine/revisions/{three[0].revision}/manifest.json"
        overwrite(repository, place, key.sign("manifest", foreign.document()))
        with pytest.raises(ManifestInvalid, match="speaks of another revision"):
            repository.manifest("tabular", "wine", three[0].revision)


def test_an_alias_of_another_model_is_refused(repository: Repository, three: list[Manifest]) -> None:
    stored = repository.store.read("tabular/wine/aliases/prod.json").data
    repository.store.write("tabular/beer/aliases/prod.json", stored, generation=0)
    with pytest.raises(ManifestInvalid, match='"prod" of tabular/beer speaks of another model'):
        repository.resolve("tabular", "beer", "prod")


def test_a_foreign_signature_is_refused_on_alias_and_manifest(repository: Repository, three: list[Manifest]) -> None:
    stranger = Repository(repository.store, Trust([SigningKey.generate().trusted()]))
    with pytest.raises(SignatureRefused):
        stranger.resolve("tabular", "wine", "prod")
    with pytest.raises(SignatureRefused):
        stranger.manifest("tabular", "wine", three[0].revision)


def test_an_interrupted_publish_is_finished_by_the_next(repository: Repository, key: SigningKey) -> None:
    made = manifest(b"one")
    repository.store.write(f"tabular/wine/revisions/{made.revision}/wrapper.dill", b"one", generation=0)
    assert repository.revisions("tabular", "wine") == []
    repository.add(made, {WRAPPER_FILE: b"one"}, key)
    assert repository.revisions("tabular", "wine") == [made.revision]


def test_other_bytes_under_the_revisions_name_are_not_overwritten(repository: Repository, key: SigningKey) -> None:
    made = manifest(b"one")
    repository.store.write(f"tabular/wine/revisions/{made.revision}/wrapper.dill", b"two", generation=0)
    with pytest.raises(Conflict):
        repository.add(made, {WRAPPER_FILE: b"one"}, key)


def test_of_two_who_move_an_alias_at_once_one_is_told(
    repository: Repository, key: SigningKey, three: list[Manifest]
) -> None:
    outcomes: list[object] = []
    start = threading.Barrier(8)

    def move(made: Manifest) -> None:
        start.wait()
        try:
            outcomes.append(repository.point(made, "prod", key))
        except Conflict as conflict:
            outcomes.append(conflict)

    threads = [threading.Thread(target=move, args=(three[index % 2],)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    moved = [outcome for outcome in outcomes if isinstance(outcome, Pointer)]
    assert len(outcomes) == 8
    assert repository.resolve("tabular", "wine", "prod").serial == max(pointer.serial for pointer in moved)


def test_names_aliases_and_revisions_are_listed(repository: Repository, key: SigningKey, three: list[Manifest]) -> None:
    repository.point(three[0], "canary", key)
    beer = manifest(b"beer", name="beer")
    repository.add(beer, {WRAPPER_FILE: b"beer"}, key)
    assert repository.names() == [("tabular", "wine")]
    assert repository.names_of_all() == [("tabular", "beer"), ("tabular", "wine")]
    assert repository.names("translation") == []
    assert [pointer.alias for pointer in repository.aliases("tabular", "wine")] == ["canary", "prod"]
    assert repository.revisions("tabular", "wine") == sorted(made.revision for made in three)


def test_the_listing_leaves_out_what_cannot_be_read(repository: Repository, three: list[Manifest]) -> None:
    repository.store.write("tabular/beer/aliases/prod.json", b"garbage", generation=0)
    repository.store.write("Not A Family/x/aliases/prod.json", b"garbage", generation=0)
    assert [found.name for _, found in listing(repository, "prod")] == ["wine"]


def test_history_does_not_grow_for_ever(repository: Repository, key: SigningKey) -> None:
    for number in range(30):
        made = replace(manifest(b"one"), description=str(number))
        repository.add(made, {WRAPPER_FILE: b"one"}, key)
        repository.point(made, "prod", key)
    assert len(repository.resolve("tabular", "wine", "prod").previous) == 20


def test_a_pointer_without_its_fields_is_refused(repository: Repository, key: SigningKey) -> None:
    repository.store.write("tabular/wine/aliases/prod.json", key.sign("alias", {"family": "tabular"}), generation=0)
    with pytest.raises(ServingError, match="does not have the fields of one"):
        repository.resolve("tabular", "wine", "prod")
