"""Numbers: how far off they are."""

import math
from typing import Any

from deploy.evaluation.kinds import Kind, NotOfThisKind
from deploy.evaluation.metric import Metric
from model_functions.predictions import TOLERANCE

Numbers = dict[str, float]

_FLAT = "there is one number alone, or all targets are equal"


class Quantities(Kind):
    """What is right, and what is found, are numbers by name: of a list by place, of a single one by nothing."""

    answers = "a number, or numbers"
    metrics = (
        Metric("mae", "mean absolute error", True),
        Metric("rmse", "root of the mean squared error", True),
        Metric("max_error", "the largest error", True),
        Metric("r2", "share of the targets' variance that is explained", False, _FLAT),
    )

    def expected(self, label: Any, data: Any) -> Numbers:
        try:
            found = _flat(label)
        except NotOfThisKind:
            raise ValueError('is no number. Give one, or a list of them; a class is called "label".') from None
        if not all(map(math.isfinite, found.values())):
            raise ValueError("is not finite. Give a finite number.")
        return found

    def found(self, prediction: Any) -> Numbers:
        if isinstance(prediction, dict) and "probabilities" in prediction:
            raise NotOfThisKind
        told = prediction.get("prediction", prediction) if isinstance(prediction, dict) else prediction
        return _flat(told)

    def told(self, value: Numbers, data: Any) -> str:
        return ", ".join(f"{name[1:]} {number:.6g}".strip() for name, number in value.items())

    def same(self, one: Numbers, other: Numbers) -> bool:
        return one.keys() == other.keys() and all(
            abs(value - other[name]) <= TOLERANCE * max(1.0, abs(value)) for name, value in one.items()
        )

    def merit(self, expected: Numbers, found: Numbers) -> float:
        if expected.keys() != found.keys():
            raise ValueError(f'"target" has {_names(expected)}, and the model answers with {_names(found)}.')
        return -max(abs(value - found[name]) for name, value in expected.items())

    def scores(self, expected: list[Numbers], found: list[Numbers]) -> dict[str, float]:
        from sklearn.metrics import max_error, mean_absolute_error, r2_score, root_mean_squared_error

        right = [value for row in expected for value in row.values()]
        said = [row[name] for row, wanted in zip(found, expected, strict=True) for name in wanted]
        scores = {
            "mae": mean_absolute_error(right, said),
            "rmse": root_mean_squared_error(right, said),
            "max_error": max_error(right, said),
        }
        if len(set(right)) > 1:
            scores["r2"] = r2_score(right, said)
        return {name: float(score) for name, score in scores.items()}


def _flat(value: Any, path: str = "") -> Numbers:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {path: float(value)}
    parts: dict[str, Any] = {}
    if isinstance(value, dict):
        parts = value
    elif isinstance(value, list):
        parts = {str(place): part for place, part in enumerate(value)}
    if not parts:
        raise NotOfThisKind
    return {name: number for key, part in parts.items() for name, number in _flat(part, f"{path}.{key}").items()}


def _names(numbers: Numbers) -> str:
    if numbers.keys() == {""}:
        return "a single number"
    return f"{len(numbers)} numbers ({', '.join(name[1:] for name in list(numbers)[:5])})"
