"""What a revision answers to all rows: a batch job, run once, and its output, read part by part."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from deploy.batch import planning, worker
from deploy.batch.files import Files, Found, files_at, joined
from deploy.batch.job import Job
from deploy.batch.parts import Part
from deploy.batch.summary import Summary
from deploy.batch.writing import DEAD_LETTERS
from model_functions.errors import Conflict


class Answer(NamedTuple):
    """A row's. Args: row: its columns, as the job wrote them; error: why there is no prediction."""

    row: dict[str, Any]
    prediction: Any
    error: str | None


def run(job: Job, found: list[Found], runner: str, workers: int) -> None:
    """Has all rows answered, but for those that were before. Raises JobFailed.

    Args:
        found: the job's inputs.
    """
    worker.be_quiet()
    # Imported here: Beam takes seconds, which who is refused need not wait.
    from deploy.batch import local

    files = files_at(job.output)
    if not _is_begun(files, job):
        planning.begin(files, job, found)
    if Summary.read(files, job) is None:
        local.run(files, job, runner, workers).write(files, job)


def read(job: Job) -> Iterator[dict[str, Answer]]:
    """The answers of each part, by the rows' keys."""
    files = files_at(job.output)
    for part in planning.read_parts(files, job):
        names = (joined(job.output, part.name), joined(job.output, DEAD_LETTERS, part.name))
        yield dict(answer for name in names for answer in _answers(files, name, part))


def _is_begun(files: Files, job: Job) -> bool:
    """Whether this very job is there. What another one has left there is replaced, as the folder is ours."""
    try:
        found = planning.begun(files, job)
    except Conflict:
        if not any(name == job.plan for name in files.names(job.output)):
            raise
        return False
    return found is not None and found.model.digest == job.model.digest


def _answers(files: Files, name: str, part: Part) -> Iterator[tuple[str, Answer]]:
    try:
        data = files.read(name)
    except FileNotFoundError:  # no row was answered, or all were
        return
    for line in data.splitlines():
        row = json.loads(line)
        key, prediction, error = row.pop("key"), row.pop("prediction", None), row.pop("error")
        row.pop("revision")
        yield key, Answer(row, prediction, error and error["message"])
