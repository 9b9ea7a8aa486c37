"""List the models in the store: their aliases and revisions."""

import argparse
from typing import Any

from deploy import output, publisher
from model_functions.repository import Repository

EXAMPLE = "python -m deploy models --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    output.add_json_argument(parser)


def run(args: argparse.Namespace) -> None:
    repository = publisher.open_repository()
    rows = [_row(repository, family, name) for family, name in repository.names_of_all()]
    lines = [
        f"{row['family']}/{row['name']}: "
        + "".join(f"{alias} = {revision}; " for alias, revision in row["aliases"].items())
        + f"revisions {', '.join(row['revisions'])}"
        for row in rows
    ]
    output.tell(args, rows, "\n".join(lines) or "No model is published yet. python -m deploy publish adds one.")


def _row(repository: Repository, family: str, name: str) -> dict[str, Any]:
    return {
        "family": family,
        "name": name,
        "aliases": {pointer.alias: pointer.revision for pointer in repository.aliases(family, name)},
        "revisions": repository.revisions(family, name),
    }
