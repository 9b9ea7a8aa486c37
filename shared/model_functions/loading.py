"""How a model comes from the repository into memory."""

import logging
from typing import Any

from model_functions.artifact import stream
from model_functions.artifact.manifest import Manifest
from model_functions.errors import ArtifactRefused
from model_functions.phases import Phases
from model_functions.repository import WRAPPER_FILE, Repository
from model_functions.wrapper import ModelWrapper

log = logging.getLogger(__name__)


class ModelLoader:
    """Loads the models of one family, by name.

    Args:
        wrapper_class: what an artifact of this family must hold.
        alias: names the revision to load.
    """

    def __init__(self, repository: Repository, wrapper_class: type[ModelWrapper], alias: str) -> None:
        self.repository = repository
        self.wrapper_class = wrapper_class
        self.alias = alias

    def resolve(self, name: str, phases: Phases) -> Manifest:
        """What the alias points at, checked against this environment.

        Raises ModelNotFound, StoreUnavailable, ArtifactRefused.
        """
        family = self.wrapper_class.family
        with phases("manifest"):
            pointer = self.repository.resolve(family, name, self.alias)
            manifest = self.repository.manifest(family, name, pointer.revision, pointer.manifest)
            manifest.check_environment()
        return manifest

    def load(self, manifest: Manifest, phases: Phases) -> ModelWrapper:
        """The manifest's model. Raises StoreUnavailable, ArtifactRefused."""
        with phases("download"):
            data = self.repository.read_file(manifest, WRAPPER_FILE)
        with phases("load"):
            wrapper = self._unpickled(data, manifest)
        log.info(
            "loaded %s",
            manifest.name,
            extra={"fields": {"model": manifest.name, "revision": manifest.revision, "phases": phases.milliseconds}},
        )
        return wrapper

    def _unpickled(self, data: bytearray, manifest: Manifest) -> ModelWrapper:
        try:
            wrapper: Any = stream.load(data, manifest.globals)
        except ArtifactRefused:
            raise
        except Exception as exc:
            # Signed and whole, yet it fails here: a package that changed within its minor version, most often.
            log.exception("cannot unpickle %s", manifest.name)
            raise ArtifactRefused(
                f"{manifest.name} cannot be unpickled here ({type(exc).__name__}). The function's log has the "
                "reason; publish the model again with the packages of the function's requirements.txt."
            ) from exc
        if not isinstance(wrapper, self.wrapper_class):
            raise ArtifactRefused(
                f"{manifest.name} holds a {type(wrapper).__name__}; this function serves "
                f"{self.wrapper_class.__name__}. Publish it with --family of its own."
            )
        return wrapper
