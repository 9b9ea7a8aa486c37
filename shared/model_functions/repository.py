"""What the store's names mean: families, models, revisions, aliases."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from model_functions.artifact.document import read
from model_functions.artifact.download import AS_IT_IS, Download
from model_functions.artifact.manifest import Manifest
from model_functions.artifact.signing import Trust, signing_key_id
from model_functions.errors import Conflict, ManifestInvalid, ModelNotFound, ObjectNotFound, ServingError
from model_functions.names import MODEL_NAME_RULE, is_family, is_model_name
from model_functions.phases import Phases
from model_functions.store import NEW, Store

if TYPE_CHECKING:
    from model_functions.artifact.signing_key import SigningKey

#: Revisions that an alias remembers for rolling back.
HISTORY = 20

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Pointer:
    """An alias: the only mutable object.

    Args:
        manifest: the whole digest of the revision's manifest.
        serial: one more at every move, so that an old pointer cannot pass for a new one; first ``first_serial``.
        previous: the revisions it pointed at before, the latest first.
    """

    family: str
    name: str
    alias: str
    revision: str
    manifest: str
    serial: int
    previous: tuple[str, ...] = ()

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        try:
            return read(cls, document)
        except ValueError as exc:
            raise ManifestInvalid("The alias does not have the fields of one. Promote the revision again.") from exc

    def moved(self, manifest: Manifest, previous: tuple[str, ...]) -> Self:
        """The alias at another revision, one serial later."""
        return replace(
            self, revision=manifest.revision, manifest=manifest.digest, serial=self.serial + 1, previous=previous
        )


class Repository:
    """Models in a store, whose every document is signed.

    Args:
        trust: whose signatures count.
    """

    def __init__(self, store: Store, trust: Trust) -> None:
        self.store = store
        self.trust = trust

    # Reading: what a function does.

    def resolve(self, family: str, name: str, alias: str, phases: Phases | None = None) -> Pointer:
        """The alias of a model. Raises ModelNotFound, SignatureRefused, ManifestInvalid."""
        _check_names(family, name)
        pointer, _ = self._pointer(family, name, alias, phases)
        if pointer is None:
            raise ModelNotFound(
                f'No model "{name}" is published as "{alias}" in {family}. '
                "GET / lists the models; python -m deploy publish adds one."
            )
        return pointer

    def generation(self, family: str, name: str, alias: str) -> int:
        """That of the alias, for ``point``."""
        return self._pointer(family, name, alias)[1]

    def manifest(
        self, family: str, name: str, revision: str, digest: str | None = None, phases: Phases | None = None
    ) -> Manifest:
        """The manifest of a revision, verified.

        Args:
            digest: the whole digest that a pointer pins; None trusts the signature and the revision.
            phases: told of ``verify``.
        """
        _check_names(family, name, revision)
        try:
            data = self.store.read(_manifest_name(family, name, revision)).data
        except ObjectNotFound as exc:
            raise ModelNotFound(
                f'{family}/{name} has no revision "{revision}". python -m deploy models lists them.'
            ) from exc
        with (phases or Phases())("verify"):
            manifest = Manifest.from_document(self.trust.verify("manifest", data))
        same = (manifest.family, manifest.name, manifest.revision) == (family, name, revision)
        if not same or digest not in (None, manifest.digest):
            raise ManifestInvalid(
                f"The manifest of {family}/{name} at {revision} speaks of another revision. Publish the model again."
            )
        return manifest

    def signer(self, manifest: Manifest) -> str:
        """The id of the key that signed it."""
        data = self.store.read(_manifest_name(manifest.family, manifest.name, manifest.revision)).data
        return signing_key_id("manifest", data)

    def download(self, manifest: Manifest, file: str) -> Download:
        """One file of a revision, which starts to arrive now."""
        layout = next((lane.layout for lane in manifest.lanes if file == lane.weights), AS_IT_IS)
        return Download(self.store, _file_name(manifest, file), manifest.files[file], layout)

    def names(self, family: str | None = None) -> list[tuple[str, str]]:
        """(family, name) of every model that has an alias, sorted."""
        return sorted({(parts[0], parts[1]) for parts in self._listed(family, "aliases")})

    def names_of_all(self) -> list[tuple[str, str]]:
        """(family, name) of every model that has a revision, with an alias or without, sorted."""
        return sorted({(parts[0], parts[1]) for parts in self._listed(None, "revisions")})

    def aliases(self, family: str, name: str) -> list[Pointer]:
        """The model's aliases, by name."""
        names = [p[3].removesuffix(".json") for p in self._listed(family, "aliases") if p[1] == name]
        found = (self._pointer(family, name, alias)[0] for alias in names)
        return [pointer for pointer in found if pointer is not None]

    def revisions(self, family: str, name: str) -> list[str]:
        """Every whole revision of the model: one whose manifest has been written."""
        listed = self._listed(family, "revisions")
        return sorted(p[3] for p in listed if p[1] == name and p[4:] == ["manifest.json"])

    # Writing: what a publisher does.

    def add(
        self, manifest: Manifest, files: Mapping[str, bytes], key: "SigningKey", on_progress: Progress | None = None
    ) -> None:
        """Writes a revision, its manifest last; does nothing for one that is there already."""
        for file, data in files.items():
            self._create(_file_name(manifest, file), data, on_progress)
        # The manifest goes last: a reader that finds it finds the rest too.
        document = key.sign("manifest", manifest.document())
        try:
            self.store.write(
                _manifest_name(manifest.family, manifest.name, manifest.revision), document, generation=NEW
            )
        except Conflict:
            # Another key's signature over the same document is as good, if we trust it.
            self.manifest(manifest.family, manifest.name, manifest.revision, manifest.digest)

    def point(self, manifest: Manifest, alias: str, key: "SigningKey", seen: int | None = None) -> Pointer:
        """Moves the alias to the revision; does nothing when it is there. Raises Conflict.

        Args:
            seen: the alias's generation that the caller has decided by; None: whatever it is now.
        """
        family, name = manifest.family, manifest.name
        _check_names(family, name, alias)
        old, generation = self._pointer(family, name, alias)
        if old is not None and old.manifest == manifest.digest:
            return old
        if seen not in (None, generation):
            now = "is gone" if old is None else f"was moved to revision {old.revision}"
            raise Conflict(
                f'"{alias}" of {family}/{name} {now} by somebody else meanwhile, and stays there. Look at both, and '
                f"promote the one that is wanted; this one is revision {manifest.revision}."
            )
        if old is None:
            new = Pointer(family, name, alias, manifest.revision, manifest.digest, first_serial())
        else:
            new = old.moved(manifest, (old.revision, *old.previous)[:HISTORY])
        return self._move(new, generation, key)

    def roll_back(self, family: str, name: str, alias: str, key: "SigningKey") -> Pointer:
        """Moves the alias to the revision it pointed at before. Raises ModelNotFound, Conflict."""
        old, generation = self._pointer(family, name, alias)
        if old is None or not old.previous:
            raise ModelNotFound(f'"{alias}" of {family}/{name} has no revision before this one to roll back to.')
        manifest = self.manifest(family, name, old.previous[0])
        return self._move(old.moved(manifest, old.previous[1:]), generation, key)

    def _pointer(self, family: str, name: str, alias: str, phases: Phases | None = None) -> tuple[Pointer | None, int]:
        if not is_model_name(alias):
            return None, NEW
        try:
            stored = self.store.read(_alias_name(family, name, alias))
        except ObjectNotFound:
            return None, NEW
        with (phases or Phases())("verify"):
            pointer = Pointer.from_document(self.trust.verify("alias", stored.data))
        if (pointer.family, pointer.name, pointer.alias) != (family, name, alias):
            raise ManifestInvalid(f'"{alias}" of {family}/{name} speaks of another model. Promote the revision again.')
        return pointer, stored.generation

    def _move(self, pointer: Pointer, generation: int, key: "SigningKey") -> Pointer:
        name = _alias_name(pointer.family, pointer.name, pointer.alias)
        self.store.write(name, key.sign("alias", asdict(pointer)), generation=generation)
        return pointer

    def _create(self, name: str, data: bytes, on_progress: Progress | None) -> None:
        try:
            self.store.write(name, data, generation=NEW, on_progress=on_progress)
        except Conflict:
            # The name holds the digest of these very bytes: there, they are a publisher's who stopped half-way.
            found = bytearray(len(data))
            with self.store.open(name) as existing:
                existing.read_into(memoryview(found))
            if found != data:
                raise
            if on_progress is not None:
                on_progress(len(data))

    def _listed(self, family: str | None, folder: str) -> Iterator[list[str]]:
        """The parts of every object's name in that folder of a model."""
        for name in self.store.list("" if family is None else f"{family}/"):
            parts = name.split("/")
            if len(parts) > 3 and parts[2] == folder and is_family(parts[0]) and is_model_name(parts[1]):
                yield parts


