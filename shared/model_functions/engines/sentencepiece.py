"""Tokenizes as transformers' MarianTokenizer does, without transformers; the only module that imports sentencepiece."""

import json
import re
from typing import Any, Self

import numpy as np
import sentencepiece
from numpy.typing import NDArray

from model_functions.engines import Tokens
from model_functions.engines.texts import padded, tidied

#: A language that a text names for its answer, as in ``>>deu<< Good morning``.
_LANGUAGE = re.compile(r">>.*?<<", re.DOTALL)


class MarianPieces:
    """SentencePiece's pieces, by the numbers of a vocabulary of their own.

    Args:
        model: the source language's, which transformers decodes with too.
        vocabulary: numbers by piece, as JSON.
        special: tokens that are looked for in a text before it is cut into pieces, and left out of an answer.
        end, unknown, pad: numbers of tokens.
        max_tokens: the longest text in tokens, the end included; None: any.
    """

    def __init__(self, **state: Any) -> None:
        self.__setstate__(state)

    @classmethod
    def of(cls, tokenizer: Any, max_tokens: int | None) -> Self:
        """Raises ValueError for a tokenizer that does more."""
        special = tokenizer.added_tokens_decoder
        if tokenizer.separate_vocabs or tokenizer.sp_model_kwargs or tokenizer.split_special_tokens:
            raise ValueError("its tokenizer has two vocabularies, or options of SentencePiece")
        if any(token.lstrip or token.rstrip or token.single_word or not token.special for token in special.values()):
            raise ValueError("its tokenizer has added tokens that are more than themselves")
        return cls(
            model=tokenizer.spm_source.serialized_model_proto(),
            vocabulary=json.dumps(tokenizer.encoder).encode(),
            special={token.content: number for number, token in special.items()},
            end=tokenizer.eos_token_id,
            unknown=tokenizer.encoder[tokenizer.unk_token],
            pad=tokenizer.pad_token_id,
            direction=tokenizer.padding_side,
            max_tokens=max_tokens,
            tidies=bool(tokenizer.clean_up_tokenization_spaces),
        )

    def encode(self, texts: list[str], around: tuple[list[int], list[int]] | None = None) -> Tokens:
        """Raises InvalidInput for a text with more tokens than the model reads."""
        rows = [[number for part in self._special.split(text) for number in self._numbers(part)] for text in texts]
        return padded([[*row, self.end] for row in rows], self.pad, self.direction, self.max_tokens)

    def decode(self, sequences: NDArray[np.int64]) -> list[str]:
        """The texts without special tokens."""
        left_out = set(self.special.values())
        rows = [[self._piece(number) for number in row if number not in left_out] for row in sequences.tolist()]
        texts = [self._processor.decode_pieces(row).replace("▁", " ").strip() for row in rows]
        return [tidied(text) for text in texts] if self.tidies else texts

    def _numbers(self, part: str) -> list[int]:
        """Of a special token, or of the text between two."""
        if part in self.special or not part:
            return [self.special[part]] if part else []
        language = _LANGUAGE.match(part)
        code, text = (language[0], part[language.end() :]) if language else (None, part)
        pieces = [*([code] if code is not None else []), *self._processor.encode(text, out_type=str)]
        return [self._vocabulary.get(piece, self.unknown) for piece in pieces]

    def _piece(self, number: int) -> str:
        piece: str = self._pieces[number] if number in self._pieces else self._processor.id_to_piece(number)
        return piece

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.model: bytes = state["model"]
        self.vocabulary: bytes = state["vocabulary"]
        self.special: dict[str, int] = state["special"]
        self.end: int = state["end"]
        self.unknown: int = state["unknown"]
        self.pad: int = state["pad"]
        self.direction: str = state["direction"]
        self.max_tokens: int | None = state["max_tokens"]
        self.tidies: bool = state["tidies"]
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=self.model)
        self._vocabulary: dict[str, int] = json.loads(self.vocabulary)
        self._pieces = {number: piece for piece, number in self._vocabulary.items()}
        # The longest of those that begin at the same place.
        longest_first = sorted(self.special, key=len, reverse=True)
        self._special = re.compile(f"({'|'.join(map(re.escape, longest_first))})")
