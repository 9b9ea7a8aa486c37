"""How good summaries are: ROUGE-L, strictly, where a capital letter or a full stop that is missing counts."""


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
