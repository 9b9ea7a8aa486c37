"""Labelled rows: what is right for each, by the row's key; read before anything is predicted."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from deploy.batch import planning, questions
from deploy.batch.files import Found, files_at
from deploy.batch.job import Job
from deploy.batch.parts import InputRow
from deploy.batch.readers import reader
from deploy.evaluation.kinds import COLUMNS, FORMS, Kind, kind_of
from model_functions.artifact.manifest import PREDICTIONS_FILE, Manifest
from model_functions.repository import Repository

#: Wrong rows that are told one by one.
_TOLD = 10


@dataclass
class Labels:
    """Args: column: that holds them; None: the text itself is what is right; expected: by the row's key."""

    column: str | None
    kind: Kind
    expected: dict[str, Any] = field(default_factory=dict)


class WrongRows(ValueError):
    """Rows of the data that cannot be labels; told by their files and lines."""


def read(job: Job, found: list[Found], manifest: Manifest) -> Labels:
    """Raises WrongRows, ValueError for data without rows.

    Args:
        found: the job's inputs.
    """
    labels: Labels | None = None
    wrong: list[str] = []
    for row in _rows(job, found):
        try:
            if labels is None:
                labels = Labels(*kind_of(_checked(row).columns, row.key))
                _check_text(labels, manifest, row.key)
            labels.expected[row.key] = _expected(labels, _checked(row), job, manifest)
        except ValueError as exc:
            wrong.append(str(exc))
            if labels is None:
                break  # what the others must have is not known
    if wrong:
        raise WrongRows(_told(wrong))
    if labels is None:
        raise ValueError(f"{job.input} has no rows. Give labelled ones.")
    return labels


def check(labels: Labels, repository: Repository, manifest: Manifest) -> None:
    """Refuses labels of another kind than what the model answered to its examples when it was published.

    Found out afterwards, that would have cost a whole job. Raises ValueError.
    """
    if labels.kind.follows_data or PREDICTIONS_FILE not in manifest.files:
        return
    recorded = json.loads(bytes(repository.download(manifest, PREDICTIONS_FILE).wait().memory))
    for answer in recorded:
        if "prediction" in answer:
            labels.kind.read(answer["prediction"], labels.column)


def _rows(job: Job, found: list[Found]) -> Iterator[InputRow]:
    """All of the job's inputs, in its order."""
    files = files_at(job.input)
    for part in planning.divide(job, found):
        yield from reader(job.format).rows(files, part)


def _checked(row: InputRow) -> InputRow:
    if row.error is not None:
        raise ValueError(f"{row.key}: {row.error[1]}")
    return row


def _check_text(labels: Labels, manifest: Manifest, place: str) -> None:
    """A row without a label is a text for a model that writes; for others something is missing."""
    if labels.column is None and manifest.family != "text_generation":
        raise ValueError(f"{place} has no label. Each row needs one, in the column that says what it is: {FORMS}.")


def _expected(labels: Labels, row: InputRow, job: Job, manifest: Manifest) -> Any:
    if labels.column is not None and row.columns.get(labels.column) is None:
        others = [column for column in COLUMNS if column in row.columns and column != labels.column]
        had = f'"{others[0]}"' if others else f'no "{labels.column}"'
        raise ValueError(f'{row.key} has {had}, and the first row has "{labels.column}". Give each row one.')
    if labels.column is None and (others := [column for column in COLUMNS if column in row.columns]):
        raise ValueError(f'{row.key} has "{others[0]}", and the first row has no label. Give all rows one, or none.')
    data = _data(row, job, manifest)
    label = row.columns.get(labels.column) if labels.column else None
    try:
        if job.format == "csv" and not labels.kind.spelled and label is not None:
            label = _parsed(label)
        return labels.kind.expected(label, data)
    except ValueError as exc:
        name = f'"{labels.column}"' if labels.column else "the data"
        raise ValueError(f"{row.key}: {name} {exc}") from exc


def _data(row: InputRow, job: Job, manifest: Manifest) -> Any:
    """What the model is asked; None where the whole row is it."""
    try:
        column = questions.data_column(row.columns, manifest.interface.get("kind", ""), job.data)
    except ValueError as exc:
        raise ValueError(f"{row.key}: {exc}") from exc
    return None if column is None else row.columns[column]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError(f'is "{text:.40}", which is no JSON. Write it as it stands in JSON Lines.') from None


def _told(wrong: list[str]) -> str:
    more = [f"and {len(wrong) - _TOLD:,} more"] if len(wrong) > _TOLD else []
    count = "1 row is" if len(wrong) == 1 else f"{len(wrong):,} rows are"
    return "\n  ".join([f"{count} wrong, and nothing was predicted:", *wrong[:_TOLD], *more])
