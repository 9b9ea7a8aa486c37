"""Tokenizes as a fast transformers tokenizer does, without transformers; the only module that imports tokenizers."""

from typing import Any, Self

import numpy as np
import tokenizers
from numpy.typing import NDArray

from model_functions.engines import Tokens, check_length
from model_functions.engines.texts import padded, tidied
from model_functions.once import Once

_FIELDS = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}


class FastTokenizer:
    """A tokenizer.json.

    Args:
        json: its content.
        inputs: the model's inputs, in the tokenizer's order.
        padding: the arguments of ``tokenizers``' enable_padding; empty where texts are read one by one.
        max_tokens: the longest text in tokens, special ones included; None: any.
        tidies: close up spaces before punctuation in what is decoded.
        cuts: the side from which a text that is to be truncated loses tokens.
    """

    def __init__(
        self,
        json: bytes,
        inputs: list[str],
        padding: dict[str, Any],
        max_tokens: int | None,
        *,
        tidies: bool = False,
        cuts: str = "right",
    ) -> None:
        state = {"json": json, "inputs": inputs, "padding": padding, "max_tokens": max_tokens}
        self.__setstate__(state | {"tidies": tidies, "cuts": cuts})

    @classmethod
    def of(cls, tokenizer: Any, inputs: list[str], max_tokens: int | None, *, pads: bool = True) -> Self:
        """From a transformers tokenizer. Raises ValueError where it does what ``tokenizers`` alone cannot."""
        if not tokenizer.is_fast:
            raise ValueError(f"{type(tokenizer).__name__} has no fast version (tokenizer.json)")
        unknown = [name for name in inputs if name not in _FIELDS]
        if unknown:
            raise ValueError(f"the tokenizer makes {unknown[0]}, which tokenizers does not know")
        padding = {
            "direction": tokenizer.padding_side,
            "pad_id": tokenizer.pad_token_id,
            "pad_type_id": tokenizer.pad_token_type_id,
            "pad_token": tokenizer.pad_token,
        }
        padding = padding if pads else {}
        backend = tokenizers.Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        # The last call's, and no matter of the model.
        backend.no_padding()
        backend.no_truncation()
        json, cuts = backend.to_str().encode(), tokenizer.truncation_side
        return cls(json, inputs, padding, max_tokens, tidies=_tidies(tokenizer), cuts=cuts)

    def encode(
        self,
        texts: list[str],
        around: tuple[list[int], list[int]] | None = None,
        *,
        pairs: list[str] | None = None,
        truncate: bool = False,
    ) -> Tokens:
        """Raises InvalidInput for a text with more tokens than the model reads, or none.

        Args:
            around: tokens before and behind each text, instead of the tokenizer's own special ones.
            pairs: a second text for each.
            truncate: cut a text that is too long instead of refusing it.
        """
        if around is not None:
            return self._encode_around(texts, *around)
        batch = self._batch(texts if pairs is None else list(zip(texts, pairs, strict=True)), truncate)
        for index, encoding in enumerate(batch):
            check_length(index, sum(encoding.attention_mask), self.max_tokens)
        return Tokens(
            arrays={
                name: np.array([getattr(encoding, _FIELDS[name]) for encoding in batch], dtype=np.int64)
                for name in self.inputs
            },
            words=[encoding.word_ids for encoding in batch],
            spans=[encoding.offsets for encoding in batch],
            padding={"input_ids": self.padding["pad_id"], "token_type_ids": self.padding["pad_type_id"]},
            padded_left=self.padding["direction"] == "left",
        )

    def decode(self, sequences: NDArray[np.int64]) -> list[str]:
        """The texts without special tokens."""
        texts: list[str] = self._tokenizer.decode_batch(sequences.tolist(), skip_special_tokens=True)
        return [tidied(text) for text in texts] if self.tidies else texts

    def numbers(self, text: str, *, special: bool) -> list[int]:
        """One text's tokens.

        Args:
            special: with those that the tokenizer puts around a text.
        """
        found: list[int] = self._tokenizer.encode(text, add_special_tokens=special).ids
        return found

    def text(self, numbers: list[int]) -> str:
        """The text of some tokens, without special ones; its spaces stay."""
        found: str = self._tokenizer.decode(numbers, skip_special_tokens=True)
        return found

    def specials(self) -> dict[int, str]:
        """The special tokens, and their texts."""
        added = self._tokenizer.get_added_tokens_decoder().items()
        return {number: token.content for number, token in added if token.special}

    @property
    def vocabulary(self) -> int:
        """How many tokens there are."""
        count: int = self._tokenizer.get_vocab_size()
        return count

    def _batch(self, texts: list[Any], truncate: bool) -> list[Any]:
        cuts = truncate and self.max_tokens is not None
        return list((self._cutting() if cuts else self._tokenizer).encode_batch(texts))

    def _truncating(self) -> Any:
        """A second tokenizer: one that other threads are using cannot be told to cut."""
        tokenizer = tokenizers.Tokenizer.from_str(self.json.decode())
        tokenizer.enable_padding(**self.padding)
        tokenizer.enable_truncation(self.max_tokens or 0, direction=self.cuts)
        return tokenizer

    def _encode_around(self, texts: list[str], before: list[int], behind: list[int]) -> Tokens:
        batch = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        rows = [
            [*before, *(number for number, real in zip(found.ids, found.attention_mask, strict=True) if real), *behind]
            for found in batch
        ]
        return padded(rows, self.padding["pad_id"], self.padding["direction"], self.max_tokens)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.json: bytes = state["json"]
        self.inputs: list[str] = state["inputs"]
        self.padding: dict[str, Any] = state["padding"]
        self.max_tokens: int | None = state["max_tokens"]
        self.tidies: bool = state.get("tidies", False)
        self.cuts: str = state.get("cuts", "right")
        self._tokenizer = tokenizers.Tokenizer.from_str(self.json.decode())
        self._tokenizer.no_truncation()
        if self.padding:
            self._tokenizer.enable_padding(**self.padding)
        self._cutting = Once(self._truncating)


def lower_cased(tokenizer: Any) -> None:
    """Makes a fast transformers tokenizer read every text in lower case."""
    backend = tokenizer.backend_tokenizer
    own = [] if backend.normalizer is None else [backend.normalizer]
    backend.normalizer = tokenizers.normalizers.Sequence([tokenizers.normalizers.Lowercase(), *own])


def _tidies(tokenizer: Any) -> bool:
    if not tokenizer.clean_up_tokenization_spaces:
        return False
    # transformers leaves the spaces of byte pairs alone, unless told that it would corrupt them.
    pairs = type(tokenizer.backend_tokenizer.model).__name__ == "BPE"
    return not pairs or bool(tokenizer.clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output)