def first_serial() -> int:
    """Of a document that is there for the first time, or again: more than it had before it was deleted."""
    return time.time_ns() // 1_000_000


def listing(repository: Repository, alias: str, family: str | None = None) -> Iterator[tuple[Pointer, Manifest]]:
    """Every model that can be read under the alias; one that cannot is left out."""
    for found, name in repository.names(family):
        try:
            pointer = repository.resolve(found, name, alias)
            yield pointer, repository.manifest(found, name, pointer.revision, pointer.manifest)
        except ServingError:
            continue


def _check_names(family: str, name: str, *others: str) -> None:
    """Refuses a name before it becomes part of an object's."""
    for model_name in (name, *others):
        if not is_model_name(model_name):
            raise ModelNotFound(f"{model_name[:64]!r} is no model's name: {MODEL_NAME_RULE}.")
    if not is_family(family):
        raise ModelNotFound(f"{family[:64]!r} is no family.")


def _manifest_name(family: str, name: str, revision: str) -> str:
    return f"{family}/{name}/revisions/{revision}/manifest.json"


def _file_name(manifest: Manifest, file: str) -> str:
    return f"{manifest.family}/{manifest.name}/revisions/{manifest.revision}/{file}"


def _alias_name(family: str, name: str, alias: str) -> str:
    return f"{family}/{name}/aliases/{alias}.json"
