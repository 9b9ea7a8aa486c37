"""Tokenizes as a fast transformers tokenizer does, without transformers; the only module that imports tokenizers."""

from typing import Any, Self

import numpy as np
import tokenizers

from model_functions.engines import Tokens, check_length

_FIELDS = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}


class FastTokenizer:
    """A tokenizer.json.

    Args:
        json: its content.
        inputs: the model's inputs, in the tokenizer's order.
        padding: the arguments of ``tokenizers``' enable_padding.
        max_tokens: the longest text in tokens, special ones included; None: any.
    """

    def __init__(self, json: bytes, inputs: list[str], padding: dict[str, Any], max_tokens: int | None) -> None:
        self.__setstate__({"json": json, "inputs": inputs, "padding": padding, "max_tokens": max_tokens})

    @classmethod
    def of(cls, tokenizer: Any, inputs: list[str], max_tokens: int | None) -> Self:
        """From a fast transformers tokenizer. Raises ValueError for inputs that it alone can make."""
        unknown = [name for name in inputs if name not in _FIELDS]
        if unknown:
            raise ValueError(f"the tokenizer makes {unknown[0]}, which tokenizers does not know")
        padding = {
            "direction": tokenizer.padding_side,
            "pad_id": tokenizer.pad_token_id,
            "pad_type_id": tokenizer.pad_token_type_id,
            "pad_token": tokenizer.pad_token,
        }
        return cls(tokenizer.backend_tokenizer.to_str().encode(), inputs, padding, max_tokens)

    def encode(self, texts: list[str]) -> Tokens:
        """Raises InvalidInput for a text with more tokens than the model reads, or none."""
        batch = self._tokenizer.encode_batch(texts)
        for index, encoding in enumerate(batch):
            check_length(index, sum(encoding.attention_mask), self.max_tokens)
        return Tokens(
            arrays={
                name: np.array([getattr(encoding, _FIELDS[name]) for encoding in batch], dtype=np.int64)
                for name in self.inputs
            },
            words=[encoding.word_ids for encoding in batch],
            spans=[encoding.offsets for encoding in batch],
        )

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_tokenizer"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.json: bytes = state["json"]
        self.inputs: list[str] = state["inputs"]
        self.padding: dict[str, Any] = state["padding"]
        self.max_tokens: int | None = state["max_tokens"]
        self._tokenizer = tokenizers.Tokenizer.from_str(self.json.decode())
        self._tokenizer.no_truncation()
        self._tokenizer.enable_padding(**self.padding)
