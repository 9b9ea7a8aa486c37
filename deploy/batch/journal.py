"""What a job has done: an entry for each part, written when all of the part's rows are where they belong."""

import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any, Self

from deploy.batch.files import Files, joined
from deploy.batch.job import Job
from deploy.batch.parts import Part
from deploy.batch.predictor import Outcome

#: Upper bounds of the seconds that the model took for the batch which a row was in.
SECONDS = tuple(round(10**power * step, 6) for power in range(-5, 3) for step in (1, 2, 5))
#: Labels that are told of; of a model with more, none are.
MOST_LABELS = 200


@dataclass
class Entry:
    """Counts of a part, or of several.

    Args:
        rows: with a prediction.
        failed: in the dead letters.
        errors: how many of those there are, by code.
        examples: for each code the first message.
        labels: how often each was predicted; empty where predictions have none.
        latency: rows by SECONDS, the last for what took longer.
        seconds: that the workers took, from reading to writing.
    """

    rows: int = 0
    failed: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    labels: Counter[str] = field(default_factory=Counter)
    latency: list[int] = field(default_factory=lambda: [0] * (len(SECONDS) + 1))
    seconds: float = 0.0

    @property
    def all_rows(self) -> int:
        return self.rows + self.failed

    def count(self, outcome: Outcome) -> None:
        place = next((index for index, bound in enumerate(SECONDS) if outcome.seconds <= bound), len(SECONDS))
        if outcome.error is None:
            self.rows += 1
            self.latency[place] += 1
            self.labels.update(labels_of(outcome.prediction))
        else:
            code, message = outcome.error
            self.failed += 1
            self.errors[code] += 1
            self.examples.setdefault(code, message)

    def add(self, other: Self) -> None:
        self.rows += other.rows
        self.failed += other.failed
        self.seconds += other.seconds
        self.errors.update(other.errors)
        self.examples = other.examples | self.examples
        self.latency = [one + more for one, more in zip(self.latency, other.latency, strict=True)]
        # Once there are too many they stay away: what is left would be none of the distribution.
        if len(self.labels) <= MOST_LABELS:
            self.labels.update(other.labels)

    def document(self) -> dict[str, Any]:
        few = len(self.labels) <= MOST_LABELS
        return asdict(self) | {"labels": dict(self.labels) if few else {}, "errors": dict(self.errors)}

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        counted = {name: Counter(document[name]) for name in ("labels", "errors")}
        return cls(**document | counted)


class Journal:
    """The entries of one job."""

    def __init__(self, files: Files, job: Job) -> None:
        self._files = files
        self._folder = job.journal

    def write(self, part: Part, entry: Entry) -> None:
        self._files.write(self._name(part.number), json.dumps(entry.document()).encode())

    def entries(self, known: Collection[int] = ()) -> Iterator[tuple[int, Entry]]:
        """Of all parts that are done, but for those that are known already."""
        for name in self._files.names(self._folder):
            stem = PurePosixPath(name).name.partition(".")[0]
            if stem.isdecimal() and int(stem) not in known:
                yield int(stem), Entry.from_document(json.loads(self._files.read(name)))

    def clear(self) -> None:
        for name in list(self._files.names(self._folder)):
            self._files.remove(name)

    def _name(self, number: int) -> str:
        return joined(self._folder, f"{number:06d}.json")


def labels_of(prediction: Any) -> list[str]:
    """What a prediction says in one word, or for a ranking its first; for a list of found things, one for each."""
    if isinstance(prediction, dict):
        found = prediction.get("label", prediction.get("prediction"))
        return [str(found)] if isinstance(found, str | int) else []
    if isinstance(prediction, list) and prediction and all(isinstance(one, dict) for one in prediction):
        if all(one.keys() == {"label", "score"} for one in prediction):
            return labels_of(prediction[0])
        return [label for one in prediction for label in labels_of(one)]
    return []
