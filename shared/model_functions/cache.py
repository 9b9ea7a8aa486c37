"""The models that this instance has loaded; each is loaded once, when it is first asked for."""

import logging
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from model_functions.artifact import stream
from model_functions.artifact.manifest import Manifest
from model_functions.errors import ArtifactRefused
from model_functions.phases import Phases
from model_functions.repository import WRAPPER_FILE, Repository
from model_functions.wrapper import ModelWrapper

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedModel:
    """A wrapper that is ready to predict.

    Args:
        lane: held while the wrapper predicts; tokenizers and engines serve one thread at a time.
    """

    wrapper: ModelWrapper
    manifest: Manifest
    lane: threading.Lock = field(default_factory=threading.Lock)


class ModelCache:
    """The models of one family, by name.

    Args:
        wrapper_class: what an artifact of this family must hold.
        alias: names the revision to load.
    """

    def __init__(self, repository: Repository, wrapper_class: type[ModelWrapper], alias: str) -> None:
        self.repository = repository
        self.wrapper_class = wrapper_class
        self.alias = alias
        self._models: dict[str, LoadedModel] = {}
        self._flights: dict[str, Future[LoadedModel]] = {}
        self._lock = threading.Lock()

    def get(self, name: str, phases: Phases) -> LoadedModel:
        """The model, loaded now if this is its first request.

        Raises ModelNotFound, ModelUnavailable, ArtifactRefused.
        """
        with self._lock:
            model = self._models.get(name)
            if model is not None:
                return model
            flight = self._flights.get(name)
            first = flight is None
            flight = self._flights.setdefault(name, Future())
        if first:
            self._fly(name, flight, phases)
            return flight.result()
        with phases("wait"):
            return flight.result()

    def loaded(self) -> list[str]:
        return sorted(self._models)

    def _fly(self, name: str, flight: Future[LoadedModel], phases: Phases) -> None:
        """Loads the model, and tells it or the failure to all who wait; the next request may try again."""
        try:
            model = self._load(name, phases)
        except BaseException as exc:  # noqa: BLE001 - whatever it is, those who wait must hear it
            with self._lock:
                del self._flights[name]
            flight.set_exception(exc)
            return
        with self._lock:
            self._models[name] = model
            del self._flights[name]
        flight.set_result(model)

    def _load(self, name: str, phases: Phases) -> LoadedModel:
        family = self.wrapper_class.family
        with phases("manifest"):
            pointer = self.repository.resolve(family, name, self.alias)
            manifest = self.repository.manifest(family, name, pointer.revision, pointer.manifest)
            manifest.check_environment()
        with phases("download"):
            data = self.repository.read_file(manifest, WRAPPER_FILE)
        with phases("load"):
            wrapper = self._unpickled(data, manifest)
        log.info(
            "loaded %s",
            name,
            extra={"fields": {"model": name, "revision": manifest.revision, "phases": phases.milliseconds}},
        )
        return LoadedModel(wrapper, manifest)

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
