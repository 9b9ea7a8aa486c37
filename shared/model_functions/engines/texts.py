"""From texts to batches of tokens and back, where transformers is not there to do it."""

import numpy as np
from numpy.typing import NDArray

from model_functions.engines import Tokens, check_length


def padded(rows: list[list[int]], pad: int, direction: str, limit: int | None) -> Tokens:
    """The texts' tokens with their mask. Raises InvalidInput for a text with more than the limit."""
    for index, row in enumerate(rows):
        check_length(index, len(row), limit)
    numbers, mask = rectangle(rows, pad, direction)
    return Tokens({"input_ids": numbers, "attention_mask": mask}, words=[], spans=[])


def rectangle(rows: list[list[int]], pad: int, direction: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows filled up on the ``right`` or the ``left``, and where they are not filled."""
    shape = (len(rows), max(map(len, rows)))
    numbers, mask = np.full(shape, pad, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for index, row in enumerate(rows):
        place = slice(len(row)) if direction == "right" else slice(shape[1] - len(row), None)
        numbers[index, place], mask[index, place] = row, 1
    return numbers, mask


#: In this order: what transformers closes up.
_LOOSE = (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're")


def tidied(text: str) -> str:
    """The text as transformers' ``clean_up_tokenization`` leaves it."""
    for loose in _LOOSE:
        text = text.replace(loose, loose.strip())
    return text
