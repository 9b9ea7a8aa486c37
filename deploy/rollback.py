"""Point an alias back at the revision it pointed at before."""

import argparse

from deploy import output, publisher
from deploy.naming import split_model

EXAMPLE = "python -m deploy rollback wine_model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="NAME or FAMILY/NAME")
    parser.add_argument("--alias", default="prod", help="default: prod")
    output.add_json_argument(parser)


def run(args: argparse.Namespace) -> None:
    repository = publisher.open_repository()
    family, name = split_model(repository, args.model)
    pointer = repository.roll_back(family, name, args.alias, publisher.signing_key())
    output.tell_pointer(args, pointer)
