"""Documents ranked for a query: how far up the right ones stand."""

from typing import Any

from deploy.evaluation.kinds import Kind, NotOfThisKind
from deploy.evaluation.metric import Metric


class Rankings(Kind):
    """What is right are the places of the right documents; what is found all places, the best first."""

    follows_data = True
    answers = "a ranking of documents"
    metrics = (
        Metric("accuracy_at_1", "queries whose first document is right"),
        Metric("mrr", "mean reciprocal rank of the first right document"),
    )

    def expected(self, label: Any, data: Any) -> frozenset[int]:
        places = label if isinstance(label, list) else [label]
        if not places or not all(type(one) is int and one >= 0 for one in places):
            raise ValueError("is no place among the documents. Give it, the first is 0, or a list of places.")
        documents = data.get("documents") if isinstance(data, dict) else None
        if isinstance(documents, list) and max(places) >= len(documents):
            raise ValueError(f"names document {max(places)}, and there are {len(documents)}; the first is 0.")
        return frozenset(places)

    def found(self, prediction: Any) -> tuple[int, ...]:
        if not isinstance(prediction, list) or not all(isinstance(one, dict) and "index" in one for one in prediction):
            raise NotOfThisKind
        return tuple(one["index"] for one in prediction)

    def told(self, value: frozenset[int] | tuple[int, ...], data: Any) -> str:
        return ", ".join(map(str, sorted(value) if isinstance(value, frozenset) else value))

    def merit(self, expected: frozenset[int], found: tuple[int, ...]) -> float:
        return next((1 / rank for rank, place in enumerate(found, start=1) if place in expected), 0.0)

    def scores(self, expected: list[frozenset[int]], found: list[tuple[int, ...]]) -> dict[str, float]:
        pairs = list(zip(expected, found, strict=True))
        return {
            "accuracy_at_1": sum(bool(said) and said[0] in right for right, said in pairs) / len(pairs),
            "mrr": sum(self.merit(right, said) for right, said in pairs) / len(pairs),
        }
