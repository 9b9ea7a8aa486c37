"""The models that this instance has loaded; each is loaded once, when it is first asked for."""

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

from model_functions.artifact.manifest import Manifest
from model_functions.loading import ModelLoader
from model_functions.phases import Phases
from model_functions.wrapper import ModelWrapper


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
    """The models of one family, by name."""

    def __init__(self, loader: ModelLoader) -> None:
        self.loader = loader
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
        manifest = self.loader.resolve(name, phases)
        return LoadedModel(self.loader.load(manifest, phases), manifest)
