"""Texts as rows: what the families share that read tokens."""

from model_functions.engines import Tokens
from model_functions.rows import Batch, Row

#: Tokens at which a model's matrices are as fast as they get; beyond, a batch only makes its texts wait for each other.
TEXT_BATCH = Batch(256, 32)


def text_rows(tokens: Tokens) -> list[Row]:
    """A row for each text, of the size of its tokens."""
    # Imported here: numpy comes with the engine, while the weights are on their way.
    from model_functions.engines.texts import apart, length

    # Without a mask a model takes padding for text.
    masked = "attention_mask" in tokens.arrays
    return [Row(one, length(one), None if masked else length(one)) for one in apart(tokens)]
