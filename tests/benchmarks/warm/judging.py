"""Whether every answer is right."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks.warm.client import Exchange
from tests.benchmarks.warm.items import Item
from tests.benchmarks.warm.protocols import Protocol, prediction

#: How far a score may be from torch's in full precision.
TOLERANCE = {"fp32": 1e-4, "auto": 0.02, "bf16": 0.02}


@dataclass
class Verdict:
    """What has been found.

    Args:
        right, wrong: answers with 200.
        failed: other answers, and none.
        refused: answers that asked to come again later.
        apart: the largest difference of a right label's score.
        example: the first answer that was wrong or failed.
    """

    right: int = 0
    wrong: int = 0
    failed: int = 0
    refused: int = 0
    apart: float = 0.0
    example: str = ""


def judged(exchanges: Sequence[Exchange], items: Sequence[Item], protocol: Protocol, tolerance: float) -> Verdict:
    verdict = Verdict()
    # The same answer to the same item comes many times.
    answers = Counter((one.item, one.body) for one in exchanges if one.status == 200)
    for (item, body), times in answers.items():
        difference = _apart(body, items[item], protocol)
        if difference is not None and difference <= tolerance:
            verdict.right += times
            verdict.apart = max(verdict.apart, difference)
        else:
            verdict.wrong += times
            verdict.example = verdict.example or f"{items[item].label} {items[item].score}: {body[:300]!r}"
    for exchange in exchanges:
        if exchange.refused:
            verdict.refused += 1
        elif exchange.status != 200:
            verdict.failed += 1
            verdict.example = verdict.example or f"{exchange.status} {exchange.body[:300]!r}"
    return verdict


def _apart(body: bytes, item: Item, protocol: Protocol) -> float | None:
    """The difference of the scores; None for another label, or no prediction at all."""
    try:
        said = prediction(protocol.says(json.loads(body)))
    except (ValueError, KeyError, TypeError, IndexError):
        return None
    if isinstance(said, str):
        return 0.0 if item.label is None and said == item.data else None
    label, score = said
    return abs(score - item.score) if label == item.label else None
