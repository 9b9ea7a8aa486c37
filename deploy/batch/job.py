"""A job: which rows, which revision, where to; decided once, written down, and the same when it goes on."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from deploy.batch.files import Found, joined
from deploy.batch.pinned import PinnedModel
from model_functions.artifact.signing import TrustedKey, canonical

#: Layout of job.json and of what stands beside it. When it changes: add one; jobs of another layout begin anew.
JOB_VERSION = 1


@dataclass(frozen=True)
class Job:
    """All that a worker needs to know.

    Args:
        model: loaded by every worker, whatever the alias names meanwhile.
        alias: by which the model was asked for, or the revision.
        format: of the inputs, one of readers.FORMATS.
        data: the column that is the model's data; None: see questions.data_column.
        rows: of a part, at most.
        output: a folder, local or in a bucket.
        inputs: digest of the names, sizes and stamps of all inputs.
    """

    model: PinnedModel
    alias: str
    input: str
    format: str
    output: str
    data: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    rows: int = 1000
    inputs: str = ""

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "model": self.model.document(), "version": JOB_VERSION}

    @classmethod
    def from_document(cls, document: dict[str, Any], trust: Iterable[TrustedKey]) -> Self:
        values = {name: value for name, value in document.items() if name != "version"}
        return cls(**values | {"model": PinnedModel(**document["model"], trust=tuple(trust))})

    def asks_the_same(self, other: Self) -> bool:
        """Whether both have the same rows answered by the same model's name, whatever revision that was or is."""
        return self._asked() == other._asked()

    def _asked(self) -> bytes:
        document = self.document()
        model = document.pop("model")
        return canonical([document, model["store"], model["family"], model["name"]])

    # Where its files are.

    @property
    def plan(self) -> str:
        return joined(self.output, "_job", "job.json")

    @property
    def parts(self) -> str:
        return joined(self.output, "_job", "parts.jsonl")

    @property
    def journal(self) -> str:
        return joined(self.output, "_job", "done")

    @property
    def report(self) -> str:
        return joined(self.output, "report.html")

    @property
    def summary(self) -> str:
        """Written last: a job that has it is finished."""
        return joined(self.output, "_job", "summary.json")


def digest_of(found: Iterable[Found]) -> str:
    digest = hashlib.sha256()
    for one in found:
        digest.update(json.dumps(one).encode())
    return digest.hexdigest()
