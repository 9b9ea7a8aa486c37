"""The texts that are sent: of exactly 92 tokens, and of 8 to 256."""

import random

from tests.benchmarks import words

FIXED, MIXED = "92 tokens", "8–256 tokens"
SHORTEST, LONGEST = 8, 256
_SEED = 5
#: The two that every text of BERT's has around it.
_SPECIAL = 2


def candidates(lengths: str, count: int) -> list[str]:
    """Texts of random words of the vocabulary, one token each; always the same ones."""
    draw = random.Random(f"{_SEED} {lengths}")
    known = words.whole_words()
    return [" ".join(draw.choices(known, k=_tokens(lengths, draw) - _SPECIAL)) for _ in range(count)]


def _tokens(lengths: str, draw: random.Random) -> int:
    return words.TOKENS if lengths == FIXED else draw.randint(SHORTEST, LONGEST)
