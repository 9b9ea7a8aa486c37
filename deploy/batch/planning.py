"""Begins a job, or finds where it stopped: the plan and its parts are written before any row is predicted."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

from deploy.batch import questions
from deploy.batch.files import Files, Found, files_at, joined
from deploy.batch.job import JOB_VERSION, Job, digest_of
from deploy.batch.journal import Entry, Journal
from deploy.batch.parts import Part
from deploy.batch.readers import form_of, reader
from model_functions.artifact.manifest import Manifest
from model_functions.errors import Conflict

#: Inputs of which the names say their form.
_LOOKED_AT = 1000


def found_inputs(pattern: str, output: str) -> list[Found]:
    """What the pattern means, without what a job has written there. Raises FileNotFoundError, ValueError."""
    if output.rstrip("/") == pattern.rstrip("/"):
        raise ValueError(f"--output {output} is the input. Choose another folder.")
    found = [one for one in files_at(pattern).matching(pattern) if not one.name.startswith(joined(output, ""))]
    if not found:
        raise FileNotFoundError(f'No file matches "{pattern}". Quote the pattern, so that the shell leaves it alone.')
    return found


def form_of_inputs(found: Iterable[Found]) -> str:
    return form_of(one.name for one in islice(found, _LOOKED_AT))


def begun(files: Files, job: Job) -> Job | None:
    """The job that has this output, with its own revision; None where there is none. Raises Conflict, ValueError."""
    try:
        document = json.loads(files.read(job.plan))
    except FileNotFoundError:
        if next(iter(files.names(job.output)), None) is not None:
            raise Conflict(f"{job.output} has files of something else. Choose an empty --output.") from None
        return None
    if document.pop("version", None) != JOB_VERSION:
        raise Conflict(
            f"{job.output} has a job of another version of this program. Choose another --output, or --again."
        )
    found = Job.from_document(document, job.model.trust)
    if not found.asks_the_same(job):
        raise Conflict(
            f"{job.output} has another job: {found.model.family}/{found.model.name} for {found.input}, or with other "
            "options, or its inputs have changed since. Choose another --output, or --again to write it anew."
        )
    return found


def write_plan(files: Files, job: Job, parts: Iterable[Part]) -> None:
    """The job itself goes last: who finds it finds its parts too."""
    lines = b"".join(json.dumps(part.document()).encode() + b"\n" for part in parts)
    files.write(job.parts, lines)
    files.write(job.plan, json.dumps(job.document(), indent=1).encode())


def read_parts(files: Files, job: Job) -> list[Part]:
    return [Part.from_document(json.loads(line)) for line in files.read(job.parts).splitlines()]


def divide(job: Job, found: Iterable[Found]) -> Iterator[Part]:
    """The inputs' parts."""
    return reader(job.format).parts(files_at(job.input), found, job.rows)


def check_columns(job: Job, manifest: Manifest, parts: Iterable[Part]) -> None:
    """Refuses inputs whose first row has nothing that could be the model's data. Raises ValueError."""
    for part in parts:
        row = next(iter(reader(job.format).rows(files_at(job.input), part)), None)
        if row is not None and row.error is None:
            questions.data_column(row.columns, manifest.interface.get("kind", ""), job.data)
        return


def clear(files: Files, job: Job) -> None:
    """Of what an earlier job has written; its journal goes first, so that nothing counts of what is left half-way."""
    Journal(files, job).clear()
    for name in list(files.names(job.output)):
        if name not in (job.plan, job.parts):
            files.remove(name)
    for name in (job.parts, job.plan):
        files.remove(name)


def with_inputs(job: Job, found: list[Found]) -> Job:
    return replace(job, inputs=digest_of(found))


def done(files: Files, job: Job) -> dict[int, Entry]:
    return dict(Journal(files, job).entries())


def check_parameters(job: Job, manifest: Manifest) -> None:
    """Refuses parameters that the model does not have; what their values may be, it says of each row."""
    known = manifest.interface.get("parameters", {})
    for name in job.parameters:
        if name not in known:
            there = ", ".join(known) or "none"
            raise ValueError(f"--set {name}: {manifest.name} has no such parameter. There are: {there}.")


def begin(files: Files, job: Job, found: Iterable[Found]) -> None:
    """Counts the rows and writes the plan, in place of an earlier job's.

    Args:
        found: the job's inputs.

    Raises ValueError, ArtifactRefused for what no row could be predicted with.
    """
    manifest = job.model.manifest()
    manifest.check_environment()
    check_parameters(job, manifest)
    parts = list(divide(job, found))
    check_columns(job, manifest, parts)
    clear(files, job)
    write_plan(files, job, parts)
