"""From a model's name to a wrapper that predicts: alias, manifest, bytes, digests, dill."""

import errno
import json
import logging
from typing import Any

from model_functions import memory
from model_functions.artifact.download import Download
from model_functions.artifact.manifest import PREDICTIONS_FILE, SOURCES_FOLDER, Manifest
from model_functions.artifact.region import Region
from model_functions.boot import BOOT
from model_functions.errors import ArtifactRefused, InsufficientMemory, ManifestInvalid, ServingError
from model_functions.phases import Phases
from model_functions.repository import Pointer, Repository
from model_functions.wrapper import ModelWrapper

log = logging.getLogger(__name__)

#: How a disk says that it takes no more: it is full, or somebody's share of it, or a file is as large as one may be.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: Seconds after which there may be room on it: other models' files are there while they are loaded.
_FULL_S = 5


class ModelLoader:
    """Loads the models of one family.

    Args:
        wrapper_class: what an artifact of this family must hold.
        alias: names the revision to load.
    """

    def __init__(self, repository: Repository, wrapper_class: type[ModelWrapper], alias: str) -> None:
        self.repository = repository
        self.wrapper_class = wrapper_class
        self.alias = alias
        self._serials: dict[str, int] = {}

    def resolve(self, name: str, phases: Phases) -> Manifest:
        """The manifest of the model's revision, fit for this environment.

        Raises ModelNotFound, ArtifactRefused, StoreUnavailable.
        """
        family = self.wrapper_class.family
        with phases("manifest"):
            pointer = self.repository.resolve(family, name, self.alias, phases)
            self._check_serial(pointer)
            manifest = self.repository.manifest(family, name, pointer.revision, pointer.manifest, phases)
            manifest.check_environment()
        return manifest

    def aimed(self, name: str) -> str:
        """The digest of the manifest that the alias names now.

        Raises ModelNotFound, ArtifactRefused, StoreUnavailable.
        """
        pointer = self.repository.resolve(self.wrapper_class.family, name, self.alias)
        self._check_serial(pointer)
        return pointer.manifest

    def load(self, manifest: Manifest, phases: Phases) -> ModelWrapper:
        """The revision's wrapper. Raises ArtifactRefused, StoreUnavailable, InsufficientMemory."""
        BOOT.charge(phases)
        # All files are on their way while the engine's packages are imported.
        loaded = manifest.files_here()
        downloads: dict[str, Download] = {}
        try:
            for file in loaded:
                downloads[file] = self.repository.download(manifest, file)
            with memory.rarely_collected():
                wrapper = self._unpickled(manifest, downloads, phases)
        finally:
            for download in downloads.values():
                download.cancel()
        fields = {
            "model": manifest.name,
            "revision": manifest.revision,
            "engine": manifest.here.engine.name,
            "precision": manifest.here.engine.precision,
            "bytes": sum(manifest.files[file].size for file in loaded),
            "digests_cpu_ms": round(sum(download.hashing_s for download in downloads.values()) * 1000, 1),
            "phases": phases.ledger(),
        }
        log.info("loaded %s", manifest.name, extra={"fields": fields})
        return wrapper

    def load_tested(self, manifest: Manifest) -> ModelWrapper:
        """The same, for the place of another revision: it has answered its sample as it was published.

        Raises also SelfTestFailed.
        """
        # Imported here: an instance that loads its first model must not wait for it.
        from model_functions.self_test import SelfTest

        wrapper = self.load(manifest, Phases())
        if manifest.examples:
            SelfTest(wrapper, manifest).check(self._expected(manifest))
        return wrapper

    def _expected(self, manifest: Manifest) -> dict[str, Any]:
        """What the sample's answer was when it was recorded; {} where it was not."""
        if PREDICTIONS_FILE not in manifest.files:
            return {}
        recorded = json.loads(bytes(self.repository.download(manifest, PREDICTIONS_FILE).wait().memory))
        return dict(recorded[0])

    def _check_serial(self, pointer: Pointer) -> None:
        """Refuses an alias from before one that this instance has seen: signed, but put back by somebody."""
        seen = self._serials.get(pointer.name, 0)
        if pointer.serial < seen:
            raise ManifestInvalid(
                f'"{pointer.alias}" of {pointer.family}/{pointer.name} has the serial {pointer.serial}, and {seen} was '
                "read before: an old alias was put back. Promote the revision that is wanted."
            )
        self._serials[pointer.name] = pointer.serial

    def _unpickled(self, manifest: Manifest, downloads: dict[str, Download], phases: Phases) -> ModelWrapper:
        lane = manifest.here
        try:
            with phases("import"):
                # Imported here: an instance that waits for its first request needs neither dill nor numpy.
                from model_functions.artifact import stream

                _install_sources(downloads)
                stream.import_modules(lane.globals)
            # Not one opcode of the stream runs before every byte of the revision is proven.
            with phases("download"):
                regions = {file: download.wait() for file, download in downloads.items()}
            with phases("load"):
                weights = regions.get(lane.weights) or Region(0, lane.layout)
                wrapper: Any = stream.load(regions[lane.wrapper].memory, weights, lane.globals)
        except ServingError:
            raise
        except Exception as exc:
            if isinstance(exc, OSError) and exc.errno in _FULL:
                raise InsufficientMemory(
                    f"{manifest.name} has files that its engine reads from /tmp, and there is no room for them: it is "
                    f"this instance's memory. Ask again in {_FULL_S} s, or deploy the function with more memory.",
                    retry_after=_FULL_S,
                ) from exc
            # Signed and whole, yet it fails here: a package that changed within its minor version, most often.
            raise ArtifactRefused(
                f"{manifest.name} cannot be unpickled here ({type(exc).__name__}). The function's log has the "
                "reason; publish the model again with the packages of the function's requirements.txt."
            ) from exc
        family = self.wrapper_class.family
        # Another class than the family's own: a publisher's, or one that serves what an older way made.
        if not isinstance(wrapper, ModelWrapper) or wrapper.family != family:
            raise ArtifactRefused(
                f"{manifest.name} holds a {type(wrapper).__name__}; this function serves {family}. "
                "Publish it with --family of its own."
            )
        return wrapper


def _install_sources(downloads: dict[str, Download]) -> None:
    """Makes the modules importable that the artifact brings, each proven before it is."""
    files = [file for file in downloads if file.startswith(SOURCES_FOLDER)]
    if files:
        # Imported here: few artifacts bring any.
        from model_functions.artifact import sources

        sources.install_files({file: bytes(downloads[file].wait().memory) for file in files})
