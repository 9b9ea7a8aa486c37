"""Runs a job on Dataflow: submits it, or finds the one that was submitted, and follows it to its end.

Ctrl-C leaves the job running, as --no-wait does; the same command follows it again.
"""

import argparse
import json
import shlex
import sys
from dataclasses import replace

from deploy.batch import planning
from deploy.batch.dataflow import failures, submission
from deploy.batch.dataflow.failures import DataflowFailed
from deploy.batch.dataflow.following import Followed
from deploy.batch.dataflow.order import Order
from deploy.batch.dataflow.record import Record
from deploy.batch.files import Files, Found, joined
from deploy.batch.job import Job
from deploy.batch.parts import Part
from deploy.batch.summary import Summary
from model_functions.errors import Conflict


def run(args: argparse.Namespace, files: Files, job: Job, found: list[Found], earlier: Job | None) -> Summary | None:
    """What came of the job; None where it goes on, or was only printed.

    Args:
        found: the job's inputs.
        earlier: the job that the output has, which goes on.

    Raises DataflowFailed, Conflict, ValueError.
    """
    if args.dry_run:
        _print(args, files, job, found, earlier)
        return None
    failures.check_credentials()
    known = _submitted_before(args, files, earlier or job)
    followed = known if known is not None and known.is_active else None
    if earlier is None:
        if followed is not None:
            record = followed.record
            raise Conflict(
                f"Dataflow's job {record.id} still writes to {job.output}. Wait for it, or end it: {record.cancelling}"
            )
        print(f"counting the rows of {job.input} …", file=sys.stderr)
        planning.begin(files, job, found)
    job = earlier or job
    parts = planning.read_parts(files, job)
    before = planning.done(files, job)
    left = [part for part in parts if part.number not in before]
    if followed is None and left:
        followed = _submitted(args, files, job, left)
    if followed is not None and (args.no_wait or not _followed_to_the_end(args, files, job, followed)):
        _tell_left_alone(args, followed.record)
        return None
    told = _summed_up(args, files, job, len(parts), len(before), followed or known)
    Record.forget(files, job)
    return told


def _print(args: argparse.Namespace, files: Files, job: Job, found: list[Found], earlier: Job | None) -> None:
    if earlier is not None:
        job, done = earlier, planning.done(files, earlier)
        left = [part for part in planning.read_parts(files, job) if part.number not in done]
    else:
        left = list(planning.divide(job, found))
        planning.check_columns(job, job.model.manifest(), left)
    told = submission.described(Order.of(args, job, len(left)), job, left)
    print(json.dumps(told | {"rows": sum(part.rows for part in left)}, indent=2, ensure_ascii=False))


def _submitted_before(args: argparse.Namespace, files: Files, job: Job) -> Followed | None:
    """The job of Dataflow that writes to the output, or wrote there while nobody followed it."""
    record = Record.read(files, job)
    if record is None:
        return None
    followed = _followed(args, record, job)
    with failures.translated(_order(args, record, job)):
        followed.look()
        if not followed.is_active and followed.state != "DONE":
            why = "".join(f"\n  {error}" for error in followed.errors()[-3:])
            told = f"Dataflow's job {record.id} is {followed.state.lower()}; another one does what is left.{why}"
            print(told, file=sys.stderr)
    return followed


def _submitted(args: argparse.Namespace, files: Files, job: Job, left: list[Part]) -> Followed:
    order = Order.of(args, job, len(left))
    print(f"submitting {len(left):,} parts to Dataflow as {order.name}, on {order.told} …", file=sys.stderr)
    record = Record(submission.submit(order, job, left), order.project, order.region)
    record.write(files, job)
    print(record.console, file=sys.stderr)
    return _followed(args, record, job, sum(part.rows for part in left))


def _followed_to_the_end(args: argparse.Namespace, files: Files, job: Job, followed: Followed) -> bool:
    """Whether it has ended; False where somebody stopped following it. Raises DataflowFailed where it ended badly."""
    record = followed.record
    try:
        with failures.translated(_order(args, record, job)):
            state = followed.to_the_end()
            errors = followed.errors() if state != "DONE" else []
    except KeyboardInterrupt:
        return False
    if state == "DONE":
        return True
    Record.forget(files, job)
    done, parts = len(planning.done(files, job)), len(planning.read_parts(files, job))
    why = "".join(f"\n  {error}" for error in errors[-3:]) or " It gave no reason."
    raise DataflowFailed(
        f"Dataflow's job {record.id} is {state.lower()}.{why}\n"
        f"{done:,} of {parts:,} parts are done, and stay. Its log: {record.console}\n"
        f"To go on with the others: {_again(args)}"
    )


def _summed_up(
    args: argparse.Namespace, files: Files, job: Job, parts: int, before: int, followed: Followed | None
) -> Summary:
    entries = planning.done(files, job)
    if len(entries) != parts:
        raise DataflowFailed(f"{parts - len(entries):,} of {parts:,} parts are not done. To do them: {_again(args)}")
    for name in list(files.names(joined(job.output, "_job", "staging"))):
        files.remove(name)
    return Summary.of(job, entries, before, followed.seconds if followed else 0.0)


def _tell_left_alone(args: argparse.Namespace, record: Record) -> None:
    print(
        f"Dataflow's job {record.id} goes on without this command: {record.console}\n"
        f"To follow it, and for its summary: {_again(args)}\nTo end it: {record.cancelling}"
    )


def _followed(args: argparse.Namespace, record: Record, job: Job, rows: int = 0) -> Followed:
    return Followed(submission.client(_order(args, record, job)), record, rows)


def _order(args: argparse.Namespace, record: Record, job: Job) -> Order:
    """Where the job runs that was submitted, whatever the flags say by now."""
    return replace(Order.of(args, job, 1), project=record.project, region=record.region)


def _again(args: argparse.Namespace) -> str:
    return "python -m deploy " + shlex.join(word for word in args.arguments if word not in ("--again", "--no-wait"))
