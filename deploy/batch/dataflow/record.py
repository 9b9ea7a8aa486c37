"""Which of Dataflow's jobs writes to an output: kept beside it, so that the next command finds it again."""

import json
from dataclasses import asdict, dataclass
from typing import Self

from deploy.batch.files import Files, joined
from deploy.batch.job import Job
from model_functions.errors import Conflict


@dataclass(frozen=True)
class Record:
    id: str
    project: str
    region: str

    @classmethod
    def read(cls, files: Files, job: Job) -> Self | None:
        try:
            return cls(**json.loads(files.read(name_of(job))))
        except FileNotFoundError:
            return None

    def write(self, files: Files, job: Job) -> None:
        files.write(name_of(job), json.dumps(asdict(self)).encode())

    @staticmethod
    def forget(files: Files, job: Job) -> None:
        """When it has ended."""
        files.remove(name_of(job))

    @property
    def console(self) -> str:
        return f"https://console.cloud.google.com/dataflow/jobs/{self.region}/{self.id}?project={self.project}"

    @property
    def cancelling(self) -> str:
        """The command that ends the job."""
        return f"gcloud dataflow jobs cancel {self.id} --region={self.region} --project={self.project}"


def name_of(job: Job) -> str:
    return joined(job.output, "_job", "dataflow.json")


def check_alone(files: Files, job: Job) -> None:
    """For another runner. Raises Conflict where a job of Dataflow may write to the output."""
    record = Record.read(files, job)
    if record is not None:
        raise Conflict(
            f"Dataflow's job {record.id} may still write to {job.output}. Follow it to its end, with --runner "
            f"DataflowRunner; or end it, and then remove {name_of(job)}: {record.cancelling}"
        )
