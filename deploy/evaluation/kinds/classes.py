"""One class a row: accuracy, F1, top-k accuracy."""

from collections import Counter
from typing import Any

from deploy.evaluation.kinds import Kind, NotOfThisKind, ranked, spelled
from deploy.evaluation.metric import Metric

_TOP = (3, 5)
_FEW = "there are not more classes than that, or the model answers with fewer"


class Classes(Kind):
    """What is right is a class; what is found a tuple of classes, the best first, empty where the model named none."""

    answers = "a class, or labels with scores"
    spelled = True
    metrics = (
        Metric("accuracy", "rows whose first label is right"),
        Metric("f1_macro", "F1 of each class, the mean"),
        Metric("f1_weighted", "the same, classes counting by their rows"),
        Metric("precision_macro", "of what is given a class, how much has it; the mean of the classes"),
        Metric("recall_macro", "of what has a class, how much is given it; the mean of the classes"),
        *(Metric(f"top_{k}_accuracy", f"rows whose right label is among the first {k}", False, _FEW) for k in _TOP),
    )

    def expected(self, label: Any, data: Any) -> str:
        if isinstance(label, float) and not label.is_integer():
            raise ValueError(f'is {label}, which is no class. Call the column "target", or give a text.')
        if not isinstance(label, str | int | float):
            raise ValueError("is no class. Give a text or a whole number.")
        return spelled(label)

    def found(self, prediction: Any) -> tuple[str, ...]:
        ranking = ranked(prediction)
        if ranking is not None:
            return tuple(label for label, _ in ranking)
        if isinstance(prediction, dict):
            return _of_record(prediction)
        if isinstance(prediction, list) and prediction and all(map(is_number, prediction)):
            # Scores of the classes in their order: the first of equals is the answer, as where the model serves.
            return tuple(str(place) for place in sorted(range(len(prediction)), key=lambda place: -prediction[place]))
        if isinstance(prediction, str | int | float):
            return (spelled(prediction),)
        raise NotOfThisKind

    def told(self, value: str | tuple[str, ...], data: Any) -> str:
        return value if isinstance(value, str) else next(iter(value), "nothing")

    def same(self, one: tuple[str, ...], other: tuple[str, ...]) -> bool:
        return one[:1] == other[:1]

    def merit(self, expected: str, found: tuple[str, ...]) -> float:
        return float(found[:1] == (expected,))

    def scores(self, expected: list[str], found: list[tuple[str, ...]]) -> dict[str, float]:
        from sklearn.metrics import accuracy_score, precision_recall_fscore_support

        first = _first(found)
        by_average = {
            average: precision_recall_fscore_support(expected, first, average=average, zero_division=0.0)
            for average in ("macro", "weighted")
        }
        precision, recall, f1, _ = by_average["macro"]
        scores = {
            "accuracy": accuracy_score(expected, first),
            "f1_macro": f1,
            "f1_weighted": by_average["weighted"][2],
            "precision_macro": precision,
            "recall_macro": recall,
        }
        known, told = len({*expected, *(label for row in found for label in row)}), min(map(len, found))
        for k in _TOP:
            if known > k and told >= k:
                among = [right in row[:k] for right, row in zip(expected, found, strict=True)]
                scores[f"top_{k}_accuracy"] = sum(among) / len(among)
        return {name: float(score) for name, score in scores.items()}

    def classes(self, expected: list[str], found: list[tuple[str, ...]]) -> list[dict[str, Any]]:
        return by_class(expected, _first(found))

    def notes(self, expected: list[str], found: list[tuple[str, ...]]) -> list[str]:
        return never_answered(Counter(expected), {label for row in found for label in row})


def by_class(expected: Any, first: Any, names: list[str] | None = None) -> list[dict[str, Any]]:
    """Args: names: of the columns, where a row may have several classes."""
    from sklearn.metrics import precision_recall_fscore_support

    labels = sorted({*expected, *first}) if names is None else names
    wanted = {"labels": labels} if names is None else {}
    columns = precision_recall_fscore_support(expected, first, average=None, zero_division=0.0, **wanted)
    return [
        {"class": label, "precision": float(p), "recall": float(r), "f1": float(f1), "rows": int(rows)}
        for label, p, r, f1, rows in zip(labels, *columns, strict=True)
    ]


def never_answered(labels: Counter[str], answered: set[str]) -> list[str]:
    """A label that no answer has anywhere is often one that is spelled otherwise."""
    missing = [f'"{label}" ({count} rows)' for label, count in labels.most_common() if label not in answered]
    if not missing:
        return []
    known = ", ".join(f'"{label}"' for label in sorted(answered)[:10])
    return [f"No answer ever has {', '.join(missing[:5])}. The answers have: {known or 'no label'}."]


def _of_record(prediction: dict[str, Any]) -> tuple[str, ...]:
    """Of a tabular model, or of a graph that gives a class beside its scores."""
    plain = [value for value in prediction.values() if isinstance(value, str | int | float)]
    if len(plain) != 1:
        raise NotOfThisKind
    first, scores = spelled(plain[0]), prediction.get("probabilities")
    if not isinstance(scores, dict):
        return (first,)
    others = sorted((label for label in scores if label != first), key=lambda label: -scores[label])
    return (first, *others)


def _first(found: list[tuple[str, ...]]) -> list[str]:
    return [row[0] if row else "" for row in found]


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
