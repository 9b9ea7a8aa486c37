"""Which job of Dataflow writes to an output is known to whoever comes next."""

import pytest

from deploy.batch.dataflow import record
from deploy.batch.dataflow.record import Record
from deploy.batch.files import LocalFiles
from deploy.batch.job import Job
from model_functions.errors import Conflict

FILES = LocalFiles()
FOUND = Record("2026-01-01_00_00_00-1", "acme-prod", "us-east1")


def test_it_is_found_until_it_is_forgotten(job: Job) -> None:
    assert Record.read(FILES, job) is None
    FOUND.write(FILES, job)
    assert Record.read(FILES, job) == FOUND
    Record.forget(FILES, job)
    assert Record.read(FILES, job) is None


def test_another_runner_keeps_away_while_it_may_write(job: Job) -> None:
    record.check_alone(FILES, job)
    FOUND.write(FILES, job)
    with pytest.raises(Conflict) as told:
        record.check_alone(FILES, job)
    assert str(told.value) == (
        f"Dataflow's job 2026-01-01_00_00_00-1 may still write to {job.output}. Follow it to its end, with --runner "
        f"DataflowRunner; or end it, and then remove {job.output}/_job/dataflow.json: "
        "gcloud dataflow jobs cancel 2026-01-01_00_00_00-1 --region=us-east1 --project=acme-prod"
    )
