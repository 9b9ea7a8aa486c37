"""Runs a job on this machine: Beam's runner and its worker processes, and who watches them."""

import logging
import time
from typing import Any

import apache_beam
from apache_beam.options.pipeline_options import PipelineOptions

from deploy.batch import planning
from deploy.batch.fence import Fence
from deploy.batch.files import Files
from deploy.batch.job import Job
from deploy.batch.pipeline import Cores, build
from deploy.batch.progress import Watch
from deploy.batch.summary import Summary


class JobFailed(ValueError):
    """No row's fault: the parts that are done stay, and the job goes on when it is run again."""


def run(files: Files, job: Job, runner: str, workers: int) -> Summary:
    """Raises JobFailed, Conflict while another one writes to the same output."""
    logging.getLogger("apache_beam").setLevel(logging.WARNING)
    parts = planning.read_parts(files, job)
    began = time.monotonic()
    with Fence.raised(job.output) as fence:
        before = planning.done(files, job)
        left = [part for part in parts if part.number not in before]
        if left:
            with Watch(files, job, parts, before):
                _run(job, left, fence, _options(runner, workers), workers)
        entries = planning.done(files, job)
    if len(entries) != len(parts):
        raise JobFailed(f"{len(parts) - len(entries)} of {len(parts)} parts are not done. Run the same command again.")
    return Summary.of(job, entries, len(before), round(time.monotonic() - began, 3))


def _run(job: Job, left: list[Any], fence: Fence, options: PipelineOptions, workers: int) -> None:
    pipeline = apache_beam.Pipeline(options=options)
    build(pipeline, job, left, fence, Cores(workers))
    try:
        pipeline.run().wait_until_finish()
    except Exception as exc:
        raise JobFailed(f"The job stopped: {_reason(exc)} What is done stays; run the same command again.") from exc


def _reason(exc: BaseException) -> str:
    """The last line of what a worker told, without where in the pipeline it was."""
    text = str(exc).strip().replace("\\n", "\n").splitlines() or [type(exc).__name__]
    lines = [line for line in text if line.strip() and not line.startswith((" ", "Traceback", "During", "The above"))]
    return (lines or text)[-1].partition(" [while running")[0].strip()


def _options(runner: str, workers: int) -> PipelineOptions:
    flags = [f"--runner={runner}", "--default_sdk_harness_log_level=WARNING"]
    if runner == "DirectRunner":
        mode = "multi_processing" if workers > 1 else "in_memory"
        flags += [f"--direct_running_mode={mode}", f"--direct_num_workers={workers}"]
    return PipelineOptions(flags)
