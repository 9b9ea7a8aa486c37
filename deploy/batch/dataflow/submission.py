"""Submits a job to Dataflow by Beam's own runner, or prints what would be submitted."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apache_beam
from apache_beam.options.pipeline_options import PipelineOptions, TestOptions
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
from apache_beam.runners.dataflow.internal import apiclient
from google.protobuf import json_format

from deploy.batch.dataflow import failures, package
from deploy.batch.dataflow.machine import THREADS
from deploy.batch.dataflow.order import Order
from deploy.batch.dataflow.package import Package
from deploy.batch.job import Job
from deploy.batch.parts import Part
from deploy.batch.pipeline import build

#: By gcloud's name for it: another address of the API.
ENDPOINT = "CLOUDSDK_API_ENDPOINT_OVERRIDES_DATAFLOW"


def submit(order: Order, job: Job, left: Iterable[Part]) -> str:
    """Stages the code and submits the job; its id. Raises DataflowFailed, Conflict."""
    failures.check_bucket(order)
    with _pipeline(order, job, left) as (pipeline, _), failures.translated(order):
        try:
            return str(pipeline.run().job_id())
        except apiclient.DataflowJobAlreadyExistsError as exc:
            raise failures.already_running(str(exc), order) from exc


def described(order: Order, job: Job, left: Iterable[Part]) -> dict[str, Any]:
    """What would be submitted and staged; nobody is asked for anything."""
    with _pipeline(order, job, left, dry_run=True) as (pipeline, made):
        submitted = pipeline.run().job
        submitted.options.view_as(TestOptions).dry_run = False
        staged = _Staged(submitted)
        staged.create_job_description(submitted)
        request = json_format.MessageToDict(submitted.proto._pb)
        steps = [step.unique_name for step in submitted.proto_pipeline.components.transforms.values()]
    return {
        "request": f"projects.locations.jobs.create projects/{order.project}/locations/{order.region}",
        "job": request,
        "staged": staged.sizes,
        "code": list(made.files),
        "steps": [step for step in steps if step.count("/") == 0 and step],
    }


def client(order: Order) -> apiclient.DataflowApplicationClient:
    """Asks about the jobs of the order's project and region."""
    return apiclient.DataflowApplicationClient(options(order))


def options(order: Order, made: Package | None = None, **more: Any) -> PipelineOptions:
    """In Beam's words. Args: made: what the machines install; None where nothing is submitted."""
    one_process = "no_" if order.machine.processes == 1 else ""
    code = {"extra_packages": [str(made.wheel)], "requirements_file": str(made.requirements)} if made else {}
    return PipelineOptions(
        flags=[],
        runner="DataflowRunner",
        project=order.project,
        region=order.region,
        job_name=order.name,
        staging_location=order.staging,
        temp_location=order.staging,
        service_account_email=order.account,
        machine_type=order.machine.type,
        max_num_workers=order.workers,
        number_of_worker_harness_threads=THREADS,
        sdk_container_image=order.image,
        # Else the state of deploy/__main__.py is pickled, whose imports the machines lack.
        save_main_session=False,
        # The machines download what is pinned: by default all of it would be uploaded from here.
        requirements_cache="skip",
        experiments=[
            f"{one_process}use_multiple_sdk_containers",
            # Else a list of all that is installed here is staged.
            "disable_logging_submission_environment",
        ],
        **({"dataflow_endpoint": os.environ[ENDPOINT]} if os.environ.get(ENDPOINT) else {}),
        **code,
        **more,
    )


@contextmanager
def _pipeline(
    order: Order, job: Job, left: Iterable[Part], *, dry_run: bool = False
) -> Iterator[tuple[apache_beam.Pipeline, Package]]:
    labels = [f"family={job.model.family}", f"revision={job.model.revision}", "application=model-functions"]
    with tempfile.TemporaryDirectory(prefix="dataflow-") as folder:
        made = package.build(job, Path(folder))
        with failures.translated(order):
            wanted = options(order, made, labels=labels, dry_run=dry_run)
            pipeline = apache_beam.Pipeline(DataflowRunner(), wanted)
        # Without a fence, which is of one machine: the job's name keeps a second one away.
        build(pipeline, job, left, None)
        yield pipeline, made


class _Staged(apiclient.DataflowApplicationClient):
    """Describes a job as Beam's client does, and uploads nothing. Args: sizes: of what it would upload, in bytes."""

    def __init__(self, job: apiclient.Job) -> None:
        # Not the base class's, which logs in.
        self.google_cloud_options = job.google_cloud_options
        self.environment_version = "8"
        self.sizes: dict[str, int] = {}
        self._sdk_image_overrides: dict[str, str] = {}

    def _gcs_file_copy(self, from_path: str, to_path: str, sha256: str) -> None:
        self.sizes[to_path] = Path(from_path).stat().st_size

    def stage_file_with_retry(self, folder: str, name: str, stream: Any, *_: Any, **__: Any) -> None:
        self.sizes[f"{folder}/{name}"] = len(stream.read())
