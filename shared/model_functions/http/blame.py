"""Whatever a model raises in a request's own thread, and was not meant to, is told as the model's error."""

from types import TracebackType

from model_functions import logs
from model_functions.errors import ServingError
from model_functions.http.message import Request
from model_functions.loaded import LoadedModel
from model_functions.queue import unforeseen


class Blame:
    """For ``with`` around what the model does, and around no ``yield``: it may raise anything, SystemExit included, and
    a GeneratorExit of its own looks like a caller's who is gone.
    """

    __slots__ = ("_model", "_request")

    def __init__(self, model: LoadedModel, request: Request) -> None:
        self._model = model
        self._request = request

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        if raised is None or isinstance(raised, ServingError):
            return
        logs.enter(self._request.headers, self._request.trace)
        raise unforeseen(self._model.manifest.name, self._request.id, raised) from raised
