"""What runs the model inside a wrapper: the contracts that families know, and one module an engine.

Arrays are numpy's on both sides, so that a family never sees whose tensors they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from model_functions.errors import InvalidInput
from model_functions.tensors import TensorSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from model_functions.engines.chat import ChatTemplate
    from model_functions.engines.scheduler import Scheduler
    from model_functions.engines.search import Decoder, Rules


@dataclass(frozen=True)
class Half:
    """An array that an engine stores in half precision, and finds in single when it is loaded."""

    array: NDArray[np.float32]


@dataclass(frozen=True)
class Tokens:
    """A padded batch of texts.

    Args:
        arrays: the model's inputs by name, int64, shape (texts, tokens).
        words: for each text the word that each token belongs to; None for a special token.
        spans: for each text the characters [start, end) of each token.
        padding: what fills the arrays up, by their names; 0 where it does not say.
        padded_left: whether it stands before the texts.
    """

    arrays: dict[str, NDArray[np.int64]]
    words: list[list[int | None]]
    spans: list[list[tuple[int, int]]]
    padding: Mapping[str, int] = field(default_factory=dict)
    padded_left: bool = False


class TextRefused(InvalidInput):
    """A text that the model cannot read.

    Args:
        index: its place among those that were encoded; a family whose items hold several texts knows a better one.
    """

    def __init__(self, index: int, message: str) -> None:
        super().__init__(f"data[{index}]", message)
        self.index = index


def check_length(index: int, count: int, limit: int | None) -> None:
    """Refuses a text of no tokens, or of more than the model reads."""
    if count == 0:
        raise TextRefused(index, "The model's tokenizer finds nothing in this text. Send words.")
    if limit is not None and count > limit:
        raise TextRefused(index, f"The text has {count} tokens; the model reads {limit}. Send it in parts.")


def unknown_language(language: str, parameter: str, known: Iterable[str]) -> InvalidInput:
    """The refusal of a language, with some that the model knows."""
    codes = sorted(known)
    return InvalidInput(
        f"parameters.{parameter}",
        f'"{parameter}": "{language}" is no language of this model. It knows {len(codes)}, as {", ".join(codes[:3])}.',
    )


class TaggingEngine(Protocol):
    """Labels every token."""

    labels: list[str]

    def encode(self, texts: list[str]) -> Tokens:
        """Raises InvalidInput for a text with more tokens than the model reads."""

    def logits(self, tokens: Tokens) -> NDArray[np.float32]:
        """Shape (texts, tokens, labels)."""


class ImageEngine(Protocol):
    """Labels images."""

    labels: list[str]

    def logits(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Shape (images, labels), for pixels of shape (images, channels, height, width)."""


class ClassificationEngine(Protocol):
    """Labels a text, or how a pair of texts belongs together."""

    labels: list[str]
    function_to_apply: str
    """What makes scores of the logits: softmax, sigmoid or none."""

    def encode(self, texts: list[str], pairs: list[str] | None = None) -> Tokens:
        """Raises TextRefused for a text, or a pair, with more tokens than the model reads."""

    def logits(self, tokens: Tokens) -> NDArray[np.float32]:
        """Shape (texts, labels)."""


class EmbeddingEngine(Protocol):
    """Gives each token a vector."""

    def encode(self, texts: list[str], *, truncate: bool = False) -> Tokens:
        """Raises TextRefused for a text with more tokens than the model reads, unless it is to be truncated."""

    def last_hidden_state(self, tokens: Tokens) -> NDArray[np.float32]:
        """Shape (texts, tokens, width)."""


class GenerationEngine(Protocol):
    """Writes a text for a text."""

    @property
    def longest_answer(self) -> int | None:
        """Tokens that the model can write; None when it knows no limit."""

    @property
    def multilingual(self) -> bool:
        """Whether the model knows several languages, and a request may name them."""

    def encode_from(self, texts: list[str], language: str | None) -> Tokens:
        """Texts in the language; None means the model's own.

        Raises InvalidInput for a text with more tokens than the model reads, or an unknown language.
        """

    def generate(
        self, tokens: Tokens, parameters: dict[str, Any], check: Callable[[], None] | None = None
    ) -> NDArray[np.int64]:
        """Shape (texts × num_return_sequences, tokens), each text's sequences together, best first.

        Args:
            check: called before each step; what it raises ends the work.
        """

    def decode(self, sequences: NDArray[np.int64]) -> list[str]:
        """The texts without special tokens."""

    def generation_defaults(self) -> dict[str, Any]:
        """The generation parameters that the model brings with it."""


class WritingEngine(Protocol):
    """Goes on with a text."""

    rules: Rules
    chat: ChatTemplate | None
    """How the model has learnt to read a chat, if it has."""

    @property
    def scheduler(self) -> Scheduler | None:
        """What writes for all callers at once; None: each is written for alone."""

    @property
    def positions(self) -> int | None:
        """Tokens of a prompt and its answer together; None: any number."""

    def numbers(self, text: str, *, special: bool) -> list[int]:
        """The text's tokens.

        Args:
            special: with those that the tokenizer puts around a text.
        """

    def text(self, numbers: list[int]) -> str:
        """The text of tokens, without special ones."""

    def specials(self) -> dict[int, str]:
        """The special tokens, and their texts."""

    @property
    def vocabulary(self) -> int:
        """How many tokens there are."""

    def fits(self, prompt: int, longest: int, answers: int) -> bool:
        """Whether there is memory for so many answers to a prompt, side by side.

        Args:
            prompt, longest: the prompt's and an answer's tokens.
        """

    def memory_bytes(self) -> int:
        """What is kept, at most, of the texts that are being written."""

    def read(self, prompts: list[list[int]]) -> Decoder:
        """The model with the prompts before it."""

    def generation_defaults(self) -> dict[str, Any]:
        """The generation parameters that the model brings with it."""


class RowEngine(Protocol):
    """Predicts from rows of columns."""

    columns: list[str]
    classes: list[Any] | None
    """The class labels in the order of the probabilities, of several outputs a list for each; None for a regression."""

    outputs: int | None
    """How many values a prediction has; None for a single one."""

    has_probabilities: bool

    def predict(self, rows: list[list[Any]]) -> list[Any]:
        """One JSON-ready prediction a row."""

    def predict_with_probabilities(self, rows: list[list[Any]]) -> tuple[list[Any], list[Any]]:
        """The predictions, and the probabilities of the classes: shape (rows, classes), or (rows, outputs, classes)."""


class TensorEngine(Protocol):
    """Runs a model of tensors."""

    inputs: list[TensorSpec]
    outputs: list[TensorSpec]
    sizes: Mapping[str, tuple[int, int | None]]
    """Of a symbol in the inputs' shapes, the smallest and the largest size, where the model has limits."""
    copied_bytes: tuple[int, int]
    """Bytes of copies of the weights that it makes beside its kind's usual ones: while it starts, and afterwards."""

    def run(self, arrays: dict[str, NDArray[Any]], outputs: list[str]) -> list[Any]:
        """The outputs of these names: arrays, and lists and maps of them where the model gives such.

        Args:
            arrays: by the inputs' names, of their types; an optional one may be missing.
        """
