"""Runs a job on this machine: Beam's runner and its worker processes, and who watches them."""

import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue

import apache_beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner.fn_runner import ExtendedProvisionInfo, FnApiRunner
from apache_beam.runners.portability.portable_runner import JobServiceHandle
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from deploy.batch import planning, worker
from deploy.batch.fence import Fence
from deploy.batch.files import Files
from deploy.batch.job import Job
from deploy.batch.parts import Part
from deploy.batch.pipeline import build
from deploy.batch.progress import Watch
from deploy.batch.summary import Summary


class JobFailed(ValueError):
    """No row's fault: the parts that are done stay, and the job goes on when it is run again."""


def run(files: Files, job: Job, runner: str, workers: int) -> Summary:
    """Raises JobFailed, Conflict while another one writes to the same output."""
    parts = planning.read_parts(files, job)
    began = time.monotonic()
    with Fence.raised(job.output) as fence:
        files.sweep(job.output)
        before = planning.done(files, job)
        left = [part for part in parts if part.number not in before]
        if left:
            with Watch(files, job, parts, before):
                _run(job, left, fence, runner, workers)
        entries = planning.done(files, job)
    if len(entries) != len(parts):
        raise JobFailed(f"{len(parts) - len(entries)} of {len(parts)} parts are not done. Run the same command again.")
    return Summary.of(job, entries, len(before), round(time.monotonic() - began, 3))


def _run(job: Job, left: list[Part], fence: Fence, runner: str, workers: int) -> None:
    os.environ[worker.WORKERS] = str(workers)
    options = PipelineOptions(direct_num_workers=workers)
    pipeline = apache_beam.Pipeline(_direct_runner() if runner == "DirectRunner" else runner, options)
    build(pipeline, job, left, fence)
    ended: SimpleQueue[BaseException | None] = SimpleQueue()

    def work() -> None:
        try:
            pipeline.run().wait_until_finish()
        except BaseException as exc:  # noqa: BLE001 - told to who waits
            ended.put(exc)
        else:
            ended.put(None)

    # In a thread: the runner waits for a worker that is gone, and so must nobody else.
    threading.Thread(target=work, name="job", daemon=True).start()
    with _told_of_dead_workers(ended):
        error = ended.get()
    if error is not None:
        why = _reason(error)
        raise JobFailed(f"The job stopped: {why} What is done stays; run the same command again to go on.") from error


@contextmanager
def _told_of_dead_workers(ended: SimpleQueue[BaseException | None]) -> Iterator[None]:
    """Beam's thread that waits for a worker process raises when that fails, and nobody is there to hear it."""

    def hear(failed: threading.ExceptHookArgs) -> None:
        code = re.search(r"exited with return code (-?\d+)", str(failed.exc_value))
        if code:
            how = f"was ended by signal {-int(code[1])}" if int(code[1]) < 0 else f"ended with status {code[1]}"
            ended.put(JobFailed(f"a worker process {how}. If it was out of memory, take fewer with --workers."))

    before, threading.excepthook = threading.excepthook, hear
    try:
        yield
    finally:
        threading.excepthook = before


def _reason(exc: BaseException) -> str:
    """The last line of what a worker told, without where in the pipeline it was."""
    text = str(exc).strip().replace("\\n", "\n").splitlines() or [type(exc).__name__]
    lines = [line for line in text if line.strip() and not line.startswith((" ", "Traceback", "During", "The above"))]
    return (lines or text)[-1].partition(" [while running")[0].strip()


def _direct_runner() -> FnApiRunner:
    """Beam's local runner with our worker processes. By its name alone Beam downloads another program and runs that,
    if it can.
    """
    options = JobServiceHandle.encode_pipeline_options({"default_sdk_harness_log_level": "ERROR"})
    return FnApiRunner(
        default_environment=SubprocessSDKEnvironment.from_command_string(worker.command()),
        provision_info=ExtendedProvisionInfo(beam_provision_api_pb2.ProvisionInfo(pipeline_options=options)),
    )
