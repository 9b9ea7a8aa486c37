"""From texts to batches of tokens and back, where transformers is not there to do it."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model_functions.engines import Tokens, check_length


def padded(rows: list[list[int]], pad: int, direction: str, limit: int | None) -> Tokens:
    """The texts' tokens with their mask. Raises InvalidInput for a text with more than the limit."""
    for index, row in enumerate(rows):
        check_length(index, len(row), limit)
    numbers, mask = rectangle(rows, pad, direction)
    return Tokens(
        {"input_ids": numbers, "attention_mask": mask}, [], [], {"input_ids": pad}, padded_left=direction == "left"
    )


def apart(tokens: Tokens) -> list[Tokens]:
    """Each text's tokens, without padding."""
    count, width = next(iter(tokens.arrays.values())).shape
    mask = tokens.arrays.get("attention_mask")
    counts = [width] * count if mask is None else mask.sum(axis=1).tolist()
    return [_alone(tokens, index, own) for index, own in enumerate(counts)]


def length(tokens: Tokens) -> int:
    """Tokens of the longest text."""
    longest: int = next(iter(tokens.arrays.values())).shape[1]
    return longest


def _alone(tokens: Tokens, index: int, count: int) -> Tokens:
    width = length(tokens)
    place = slice(width - count, width) if tokens.padded_left else slice(count)
    return replace(
        tokens,
        arrays={name: array[index : index + 1, place] for name, array in tokens.arrays.items()},
        words=[row[place] for row in tokens.words[index : index + 1]],
        spans=[row[place] for row in tokens.spans[index : index + 1]],
    )


def parted(output: NDArray[np.float32], rows: list[Tokens], tokens: Tokens) -> list[NDArray[np.float32]]:
    """What a model gave for each token of the batch, shape (texts, tokens, …), without padding."""
    width = length(tokens)
    counts = [length(row) for row in rows]
    return [
        own[width - count :] if tokens.padded_left else own[:count] for own, count in zip(output, counts, strict=True)
    ]


def together(rows: list[Tokens]) -> Tokens:
    """Texts' tokens as one batch, padded to the longest."""
    if len(rows) == 1:
        return rows[0]
    first = rows[0]
    side = "left" if first.padded_left else "right"
    arrays = {
        name: rectangle([row for one in rows for row in one.arrays[name].tolist()], first.padding.get(name, 0), side)[0]
        for name in first.arrays
    }
    return replace(
        first,
        arrays=arrays,
        words=[row for one in rows for row in one.words],
        spans=[row for one in rows for row in one.spans],
    )


def widened(tokens: Tokens, multiple: int, limit: int | None) -> Tokens:
    """The batch with each text filled up to a multiple of so many tokens, as far as the limit lets it; the arrays only.

    Without a mask a model would take what is filled up for text: such a batch stays as it is.
    """
    width = length(tokens)
    more = min(-width % multiple, multiple if limit is None else limit - width)
    if more <= 0 or "attention_mask" not in tokens.arrays:
        return tokens
    sides = (0, 0), ((more, 0) if tokens.padded_left else (0, more))
    arrays = {
        name: np.pad(array, sides, constant_values=tokens.padding.get(name, 0)) for name, array in tokens.arrays.items()
    }
    return replace(tokens, arrays=arrays)


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
