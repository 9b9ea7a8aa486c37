"""What came of a job, for who asked for it: counted from the journal, whoever has done the parts and when."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

from deploy.batch.files import Files
from deploy.batch.job import Job
from deploy.batch.journal import Entry


@dataclass(frozen=True)
class Summary:
    """Args: seconds: that this run took; parts: of the job; resumed: those that earlier runs had done."""

    model: str
    revision: str
    input: str
    output: str
    counts: Entry
    parts: int
    resumed: int
    seconds: float

    @classmethod
    def of(cls, job: Job, entries: dict[int, Entry], resumed: int, seconds: float) -> Self:
        counts = Entry()
        for _, entry in sorted(entries.items()):
            counts.add(entry)
        model = f"{job.model.family}/{job.model.name}"
        return cls(model, job.model.revision, job.input, job.output, counts, len(entries), resumed, seconds)

    @classmethod
    def read(cls, files: Files, job: Job) -> Self | None:
        """That of a finished job; None while it is none."""
        try:
            document = json.loads(files.read(job.summary))
        except FileNotFoundError:
            return None
        return cls(**document | {"counts": Entry.from_document(document["counts"])})

    def write(self, files: Files, job: Job) -> None:
        files.write(job.summary, json.dumps(self.document()).encode())

    def document(self) -> dict[str, Any]:
        return asdict(self) | {"counts": self.counts.document()}

    def table(self) -> str:
        """For a terminal."""
        counts = self.counts
        resumed = f", {self.resumed:,} of them before" if self.resumed else ""
        rate = f", {counts.all_rows / self.seconds:,.0f} rows/s" if self.seconds and not self.resumed else ""
        told = [
            ("model", f"{self.model}, revision {self.revision}"),
            ("rows", f"{counts.all_rows:,} in {self.parts:,} parts{resumed}"),
            ("predicted", f"{counts.rows:,}"),
            ("dead letters", f"{counts.failed:,}"),
            *((f"  {code}", f"{count:,}: {counts.examples[code]}") for code, count in counts.errors.most_common()),
            *((f"  {label}", f"{count:,}") for label, count in counts.labels.most_common(10)),
            ("time", f"{self.seconds:.1f} s{rate}"),
            ("output", self.output),
        ]
        width = max(len(name) for name, _ in told)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in told)
