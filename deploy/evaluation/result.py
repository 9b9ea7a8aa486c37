"""What came of an evaluation: scores, rows without an answer, and those that another revision answers otherwise."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import repeat
from typing import Any, NamedTuple

from deploy.batch.job import Job
from deploy.evaluation import answers
from deploy.evaluation.answers import Answer
from deploy.evaluation.labelled import Labels

#: What a changed row is now, the most important first.
VERDICTS = ("worse", "better", "other")


class Changed(NamedTuple):
    """A row that two revisions answer otherwise.

    Args:
        before, now: ``{"prediction": …}`` or ``{"error": message}``.
        by: how much better it is now, as the kind of labels counts; 0 where one has no answer.
    """

    key: str
    row: dict[str, Any]
    before: dict[str, Any]
    now: dict[str, Any]
    verdict: str
    by: float


@dataclass
class Side:
    """One revision. Args: found: by the row's key; errors: its rows without an answer, and why."""

    revision: str
    found: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)


@dataclass
class Result:
    """Args: before: the other revision; compared: the scores of both, of it first, over the rows that both answer."""

    now: Side
    before: Side | None = None
    changed: list[Changed] = field(default_factory=list)
    compared: tuple[dict[str, float], dict[str, float]] | None = None
    both: int = 0
    classes: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def measured(labels: Labels, job: Job, against: Job | None) -> Result:
    """Of jobs that are done. Raises ValueError where the answers cannot be compared with the labels."""
    result = Result(Side(job.model.revision), None if against is None else Side(against.model.revision))
    order = {key: place for place, key in enumerate(labels.expected)}
    others: Iterator[dict[str, Answer]] = repeat({}) if against is None else answers.read(against)
    for ours, theirs in zip(answers.read(job), others, strict=against is not None):
        for key in sorted(ours, key=order.__getitem__):
            _take(labels, result.now, key, ours[key])
            if result.before is not None:
                _take(labels, result.before, key, theirs[key])
                result.changed += _changed(labels, result, key, ours[key], theirs[key])
    _score(labels, result)
    result.changed.sort(key=lambda row: (VERDICTS.index(row.verdict), -abs(row.by)))
    return result


def _take(labels: Labels, side: Side, key: str, answer: Answer) -> None:
    if answer.error is not None:
        side.errors[key] = answer.error
        return
    try:
        found = labels.kind.read(answer.prediction, labels.column)
        labels.kind.merit(labels.expected[key], found)
    except ValueError as exc:
        raise ValueError(f"{key}: {exc}") from exc
    side.found[key] = found


def _changed(labels: Labels, result: Result, key: str, ours: Answer, theirs: Answer) -> Iterator[Changed]:
    assert result.before is not None  # noqa: S101 - two are compared
    now, before = result.now.found.get(key), result.before.found.get(key)
    if now is None and before is None:
        return
    verdict, by = "worse" if now is None else "better", 0.0
    if now is not None and before is not None:
        if labels.kind.same(before, now):
            return
        right = labels.expected[key]
        by = labels.kind.merit(right, now) - labels.kind.merit(right, before)
        verdict = "other" if by == 0 else "better" if by > 0 else "worse"
    yield Changed(key, ours.row, _told(theirs), _told(ours), verdict, by)


def _score(labels: Labels, result: Result) -> None:
    for side in filter(None, (result.now, result.before)):
        side.scores = _scores(labels, side.found, list(side.found))
    right, said = [labels.expected[key] for key in result.now.found], list(result.now.found.values())
    if said:
        result.classes, result.notes = labels.kind.classes(right, said), labels.kind.notes(right, said)
    if result.before is not None:
        both = [key for key in result.now.found if key in result.before.found]
        result.both = len(both)
        # Over the same rows: a revision that gives up on the hard ones would look the better one.
        result.compared = (_scores(labels, result.before.found, both), _scores(labels, result.now.found, both))


def _scores(labels: Labels, found: dict[str, Any], keys: list[str]) -> dict[str, float]:
    return labels.kind.scores([labels.expected[key] for key in keys], [found[key] for key in keys]) if keys else {}


def _told(answer: Answer) -> dict[str, Any]:
    return {"prediction": answer.prediction} if answer.error is None else {"error": answer.error}


def document(labels: Labels, result: Result) -> dict[str, Any]:
    """As evaluation.json has it; the changed rows are in a file of their own."""
    sides = {"now": result.now, "before": result.before}
    return {
        "labels": labels.column,
        **{
            name: side and {**asdict(side), "found": len(side.found), "errors": len(side.errors)}
            for name, side in sides.items()
        },
        "compared": result.compared and dict(zip(("before", "now"), result.compared, strict=True)),
        "changed": {verdict: sum(row.verdict == verdict for row in result.changed) for verdict in VERDICTS},
        "classes": result.classes,
        "notes": result.notes,
    }
