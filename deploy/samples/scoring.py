"""How good answers are: entity F1 and ROUGE-L."""

from collections.abc import Sequence

from deploy.samples.grammar import Entity


def entity_f1(expected: Sequence[set[Entity]], found: Sequence[set[Entity]]) -> float:
    """Harmonic mean of precision and recall over whole names; a wrong border or kind is an error."""
    right = sum(len(some & others) for some, others in zip(expected, found, strict=True))
    total = sum(map(len, expected)) + sum(map(len, found))
    return 2 * right / total if total else 1.0


def rouge_l(expected: str, found: str) -> float:
    """F1 over the longest common subsequence of words."""
    some, others = expected.split(), found.split()
    total = len(some) + len(others)
    return 2 * _longest_common_subsequence(some, others) / total if total else 1.0


def _longest_common_subsequence(some: list[str], others: list[str]) -> int:
    row = [0] * (len(others) + 1)
    for word in some:
        diagonal = 0
        for place, other in enumerate(others, start=1):
            longest = diagonal + 1 if word == other else max(row[place], row[place - 1])
            diagonal, row[place] = row[place], longest
    return row[-1]
