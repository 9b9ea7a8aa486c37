"""The job as a Beam pipeline: parts are read, predicted by RunInference, and written.

An element is a whole part from beginning to end: whatever a runner repeats, joins or splits, a part's rows stay
together, and writing them again writes the same files.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.ml.inference.base import ModelHandler, PredictionResult, RunInference

from deploy.batch import questions, writing
from deploy.batch.fence import Fence
from deploy.batch.files import Files, files_at
from deploy.batch.job import Job
from deploy.batch.journal import Entry, Journal
from deploy.batch.model_handler import PublishedModel
from deploy.batch.parts import InputRow, Part
from deploy.batch.predictor import Outcome, Predictor, failed
from deploy.batch.readers import reader
from model_functions.errors import InvalidInput


class PartRows(NamedTuple):
    """Args: began: when somebody began to read it, as time.time has it."""

    part: Part
    rows: list[InputRow]
    began: float


class ReadPart(beam.DoFn):
    def __init__(self, job: Job) -> None:
        self._job = job

    def process(self, part: Part) -> Iterator[PartRows]:
        began = time.time()
        files = files_at(part.files[0].name)
        yield PartRows(part, list(reader(self._job.format).rows(files, part)), began)


class PartHandler(ModelHandler[PartRows, PredictionResult, Predictor]):
    """Predicts parts; an inference is the list of their rows' outcomes."""

    def __init__(self, job: Job) -> None:
        super().__init__(min_batch_size=1, max_batch_size=1)
        self._job = job
        self._rows = PublishedModel(job.model, job.parameters)

    def load_model(self) -> Predictor:
        return self._rows.load_model()

    def run_inference(
        self, batch: Sequence[PartRows], model: Predictor, inference_args: dict[str, Any] | None = None
    ) -> Iterable[PredictionResult]:
        return [PredictionResult(one, self._outcomes(one.rows, model), self._job.model.revision) for one in batch]

    def _outcomes(self, rows: list[InputRow], model: Predictor) -> list[Outcome]:
        asked = [self._asked(row, model) for row in rows]
        data = [one for one in asked if not isinstance(one, Outcome)]
        results = iter(self._rows.run_inference([one[0] for one in data], model))
        return [one if isinstance(one, Outcome) else next(results).inference for one in asked]

    def _asked(self, row: InputRow, model: Predictor) -> tuple[Any] | Outcome:
        if row.error is not None:
            return Outcome(None, row.error)
        try:
            spelled = self._job.format == "csv"
            return (questions.data_of(row, model.model.wrapper, self._job.data, spelled=spelled),)
        except InvalidInput as exc:
            return failed(exc)

    def get_num_bytes(self, batch: Sequence[PartRows]) -> int:
        return sum(len(row.raw) for one in batch for row in one.rows)

    def get_metrics_namespace(self) -> str:
        return self._rows.get_metrics_namespace()


class WritePart(beam.DoFn):
    """Gives what the journal has of the part."""

    def __init__(self, job: Job, fence: Fence | None) -> None:
        self._job, self._fence = job, fence
        self._rows = Metrics.counter("batch", "rows")
        self._failed = Metrics.counter("batch", "dead_letters")

    def process(self, predicted: PredictionResult) -> Iterator[Entry]:
        part, rows, began = predicted.example
        files: Files = files_at(self._job.output)
        with self._fence.passed() if self._fence else nullcontext():
            entry = writing.write(files, self._job, part, zip(rows, predicted.inference, strict=True))
            entry = replace(entry, seconds=time.time() - began)
            Journal(files, self._job).write(part, entry)
        self._rows.inc(entry.rows)
        self._failed.inc(entry.failed)
        yield entry


def build(pipeline: beam.Pipeline, job: Job, parts: Iterable[Part], fence: Fence | None) -> None:
    """Puts the steps into the pipeline.

    Args:
        parts: those that are not done.
        fence: of this run, where its workers are on this machine.
    """
    _ = (
        pipeline
        | "parts" >> beam.Create(list(parts))
        # Else one worker would have what one step has made.
        | "to all workers" >> beam.Reshuffle()
        | "read" >> beam.ParDo(ReadPart(job))
        | "predict" >> RunInference(PartHandler(job))
        | "write" >> beam.ParDo(WritePart(job, fence))
    )
