"""What is asked of Dataflow for a job: where it runs, as whom, on which machines, under which name."""

import argparse
import hashlib
import re
from dataclasses import dataclass
from typing import Self

from deploy.batch.dataflow import machine
from deploy.batch.dataflow.machine import Machine
from deploy.batch.files import joined
from deploy.batch.job import Job
from deploy.cloud.configuration import Configuration


@dataclass(frozen=True)
class Order:
    """Args: account: that the machines run as; workers: machines at most; image: None for Beam's own."""

    project: str
    region: str
    account: str
    machine: Machine
    workers: int
    image: str | None
    name: str
    staging: str

    @classmethod
    def of(cls, args: argparse.Namespace, job: Job, parts: int) -> Self:
        """Args: parts: that are to be done. Raises ValueError that names the flag or the file, and the value."""
        configuration = cls.configuration(args)
        chosen = machine.chosen(job.model.manifest(), args.machine_type)
        return cls(
            project=configuration.project,
            region=configuration.region,
            account=args.service_account or configuration.account(configuration.accounts.batch),
            machine=chosen,
            workers=machine.workers(parts, chosen, args.max_workers),
            image=args.image,
            name=job_name(job),
            staging=joined(job.output, "_job", "staging"),
        )

    @property
    def told(self) -> str:
        processes = f"{self.machine.processes} process{'es' * (self.machine.processes > 1)}"
        return f"at most {self.workers} machine{'s' * (self.workers > 1)} {self.machine.type} with {processes} each"

    @staticmethod
    def configuration(args: argparse.Namespace) -> Configuration:
        flags = {"project": args.project, "region": args.region}
        return Configuration.read(args.config, {name: value for name, value in flags.items() if value is not None})


def job_name(job: Job) -> str:
    """The same for the same output: Dataflow runs one job of a name at a time, and so never two that write there."""
    model = re.sub(r"[^a-z0-9]+", "-", job.model.name.lower()).strip("-")[:30].rstrip("-")
    return f"batch-{model}-{hashlib.sha256(job.output.encode()).hexdigest()[:10]}"
