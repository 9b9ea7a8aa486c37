"""Any number of classes a row: F1 over them, and how often all are right."""

from collections import Counter
from typing import Any

from deploy.evaluation.kinds import Kind, NotOfThisKind, ranked, spelled
from deploy.evaluation.kinds.classes import by_class, never_answered
from deploy.evaluation.metric import Metric

#: A label counts as answered from this score on, as it does to whoever trains such a model.
_LEAST = 0.5


class ClassSets(Kind):
    """What is right, and what is found, is a set of classes."""

    answers = f"labels with scores, of which those from {_LEAST} on count"
    metrics = (
        Metric("exact_match", "rows that have all labels right, and none beside"),
        Metric("f1_micro", "F1 over all labels of all rows"),
        Metric("f1_macro", "F1 of each class, the mean"),
        Metric("f1_weighted", "the same, classes counting by their rows"),
    )

    def expected(self, label: Any, data: Any) -> frozenset[str]:
        if not isinstance(label, list) or not all(isinstance(one, str | int) for one in label):
            raise ValueError('is no list of classes. Give ["a", "b"], or [] for none.')
        return frozenset(map(spelled, label))

    def found(self, prediction: Any) -> frozenset[str]:
        ranking = ranked(prediction)
        if ranking is None:
            raise NotOfThisKind
        return frozenset(label for label, score in ranking if score >= _LEAST)

    def told(self, value: frozenset[str], data: Any) -> str:
        return ", ".join(sorted(value)) or "nothing"

    def merit(self, expected: frozenset[str], found: frozenset[str]) -> float:
        total = len(expected) + len(found)
        return 2 * len(expected & found) / total if total else 1.0

    def scores(self, expected: list[frozenset[str]], found: list[frozenset[str]]) -> dict[str, float]:
        from sklearn.metrics import accuracy_score, f1_score

        names, right, said = _as_columns(expected, found)
        if not names:
            # No row has a label, and none was answered.
            return {metric.name: 1.0 for metric in self.metrics}
        averages = ("micro", "macro", "weighted")
        f1 = {f"f1_{one}": float(f1_score(right, said, average=one, zero_division=0.0)) for one in averages}
        return {"exact_match": float(accuracy_score(right, said))} | f1

    def classes(self, expected: list[frozenset[str]], found: list[frozenset[str]]) -> list[dict[str, Any]]:
        names, right, said = _as_columns(expected, found)
        return by_class(right, said, names) if names else []

    def notes(self, expected: list[frozenset[str]], found: list[frozenset[str]]) -> list[str]:
        return never_answered(Counter(one for row in expected for one in row), {one for row in found for one in row})


def _as_columns(expected: list[frozenset[str]], found: list[frozenset[str]]) -> tuple[list[str], Any, Any]:
    from sklearn.preprocessing import MultiLabelBinarizer

    names = sorted({label for row in (*expected, *found) for label in row})
    columns = MultiLabelBinarizer(classes=names)
    return names, columns.fit_transform(expected), columns.transform(found)
