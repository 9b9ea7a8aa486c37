"""What ``python -m deploy batch`` does: from its arguments to a finished job."""

import argparse
import sys

from deploy import assignments, output, publisher
from deploy.batch import beam, planning, report, worker
from deploy.batch.dataflow import arguments, record
from deploy.batch.files import Files, Found, files_at
from deploy.batch.job import Job
from deploy.batch.pinned import PinnedModel
from deploy.batch.summary import Summary
from deploy.naming import split_model

#: Rows of a part: enough that a part's files are no burden, few enough that little is lost when a job is stopped.
ROWS, ROWS_OF_FILES = 1000, 100


def run(args: argparse.Namespace) -> int:
    repository = publisher.open_repository()
    family, _ = split_model(repository, args.model)
    if (status := beam.run_in_its_own(family, args.arguments)) is not None:
        return status
    arguments.check(args)
    found = _found(args)
    job = asked(args, PinnedModel.at(repository, args.model, alias=args.alias, revision=args.revision), found)
    files = files_at(job.output)
    earlier = None if args.again else planning.begun(files, job)
    if earlier is not None and (told := Summary.read(files, earlier)) is not None:
        return _tell(args, told, f"{earlier.output} is finished already. --again runs it again.")
    return _run(args, files, job, found, earlier)


def _found(args: argparse.Namespace) -> list[Found]:
    """The inputs. Raises ValueError, FileNotFoundError."""
    if args.workers < 1 or (args.rows or 1) < 1:
        raise ValueError(f"--workers {args.workers} --rows {args.rows}: give at least 1.")
    return planning.found_inputs(args.input, args.output)


def asked(args: argparse.Namespace, model: PinnedModel, found: list[Found]) -> Job:
    """The job that the arguments mean. Raises ValueError."""
    form = args.format or planning.form_of_inputs(found)
    few = form in ("documents", "images")
    job = Job(
        model=model,
        alias=args.revision or args.alias,
        input=args.input,
        format=form,
        output=args.output.rstrip("/"),
        data=args.data,
        parameters=assignments.parameters(args.set),
        rows=args.rows or (ROWS_OF_FILES if few else ROWS),
    )
    return planning.with_inputs(job, found)


def _run(args: argparse.Namespace, files: Files, job: Job, found: list[Found], earlier: Job | None) -> int:
    beam.enter()
    run = _run_on_dataflow if args.runner == arguments.RUNNER else _run_here
    told = run(args, files, job, found, earlier)
    if told is None:
        return 0
    job = earlier or job
    files.write(job.report, report.page(told).encode())
    told.write(files, job)
    return _tell(args, told, "")


def _run_here(args: argparse.Namespace, files: Files, job: Job, found: list[Found], earlier: Job | None) -> Summary:
    record.check_alone(files, job)
    if earlier is None:
        print(f"counting the rows of {job.input} …", file=sys.stderr)
        planning.begin(files, job, found)
    worker.be_quiet()
    # Imported here: Beam takes seconds, which who is refused need not wait.
    from deploy.batch import local

    return local.run(files, earlier or job, args.runner, args.workers)


def _run_on_dataflow(
    args: argparse.Namespace, files: Files, job: Job, found: list[Found], earlier: Job | None
) -> Summary | None:
    """None where the job goes on without this command, or was only printed."""
    worker.be_quiet()
    from deploy.batch.dataflow import command

    return command.run(args, files, job, found, earlier)


def _tell(args: argparse.Namespace, told: Summary, note: str) -> int:
    output.tell(args, told.document(), "\n".join(filter(None, [note, told.table()])))
    return 0 if told.counts.rows or not told.counts.failed else 1
