"""What changes for callers: the answers of two revisions to the same examples, side by side."""

import json
from dataclasses import dataclass
from typing import Any

from deploy import output
from deploy.proving import proof
from deploy.proving.proof import Report
from model_functions.artifact.manifest import Manifest
from model_functions.predictions import same_answer
from model_functions.repository import Repository

_WIDTH = 36


@dataclass(frozen=True)
class Row:
    """An example with both answers, as predictions.py has them; ``changed`` is None where one cannot tell."""

    example: Any
    old: dict[str, Any]
    new: dict[str, Any]
    changed: bool | None


@dataclass(frozen=True)
class Comparison:
    """The revision that was served until now, beside the new one.

    Args:
        problem: why the old one gives no answers any more, if it doesn't.
    """

    old: str
    new: str
    rows: list[Row]
    problem: str = ""

    @property
    def changed(self) -> int:
        return sum(row.changed is True for row in self.rows)

    def table(self) -> str:
        """For people."""
        head = f"{self.changed} of {len(self.rows)} examples are answered otherwise than by revision {self.old}."
        if self.problem:
            head = f"Revision {self.old}, which is served now, gives no answers here: {self.problem}"
        cells = [("example", "old", "new", "")]
        words = {True: "changed", False: "same", None: "-"}
        cells += [(short(row.example), *_both(row), words[row.changed]) for row in self.rows]
        return "\n".join([head, *(f"  {line}" for line in output.table(cells))])


def others_of(old: Manifest, new: Manifest) -> list[Any]:
    """The old revision's examples that the new one does not have."""
    return [example for example in old.examples if example not in new.examples]


def compare(repository: Repository, old: Manifest, new: Manifest, report: Report) -> Comparison:
    """Both revisions on the examples of both.

    Args:
        report: of the new one, which was asked ``others_of`` too.
    """
    examples = [*new.examples, *others_of(old, new)]
    answers = [*(asked.answer for asked in report.examples), *report.others]
    before = _answers_of(repository, old, examples)
    problem = before if isinstance(before, str) else ""
    known = [{} for _ in examples] if isinstance(before, str) else before
    rows = []
    for example, one, other in zip(examples, known, answers, strict=True):
        same = same_answer(one, other, max(old.here.engine.tolerance, new.here.engine.tolerance))
        rows.append(Row(example, one, other, None if same is None else not same))
    return Comparison(old.revision, new.revision, rows, problem)


def _answers_of(repository: Repository, manifest: Manifest, examples: list[Any]) -> list[dict[str, Any]] | str:
    """The revision's answers, or why it has none."""
    try:
        report = proof.examine(repository, manifest.family, manifest.name, manifest.revision, examples)
    except ValueError as exc:
        return str(exc)
    return report.others or " ".join(report.failures)


def _both(row: Row) -> tuple[str, str]:
    """Both answers; of objects that differ only the fields that do, so that a line has room for them."""
    old, new = row.old.get("prediction"), row.new.get("prediction")
    if row.changed and isinstance(old, dict) and isinstance(new, dict):
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        old, new = ({name: one[name] for name in names if name in one} for one in (old, new))
        return short(old), short(new)
    return _told(row.old), _told(row.new)


def _told(answer: dict[str, Any]) -> str:
    if "prediction" in answer:
        return short(answer["prediction"])
    return "(drawn)" if "random" in answer else short(answer.get("error", "-"))


def short(value: Any) -> str:
    """A value in a line of a report: one line, floats rounded, cut where it is long."""
    text = value if isinstance(value, str) else json.dumps(_rounded(value), ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list) else value
