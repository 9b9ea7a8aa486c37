"""Beam's ModelHandler over a published model: RunInference in anybody's pipeline gives what a function would answer."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from apache_beam.ml.inference.base import ModelHandler, PredictionResult

from deploy import publisher
from deploy.batch.pinned import PinnedModel
from deploy.batch.predictor import WINDOW, WINDOW_OF_FILES, Outcome, Predictor
from deploy.project import wrapper_class
from model_functions.repository import Repository


class PublishedModel(ModelHandler[Any, PredictionResult, Predictor]):
    """An element is what a request's ``data`` may be; an inference is an ``Outcome``: prediction, error, seconds.

    The revision is the one that the alias names when this is made, for the whole job: each worker process loads it
    once, verified, and its threads share it.

    Args:
        parameters: of every prediction, by name.
    """

    def __init__(self, model: PinnedModel, parameters: Mapping[str, Any] | None = None, **batching: int) -> None:
        window = WINDOW_OF_FILES if wrapper_class(model.family).media else WINDOW
        super().__init__(**{"max_batch_size": window} | batching)
        self.model = model
        self.parameters = dict(parameters or {})

    @classmethod
    def of(
        cls,
        model: str,
        *,
        alias: str = "prod",
        revision: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        repository: Repository | None = None,
        **batching: int,
    ) -> Self:
        """The model ``NAME`` or ``FAMILY/NAME`` of MODEL_STORE, or of the repository.

        Args:
            batching: ``min_batch_size``, ``max_batch_size`` and what else Beam's handler takes.
        """
        found = PinnedModel.at(repository or publisher.open_repository(), model, alias=alias, revision=revision)
        return cls(found, parameters, **batching)

    def load_model(self) -> Predictor:
        return Predictor(self.model.load())

    def run_inference(
        self, batch: Sequence[Any], model: Predictor, inference_args: dict[str, Any] | None = None
    ) -> Iterable[PredictionResult]:
        found: list[Outcome] = model.predict(batch, self.parameters | (inference_args or {}))
        return [
            PredictionResult(item, outcome, self.model.revision) for item, outcome in zip(batch, found, strict=True)
        ]

    def validate_inference_args(self, inference_args: dict[str, Any] | None) -> None:
        """They are parameters, which the wrapper checks with each row."""

    def get_num_bytes(self, batch: Sequence[Any]) -> int:
        """About: Beam's own way is to pickle each batch, to count the bytes."""
        return sum(map(sys.getsizeof, batch))

    def get_metrics_namespace(self) -> str:
        return f"model_functions/{self.model.family}/{self.model.name}"
