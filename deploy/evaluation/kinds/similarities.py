"""How alike sentences are: whether the model orders pairs as people do."""

from typing import Any

from deploy.evaluation.kinds import Kind, NotOfThisKind
from deploy.evaluation.kinds.classes import is_number
from deploy.evaluation.metric import Metric
from model_functions.predictions import TOLERANCE

Numbers = tuple[float, ...]

_FLAT = "there are fewer than two pairs, or all have the same similarity"


class Similarities(Kind):
    """What is right, and what is found, is a number for each sentence."""

    follows_data = True
    answers = "a similarity for each sentence"
    metrics = (
        Metric("spearman", "correlation of the ranks of all pairs", False, _FLAT),
        Metric("pearson", "correlation of the similarities of all pairs", False, _FLAT),
    )

    def expected(self, label: Any, data: Any) -> Numbers:
        if not isinstance(label, list) or not label or not all(map(is_number, label)):
            raise ValueError("is no list of numbers. Give one for each of the sentences.")
        sentences = data.get("sentences") if isinstance(data, dict) else None
        if isinstance(sentences, list) and len(sentences) != len(label):
            raise ValueError(f"has {len(label)} numbers, and there are {len(sentences)} sentences.")
        return tuple(map(float, label))

    def found(self, prediction: Any) -> Numbers:
        if not isinstance(prediction, list) or not prediction or not all(map(is_number, prediction)):
            raise NotOfThisKind
        return tuple(map(float, prediction))

    def same(self, one: Numbers, other: Numbers) -> bool:
        return all(abs(first - second) <= TOLERANCE for first, second in zip(one, other, strict=True))

    def merit(self, expected: Numbers, found: Numbers) -> float:
        if len(expected) != len(found):
            raise ValueError(f'"similarities" has {len(expected)} numbers, and the model answers with {len(found)}.')
        return -max(abs(right - said) for right, said in zip(expected, found, strict=True))

    def scores(self, expected: list[Numbers], found: list[Numbers]) -> dict[str, float]:
        from scipy.stats import pearsonr, spearmanr

        right, said = ([value for row in rows for value in row] for rows in (expected, found))
        if len(set(right)) < 2 or len(set(said)) < 2:
            return {}
        return {"spearman": float(spearmanr(right, said).statistic), "pearson": float(pearsonr(right, said).statistic)}
