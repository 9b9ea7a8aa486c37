"""A vocabulary as large as BERT's, made of syllables, and a text of exactly 92 tokens."""

import itertools
import string

SIZE = 30_522
TOKENS = 92
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

_CONSONANTS = "bcdfghjklmnpqrstvwxz"
_VOWELS = "aeiou"
#: Far from each other in the vocabulary, so that the text touches all of the embeddings.
_STRIDE = 331


def vocabulary() -> dict[str, int]:
    letters = [letter for one in string.ascii_lowercase for letter in (one, f"##{one}")]
    syllables = ["".join(pair) for pair in itertools.product(_CONSONANTS, _VOWELS)]
    invented = ("".join(parts) for parts in itertools.product(syllables, repeat=3))
    tokens = itertools.chain(SPECIAL, letters, invented)
    return {token: number for number, token in enumerate(itertools.islice(tokens, SIZE))}


def whole_words() -> list[str]:
    """Those that are one token each."""
    return [token for token in vocabulary() if len(token) == 6 and token.isalpha()]


def text() -> str:
    """Whole words of the vocabulary; the two special tokens complete it."""
    words = whole_words()
    return " ".join(words[number * _STRIDE] for number in range(TOKENS - 2))
