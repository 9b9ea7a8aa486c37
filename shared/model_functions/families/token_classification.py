"""Token classification: names and other entities in a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from model_functions.engines import TaggingEngine, Tokens
from model_functions.inputs import MAX_ITEMS, TextInput
from model_functions.parameters import Parameter
from model_functions.rows import Rows, RowWrapper
from model_functions.schemas import COUNT, NUMBER, array, record, string
from model_functions.text_rows import TEXT_BATCH, text_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OUTSIDE = "O"


class Tagged(NamedTuple):
    """A text's tokens and the probability of each label, shape (tokens, labels)."""

    tokens: Tokens
    scores: NDArray[np.float32]


@dataclass(frozen=True)
class Piece:
    """A token or a whole word with its label."""

    label: str
    score: float
    start: int
    end: int


class TokenClassificationWrapper(RowWrapper):
    """A prediction is the list of entities in the text, in order:
    ``{"entity_group", "score", "word", "start", "end"}``, where [start, end) counts characters.
    """

    family, task = "token_classification", "token-classification"
    input_name, output_name = "text", "entities"
    batch = TEXT_BATCH
    architectures = ("ForTokenClassification",)
    declared = (
        Parameter(
            "aggregation_strategy",
            "string",
            "How tokens become entities: none leaves tokens, simple joins equal neighbours, the others first agree "
            "on one label a word: its first token's, the average's, the surest token's.",
            "first",
            choices=("none", "simple", "first", "average", "max"),
        ),
        Parameter("threshold", "number", "Entities less probable than this are left out.", 0.0, 0, 1),
    )

    def __init__(
        self,
        engine: TaggingEngine,
        *,
        max_characters: int = 10_000,
        max_items: int = MAX_ITEMS,
        defaults: Mapping[str, Any] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        super().__init__(TextInput(max_characters, max_items), defaults=defaults, bounds=bounds)
        self.engine = engine

    @classmethod
    def from_source(cls, source: str, *, max_tokens: int | None = None, **settings: Any) -> Self:
        """From a Hugging Face Hub id or folder.

        Args:
            max_tokens: the longest text in tokens; None: what the tokenizer and the model say.
            settings: the other arguments of the wrapper.
        """
        from model_functions.engines.transformers import TransformersTagger

        return cls(TransformersTagger.from_pretrained(source, max_tokens=max_tokens), **settings)

    def preprocess(self, items: list[str], parameters: dict[str, Any]) -> Rows:
        return Rows(text_rows(self.engine.encode(items)), asked=items)

    def forward_rows(self, rows: list[Tokens], parameters: dict[str, Any]) -> list[Tagged]:
        # Imported here: numpy comes with the engine, while the weights are on their way.
        from model_functions.engines.scores import softmax
        from model_functions.engines.texts import parted, together

        tokens = together(rows)
        scores = softmax(self.engine.logits(tokens))
        return [Tagged(row, own) for row, own in zip(rows, parted(scores, rows, tokens), strict=True)]

    def postprocess(self, outputs: Rows, parameters: dict[str, Any]) -> list[Any]:
        strategy, threshold = parameters["aggregation_strategy"], parameters["threshold"]
        return [
            [
                _entity(text, piece, grouped=strategy != "none")
                for piece in self._pieces(tagged, strategy)
                if piece.score >= threshold
            ]
            for text, tagged in zip(outputs.asked, outputs.outputs, strict=True)
        ]

    def prediction_schema(self) -> dict[str, Any]:
        facts = {"score": NUMBER, "word": string(), "start": COUNT, "end": COUNT}
        kinds = [record({name: string()} | facts) for name in ("entity_group", "entity")]
        return array({"anyOf": kinds})

    def _pieces(self, tagged: Tagged, strategy: str) -> Iterator[Piece]:
        labels, scores = self.engine.labels, tagged.scores
        tokens = _real_tokens(tagged.tokens)
        if strategy in _WORD_SCORES:
            pieces = [_word_piece(word, scores, _WORD_SCORES[strategy], labels) for word in _words(tokens)]
        else:
            pieces = [_piece(scores[token.row], labels, *token.span) for token in tokens]
        if strategy != "none":
            pieces = _grouped(pieces)
        return (piece for piece in pieces if piece.label != OUTSIDE)


class Token(NamedTuple):
    """A token of a text: its row among the scores, its word, its characters."""

    row: int
    word: int
    span: tuple[int, int]


def _real_tokens(tokens: Tokens) -> list[Token]:
    """The text's tokens without the special ones."""
    rows = enumerate(zip(tokens.words[0], tokens.spans[0], strict=True))
    return [Token(row, word, span) for row, (word, span) in rows if word is not None]


def _words(tokens: list[Token]) -> list[list[Token]]:
    return [list(group) for _, group in groupby(tokens, key=attrgetter("word"))]


def _surest(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    row: NDArray[np.float32] = scores[scores.max(axis=1).argmax()]
    return row


#: How the scores of a word's tokens, shape (tokens, labels), become the word's.
_WORD_SCORES: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "first": lambda scores: scores[0],
    "average": lambda scores: scores.mean(axis=0),
    "max": _surest,
}


def _word_piece(
    word: list[Token],
    scores: NDArray[np.float32],
    agreed: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    labels: list[str],
) -> Piece:
    return _piece(agreed(scores[[token.row for token in word]]), labels, word[0].span[0], word[-1].span[1])


def _piece(scores: NDArray[np.float32], labels: list[str], start: int, end: int) -> Piece:
    best = int(scores.argmax())
    return Piece(labels[best], float(scores[best]), start, end)


def _grouped(pieces: list[Piece]) -> list[Piece]:
    """Neighbours of one label as one, unless the later begins a new entity (``B-``)."""
    groups: list[list[Piece]] = []
    for piece in pieces:
        begins = piece.label.startswith("B-")
        if groups and not begins and _bare(piece.label) == _bare(groups[-1][-1].label):
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return [
        Piece(_bare(group[0].label), sum(p.score for p in group) / len(group), group[0].start, group[-1].end)
        for group in groups
    ]


def _bare(label: str) -> str:
    """The label without the mark of its place in the entity."""
    return label[2:] if label.startswith(("B-", "I-")) else label


def _entity(text: str, piece: Piece, *, grouped: bool) -> dict[str, Any]:
    return {
        "entity_group" if grouped else "entity": piece.label,
        "score": piece.score,
        "word": text[piece.start : piece.end],
        "start": piece.start,
        "end": piece.end,
    }
