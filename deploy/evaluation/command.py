"""What ``python -m deploy evaluate`` does: from its arguments to an exit status."""

import argparse
import hashlib
import json
import sys
from contextlib import suppress
from dataclasses import replace
from typing import Any

from deploy import assignments, output, publisher
from deploy.batch import beam, planning
from deploy.batch.files import Found, files_at, joined
from deploy.batch.job import Job
from deploy.batch.pinned import PinnedModel
from deploy.evaluation import answers, labelled, limits, report, result
from deploy.evaluation.kinds import Kind
from deploy.evaluation.labelled import Labels
from deploy.evaluation.limits import Limit, Verdict
from deploy.evaluation.result import Result
from deploy.naming import split_model
from deploy.project import BUILD
from model_functions.artifact.signing import canonical
from model_functions.errors import ModelNotFound, ServingError
from model_functions.repository import Repository

MET, MISSED, NOT_MEASURED = 0, 1, 2


def run(args: argparse.Namespace) -> int:
    """A missed limit and a mistake of ours must never look alike to whoever reads the status."""
    try:
        return _evaluated(args)
    except (ServingError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return NOT_MEASURED


def _evaluated(args: argparse.Namespace) -> int:
    repository = publisher.open_repository()
    family, _ = split_model(repository, args.model)
    if (status := beam.run_in_its_own(family, args.arguments)) is not None:
        return status
    for option, value, least in (("workers", args.workers, 1), ("max-errors", args.max_errors, 0)):
        if value < least:
            raise ValueError(f"--{option} {value}: give at least {least}.")
    model = PinnedModel.at(repository, args.model, alias=args.alias, revision=args.revision)
    beam.enter()
    found = planning.found_inputs(args.data, _folder(args, model))
    job = _job(args, model, found)
    manifest = model.manifest()
    labels = labelled.read(job, found, manifest)
    if not job.parameters:  # which may have it answer otherwise
        labelled.check(labels, repository, manifest)
    asked = _limits(args, labels.kind)
    job = _placed(job, labels)
    against = None if args.against is None else _placed(replace(job, model=_other(repository, args)), labels)
    for one in filter(None, (job, against)):
        answers.run(one, found, args.runner, args.workers)
    measured = result.measured(labels, job, against)
    verdicts = _verdicts(asked, measured, args.max_errors)
    _tell(args, labels, measured, verdicts, _folder(args, model))
    return MET if all(verdict.met for verdict in verdicts) else MISSED


def _job(args: argparse.Namespace, model: PinnedModel, found: list[Found]) -> Job:
    folder = _folder(args, model)
    form = planning.form_of_inputs(found)
    job = Job(model, "", args.data, form, folder, data=args.column, parameters=assignments.parameters(args.set))
    return planning.with_inputs(job, found)


def _folder(args: argparse.Namespace, model: PinnedModel) -> str:
    return (args.output or str(BUILD / "evaluations" / model.family / model.name)).rstrip("/")


def _other(repository: Repository, args: argparse.Namespace) -> PinnedModel:
    """The revision of ``--against``, or the one that an alias of this name points at."""
    for place in ("alias", "revision"):
        with suppress(ModelNotFound):
            return PinnedModel.at(repository, args.model, **{place: args.against})
    raise ValueError(f'--against {args.against}: {args.model} has no revision and no alias "{args.against}".')


def _placed(job: Job, labels: Labels) -> Job:
    """The job with a folder for its answers: the same revision, rows and parameters have the same."""
    if labels.column is None:
        # Imported here: it comes with the engines.
        from deploy.evaluation.surprise import SurprisedModel

        job = replace(job, model=SurprisedModel(**vars(job.model)))
    asked = canonical([job.inputs, job.format, job.data, dict(job.parameters), labels.column is None])
    place = f"{job.model.revision}-{hashlib.sha256(asked).hexdigest()[:12]}"
    return replace(job, alias=job.model.revision, output=joined(job.output, "answers", place))


def _limits(args: argparse.Namespace, kind: Kind) -> list[Limit]:
    if args.max_drop and args.against is None:
        raise ValueError(f"--max-drop {args.max_drop[0]}: worse than what? Say --against.")
    options = {"min": args.min, "max": args.max, "max-drop": args.max_drop}
    return [limit for option, texts in options.items() for limit in limits.parsed(option, texts, kind)]


def _verdicts(asked: list[Limit], found: Result, most: int) -> list[Verdict]:
    before, now = found.compared or (None, found.now.scores)
    own = {limit: found.now.scores if limit.option != "max-drop" else now for limit in asked}
    told = [limits.check(limit, own[limit], before if limit.option == "max-drop" else None) for limit in asked]
    return [*told, limits.check_errors(len(found.now.errors), most)]


def _tell(args: argparse.Namespace, labels: Labels, found: Result, verdicts: list[Verdict], folder: str) -> None:
    document: dict[str, Any] = {
        **result.document(labels, found),
        "limits": [verdict._asdict() for verdict in verdicts],
        "met": all(verdict.met for verdict in verdicts),
    }
    files = files_at(folder)
    files.write(joined(folder, "evaluation.json"), json.dumps(document, ensure_ascii=False, indent=1).encode())
    lines = [json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in found.changed]
    files.write(joined(folder, "changed.jsonl"), "".join(lines).encode())
    model = args.model
    files.write(joined(folder, "report.html"), report.page(model, labels, found, verdicts).encode())
    output.tell(args, document, f"{report.text(model, labels, found, verdicts)}\nreport    {folder}/report.html")
