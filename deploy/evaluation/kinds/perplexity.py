"""The text itself: how surprised a model is by it, token by token."""

import math
from typing import Any, NamedTuple

from deploy.evaluation.kinds import Kind, NotOfThisKind
from deploy.evaluation.metric import Metric
from model_functions.predictions import TOLERANCE


class Surprise(NamedTuple):
    """Args: logprob: the natural logarithm of how likely the text is; tokens: those that were guessed."""

    logprob: float
    tokens: int


class Perplexity(Kind):
    """Nothing is labelled: what is right is the text."""

    follows_data = True
    answers = "texts, as text_generation does"
    metrics = (
        Metric("perplexity", "among how many equally likely tokens it would guess as well; the first is given", True),
    )

    def expected(self, label: Any, data: Any) -> None:
        if data is not None and not isinstance(data, str):
            raise ValueError("is no text, and without a label nothing else can be measured.")

    def found(self, prediction: Any) -> Surprise:
        if not isinstance(prediction, dict) or prediction.keys() != {"logprob", "tokens"}:
            raise NotOfThisKind
        return Surprise(**prediction)

    def same(self, one: Surprise, other: Surprise) -> bool:
        return one.tokens == other.tokens and abs(one.logprob - other.logprob) <= TOLERANCE * max(1, abs(one.logprob))

    def told(self, value: Surprise | None, data: Any) -> str:
        return "" if value is None else f"perplexity {math.exp(-value.logprob / value.tokens):.4g}"

    def merit(self, expected: None, found: Surprise) -> float:
        return found.logprob / found.tokens

    def scores(self, expected: list[None], found: list[Surprise]) -> dict[str, float]:
        return {"perplexity": math.exp(-sum(one.logprob for one in found) / sum(one.tokens for one in found))}
