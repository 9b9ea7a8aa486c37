"""Point an alias at a published revision."""

import argparse

from deploy import output, publisher
from deploy.naming import split_model
from model_functions.names import is_model_name

EXAMPLE = "python -m deploy promote wine_model --revision 4cd74ce767bd --alias prod"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="NAME or FAMILY/NAME")
    parser.add_argument("--revision", required=True, help="python -m deploy models lists them")
    parser.add_argument("--alias", default="prod", help="default: prod")
    output.add_json_argument(parser)


def run(args: argparse.Namespace) -> None:
    repository = publisher.open_repository()
    family, name = split_model(repository, args.model)
    if not is_model_name(args.alias):
        raise ValueError(f'"{args.alias}" is no alias\'s name.')
    manifest = repository.manifest(family, name, args.revision)
    pointer = repository.point(manifest, args.alias, publisher.signing_key())
    output.tell_pointer(args, pointer)
