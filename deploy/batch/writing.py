"""Where a part's rows go: predictions to one file, dead letters to another, each written whole, then the journal."""

import base64
import json
from collections.abc import Iterable
from typing import Any

from deploy.batch.files import Files, joined
from deploy.batch.job import Job
from deploy.batch.journal import Entry
from deploy.batch.parts import InputRow, Part
from deploy.batch.predictor import Outcome

#: What a row has besides its own columns; a column of such a name is kept with this before it.
OWN, KEPT = ("key", "prediction", "revision", "error"), "input_"
DEAD_LETTERS = "dead-letters"


def write(files: Files, job: Job, part: Part, answered: Iterable[tuple[InputRow, Outcome]]) -> Entry:
    """Whatever an earlier attempt has left of the part is replaced; it counts once its entry is written."""
    entry, good, bad = Entry(), list[bytes](), list[bytes]()
    revision = job.model.revision
    for row, outcome in answered:
        try:
            line = _line(row, outcome, revision)
        except (ValueError, TypeError) as exc:
            outcome = Outcome(None, ("model_error", f"The prediction cannot be written as JSON: {exc}."))
            line = _line(row, outcome, revision)
        (good if outcome.error is None else bad).append(line)
        entry.count(outcome)
    files_of = {joined(job.output, part.name): good, joined(job.output, DEAD_LETTERS, part.name): bad}
    for name, lines in files_of.items():
        if lines:
            files.write(name, b"".join(lines))
        else:
            files.remove(name)
    return entry


def _line(row: InputRow, outcome: Outcome, revision: str) -> bytes:
    kept = {_name(name): value for name, value in row.columns.items() if not isinstance(value, bytes)}
    told: dict[str, Any] = {"key": row.key, **kept}
    if outcome.error is None:
        told |= {"prediction": outcome.prediction, "revision": revision, "error": None}
    else:
        code, message = outcome.error
        told |= _raw(row) | {"revision": revision, "error": {"code": code, "message": message}}
    return (json.dumps(told, ensure_ascii=False, allow_nan=False, default=_spelled) + "\n").encode()


def _name(name: str) -> str:
    """Another one for every name, and none of OWN."""
    bare = name
    while bare.startswith(KEPT):
        bare = bare.removeprefix(KEPT)
    return KEPT + name if bare in OWN else name


def _raw(row: InputRow) -> dict[str, str]:
    """The row as it stands in its file, where it has no columns to tell of it."""
    if row.columns or not row.raw:
        return {}
    try:
        return {"raw": row.raw.decode()}
    except UnicodeDecodeError:
        return {"raw_base64": base64.b64encode(row.raw).decode()}


def _spelled(value: Any) -> Any:
    """Bytes within a column of a Parquet file."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"a {type(value).__name__} is no JSON")
