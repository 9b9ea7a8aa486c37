"""Bootstrap: make in a Google Cloud project all that functions stand on, and set right what differs.

APIs, the bucket of models, an account for each function and for publishing, releasing, building and warming up,
secrets, the repository of images, who may what, and with "github" in deploy.yaml the trigger of Cloud Build. What is
there and right stays as it is: a second run changes nothing, and one after a failure goes on where that stopped.
"""

import argparse
import shlex
import sys
from dataclasses import asdict
from typing import Any

from deploy import output
from deploy.cloud import configuration
from deploy.cloud.configuration import Configuration
from deploy.cloud.foundations import stages
from deploy.cloud.making import Outcome, make
from deploy.cloud.sdk import Gcloud, spelled

EXAMPLE = "python -m deploy bootstrap --project acme-models --dry-run"

#: Things that are named of what is not done.
NAMED = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    configuration.add_arguments(parser)
    output.add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    wanted = Configuration.of(args)
    gcloud = Gcloud(wanted.project, dry_run=args.dry_run)
    outcome = make(gcloud, stages(wanted), _telling(args))
    again = shlex.join(["python", "-m", "deploy", *args.arguments])
    if outcome.failed:
        if args.json:
            output.tell(args, _record(wanted, outcome), "")
        print(f"error: {_failure(outcome, again)}", file=sys.stderr)
        return 1
    if not args.dry_run:
        output.tell(args, _record(wanted, outcome), _success(wanted, outcome))
    return 0


def _telling(args: argparse.Namespace) -> Any:
    """What is told of each step: nothing in a dry run, which prints the commands."""
    out = sys.stderr if args.json else sys.stdout

    def tell(line: str) -> None:
        if not args.dry_run:
            print(line, file=out, flush=True)

    return tell


def _record(wanted: Configuration, outcome: Outcome) -> dict[str, Any]:
    return {
        "project": wanted.project,
        "changed": [asdict(step) | {"command": spelled(step.command)} for step in outcome.done],
        "failed": [
            {"what": what, "kind": error.kind, "reason": error.reason, "command": error.command}
            for what, error in outcome.failed
        ],
        "left": outcome.left,
        "notes": outcome.notes,
    }


def _notes(outcome: Outcome) -> list[str]:
    return [f"note: {note}" for note in outcome.notes]


def _success(wanted: Configuration, outcome: Outcome) -> str:
    notes = _notes(outcome)
    if not outcome.done:
        return "\n".join([*notes, f"{wanted.project} has all that it needs: nothing to do."])
    return "\n".join(
        [*notes, f"{wanted.project} has all that it needs. What is left for you says: python -m deploy doctor"]
    )


def _failure(outcome: Outcome, again: str) -> str:
    reasons: dict[str, list[str]] = {}
    for what, error in outcome.failed:
        # One thing in the way of many is told once, with the first of their commands.
        reasons.setdefault(f"{error.kind} {error.reason}", []).append(what)
    first = {f"{error.kind} {error.reason}": error for _, error in reversed(outcome.failed)}
    told = [f"{_some(whats)} could not be made.\n  {first[reason]}" for reason, whats in reasons.items()]
    return "\n".join(
        [
            *told,
            *_notes(outcome),
            f"Done, and stays: {_some([step.what for step in outcome.done])}.",
            f"Not begun: {_some(outcome.left)}.",
            f"The same command goes on where this stopped:\n  {again}",
        ]
    )


def _some(whats: list[str]) -> str:
    more = len(whats) - NAMED
    return ", ".join(whats[:NAMED]) + (f" and {more} more" if more > 0 else "") or "nothing"
