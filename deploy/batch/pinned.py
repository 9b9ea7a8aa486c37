"""One revision of one model, decided once: whoever has this, in whatever process, loads the same bytes or nothing."""

from dataclasses import asdict, dataclass
from typing import Any, Self

from deploy.naming import split_model
from deploy.project import wrapper_class
from model_functions.artifact.manifest import Manifest
from model_functions.artifact.signing import Trust, TrustedKey
from model_functions.loaded import LoadedModel
from model_functions.loading import ModelLoader
from model_functions.phases import Phases
from model_functions.repository import Repository
from model_functions.store import open_store


@dataclass(frozen=True)
class PinnedModel:
    """A revision in a store.

    Args:
        store: its location.
        digest: of the revision's whole manifest.
        trust: the keys whose signatures count.
    """

    store: str
    family: str
    name: str
    revision: str
    digest: str
    trust: tuple[TrustedKey, ...]

    @classmethod
    def at(cls, repository: Repository, model: str, *, alias: str = "prod", revision: str | None = None) -> Self:
        """The revision that the alias names now, or that one.

        Args:
            model: ``NAME`` or ``FAMILY/NAME``.

        Raises ModelNotFound, ArtifactRefused, StoreUnavailable.
        """
        family, name = split_model(repository, model)
        if revision is None:
            pointer = repository.resolve(family, name, alias)
            manifest = repository.manifest(family, name, pointer.revision, pointer.manifest)
        else:
            manifest = repository.manifest(family, name, revision)
        keys = tuple(repository.trust.keys.values())
        return cls(repository.store.location, family, name, manifest.revision, manifest.digest, keys)

    def manifest(self) -> Manifest:
        """Raises ModelNotFound, ArtifactRefused, StoreUnavailable."""
        return self._repository().manifest(self.family, self.name, self.revision, self.digest)

    def load(self) -> LoadedModel:
        """Verified as a function does it, in the lane that this machine runs fastest.

        Raises as ``manifest`` does, PythonMismatch and PackageMismatch.
        """
        manifest = self.manifest()
        manifest.check_environment()
        loader = ModelLoader(self._repository(), wrapper_class(self.family), self.revision)
        return LoadedModel(loader.load(manifest, Phases()), manifest)

    def document(self) -> dict[str, Any]:
        """As JSON has it, without the keys: who reads it has his own."""
        return {name: value for name, value in asdict(self).items() if name != "trust"}

    def _repository(self) -> Repository:
        return Repository(open_store(self.store), Trust(list(self.trust)))
