"""Texts that a model writes: BLEU, chrF, ROUGE and exact match with one reference or several."""

import re
from typing import Any

from deploy.evaluation.kinds import Kind, NotOfThisKind
from deploy.evaluation.metric import Metric

_ROUGE = ("rouge1", "rouge2", "rougeL")
_PLAIN = re.compile(r"[\W_]+")


class Texts(Kind):
    """What is right is a tuple of texts, any of which would do; what is found one text."""

    answers = "a text that it has written"
    spelled = True
    metrics = (
        Metric("exact_match", "rows that equal a reference, but for spaces around them"),
        Metric("bleu", "BLEU over all rows, 0 to 100, words cut as WMT's 13a does"),
        Metric("chrf", "chrF2 over all rows, 0 to 100; sees parts of words, and languages without spaces"),
        Metric("rouge1", "ROUGE-1: F1 over words, the mean of the rows"),
        Metric("rouge2", "ROUGE-2: F1 over pairs of words"),
        Metric("rougeL", "ROUGE-L: F1 over the longest common run of words"),
    )

    def expected(self, label: Any, data: Any) -> tuple[str, ...]:
        texts = [label] if isinstance(label, str) else label
        if not isinstance(texts, list) or not texts or not all(isinstance(one, str) for one in texts):
            raise ValueError("is no text. Give a text, or a list of texts of which any would do.")
        return tuple(texts)

    def found(self, prediction: Any) -> str:
        if isinstance(prediction, list) and prediction:
            prediction = prediction[0]  # of several sequences the first is the best
        if isinstance(prediction, str):
            return prediction
        written = [key for key in prediction if key.endswith("_text")] if isinstance(prediction, dict) else []
        if len(written) != 1 or not isinstance(prediction[written[0]], str):
            raise NotOfThisKind
        return str(prediction[written[0]])

    def told(self, value: str | tuple[str, ...], data: Any) -> str:
        return value if isinstance(value, str) else " | ".join(value)

    def merit(self, expected: tuple[str, ...], found: str) -> float:
        from sacrebleu.metrics.chrf import CHRF

        return float(CHRF().sentence_score(found, list(expected)).score)

    def scores(self, expected: list[tuple[str, ...]], found: list[str]) -> dict[str, float]:
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF

        # As many lists as the row with the most references has; None where a row has fewer.
        most = max(map(len, expected))
        references: list[Any] = [
            [row[place] if place < len(row) else None for row in expected] for place in range(most)
        ]
        exact = [said.strip() in {one.strip() for one in right} for right, said in zip(expected, found, strict=True)]
        return {
            "exact_match": sum(exact) / len(exact),
            "bleu": float(BLEU().corpus_score(found, references).score),
            "chrf": float(CHRF().corpus_score(found, references).score),
            **rouge(expected, found),
        }


def rouge(expected: list[tuple[str, ...]], found: list[str]) -> dict[str, float]:
    """ROUGE-1, -2 and -L, F1: with the best of its references for each row, the mean of the rows."""
    from torchmetrics.functional.text import rouge_score

    told = rouge_score(found, [list(row) for row in expected], accumulate="best", normalizer=_normal, rouge_keys=_ROUGE)
    return {name: float(told[f"{name}_fmeasure"]) for name in _ROUGE}


def _normal(text: str) -> str:
    """As ROUGE's first program has it, lower-case words without punctuation; letters of all alphabets are letters."""
    return _PLAIN.sub(" ", text.lower())
