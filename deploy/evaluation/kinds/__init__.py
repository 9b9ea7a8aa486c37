"""What "right" means: one module a kind of labels. The column in which a row has its label says which kind it is."""

from __future__ import annotations

import importlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, cast

from deploy.evaluation.metric import Metric

#: The module here of each column, and the class in it. No such column: the text itself is what is right.
_KINDS = {
    "label": ("classes", "Classes"),
    "labels": ("class_sets", "ClassSets"),
    "entities": ("entities", "Entities"),
    "target": ("quantities", "Quantities"),
    "reference": ("texts", "Texts"),
    "references": ("texts", "Texts"),
    "relevant": ("rankings", "Rankings"),
    "similarities": ("similarities", "Similarities"),
}
COLUMNS = tuple(_KINDS)

#: What each is for, for messages.
FORMS = (
    '"label": a class; "labels": a list of classes; "target": a number or numbers; "reference" or "references": a '
    'text or a list of texts; "entities": a list of {"start", "end", "entity_group"}; "relevant": the '
    'places of the right documents; "similarities": a number for each sentence'
)


class Kind(ABC):
    """A kind of labels, and what is measured by them."""

    metrics: ClassVar[tuple[Metric, ...]]
    answers: ClassVar[str]
    """What a model must answer with to be measured so, for messages."""
    follows_data: ClassVar[bool] = False
    """Whether what a model answered when it was published does not say that it can be measured so."""
    spelled: ClassVar[bool] = False
    """Whether a label in a CSV file is a text as it stands, and not JSON."""

    @abstractmethod
    def expected(self, label: Any, data: Any) -> Any:
        """What is right. Raises ValueError, whose message goes on after the label's name and place.

        Args:
            data: what the model is asked, where it is known.
        """

    @abstractmethod
    def found(self, prediction: Any) -> Any:
        """What the model says. Raises NotOfThisKind."""

    @abstractmethod
    def merit(self, expected: Any, found: Any) -> float:
        """How right one answer is: the more, the better. Raises ValueError where the two cannot be compared."""

    @abstractmethod
    def scores(self, expected: list[Any], found: list[Any]) -> dict[str, float]:
        """The metrics by name, without those that the data does not define; there is at least one row."""

    def same(self, one: Any, other: Any) -> bool:
        """Whether two answers say the same."""
        return bool(one == other)

    def read(self, prediction: Any, column: str | None) -> Any:
        """``found``. Raises ValueError, which tells what such labels are for."""
        try:
            return self.found(prediction)
        except NotOfThisKind:
            labels = f'"{column}"' if column else "a text without a label"
            raise ValueError(
                f"the model answers {prediction!r:.80}, and {labels} is for one that answers with {self.answers}."
            ) from None

    def told(self, value: Any, data: Any) -> str:
        """What is right, or found, in few words."""
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def classes(self, expected: list[Any], found: list[Any]) -> list[dict[str, Any]]:
        """How it does by class, for the report; nothing where there are none."""
        return []

    def notes(self, expected: list[Any], found: list[Any]) -> list[str]:
        """What looks like a mistake in the labels."""
        return []


class NotOfThisKind(ValueError):
    """The model's answer has nothing that such labels could be compared with."""


def kind_of(columns: Iterable[str], place: str) -> tuple[str | None, Kind]:
    """The column with a row's label, and its kind. Raises ValueError for a row that has two of them."""
    found = [column for column in columns if column in _KINDS]
    if len(found) > 1:
        named = '" and "'.join(found)
        raise ValueError(f'{place} has "{named}". Leave one label in a row, and the input under "data".')
    column = found[0] if found else None
    module, name = _KINDS[column] if column else ("perplexity", "Perplexity")
    # Imported here: each comes with the library that it measures by.
    cls = getattr(importlib.import_module(f"deploy.evaluation.kinds.{module}"), name)
    return column, cast(Kind, cls())


def ranked(prediction: Any) -> list[tuple[str, float]] | None:
    """Labels with their scores, the best first, of an answer that ranks labels; None of another."""
    if isinstance(prediction, dict) and {"labels", "scores"} <= prediction.keys():
        return [
            (spelled(label), score) for label, score in zip(prediction["labels"], prediction["scores"], strict=True)
        ]
    if isinstance(prediction, list) and all(
        isinstance(one, dict) and {"label", "score"} <= one.keys() for one in prediction
    ):
        return [(spelled(one["label"]), one["score"]) for one in prediction]
    return None


def spelled(label: Any) -> str:
    """A class as text, the same whether it was read as JSON or from a table: 1, 1.0 and "1" are one class."""
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return label if isinstance(label, str) else json.dumps(label)
