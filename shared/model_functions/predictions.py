"""What a model answers to its examples, as it is recorded, and when two answers count as the same."""

import json
from typing import Any

from model_functions.errors import ServingError
from model_functions.wrapper import ModelWrapper

#: How far a number may be from the recorded one, in parts of the larger of itself and 1: another processor, or
#: another number of threads, adds up in another order.
TOLERANCE = 1e-4


def answers(wrapper: ModelWrapper, examples: list[Any]) -> list[dict[str, Any]]:
    """For each example ``{"prediction": …}`` or ``{"error": message}``."""
    return [_answer(wrapper, example) for example in examples]


def recorded(wrapper: ModelWrapper, example: Any) -> dict[str, Any]:
    """What is written down: ``{"prediction": …}``, or ``{"random": true}`` for an answer that is drawn.

    Raises what the wrapper raises, and ValueError for a prediction that is no JSON.
    """
    first = as_json(wrapper.predict(example))
    return {"prediction": first} if as_json(wrapper.predict(example)) == first else {"random": True}


def same_answer(one: dict[str, Any], other: dict[str, Any], tolerance: float = 0.0) -> bool | None:
    """Whether they are the same but for rounding; None where there is nothing to compare."""
    if not one or not other or "random" in one or "random" in other:
        return None
    if "prediction" in one and "prediction" in other:
        return close(one["prediction"], other["prediction"], max(tolerance, TOLERANCE))
    return one == other


def close(one: Any, other: Any, tolerance: float) -> bool:
    """Whether two predictions are equal but for numbers that differ within the tolerance."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other or abs(one - other) <= tolerance * max(1.0, abs(one))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(close(value, other[key], tolerance) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        if _is_ranking(one) and _is_ranking(other):
            return _same_ranking(one, other, tolerance)
        return len(one) == len(other) and all(map(close, one, other, [tolerance] * len(one)))
    return bool(one == other)


def _is_ranking(answer: list[Any]) -> bool:
    return bool(answer) and all(isinstance(part, dict) and part.keys() == {"label", "score"} for part in answer)


def _same_ranking(one: list[Any], other: list[Any], tolerance: float) -> bool:
    """Whether the first label is the same, and each label's score: behind the first, near equals may change places."""
    found = {part["label"]: part["score"] for part in other}
    by_rank = [part["score"] for part in one], [part["score"] for part in other]
    by_label = [(part["score"], found[part["label"]]) for part in one if part["label"] in found]
    return (
        one[0]["label"] == other[0]["label"]
        and close(*by_rank, tolerance)
        and all(close(*scores, tolerance) for scores in by_label)
    )


def _answer(wrapper: ModelWrapper, example: Any) -> dict[str, Any]:
    try:
        return {"prediction": as_json(wrapper.predict(example))}
    except ServingError as exc:
        return {"error": exc.message}
    except Exception as exc:  # noqa: BLE001 - a model may raise anything
        return {"error": f"{type(exc).__name__}: {exc}"}


def as_json(prediction: Any) -> Any:
    """As a caller receives it."""
    try:
        return json.loads(json.dumps(prediction, allow_nan=False))
    except (TypeError, ValueError) as exc:
        raise ValueError(f"The prediction cannot be sent as JSON: {exc}. Let postprocess give plain values.") from exc
