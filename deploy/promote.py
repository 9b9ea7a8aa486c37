"""Point an alias at a published revision."""

import argparse

from deploy import output, publisher
from deploy.naming import split_model
from model_functions.errors import Conflict
from model_functions.names import is_model_name

EXAMPLE = "python -m deploy promote wine_model --revision 4cd74ce767bd --alias prod"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="NAME or FAMILY/NAME")
    parser.add_argument("--revision", required=True, help="python -m deploy models lists them")
    parser.add_argument("--alias", default="prod", help="default: prod")
    parser.add_argument(
        "--replacing", metavar="REVISION", help="only while the alias points at this one, as when both were compared"
    )
    output.add_json_argument(parser)


def run(args: argparse.Namespace) -> None:
    repository = publisher.open_repository()
    family, name = split_model(repository, args.model)
    if not is_model_name(args.alias):
        raise ValueError(f'"{args.alias}" is no alias\'s name.')
    manifest = repository.manifest(family, name, args.revision)
    # Asked before the pointer is read: whoever moves it in between is found out when it is moved.
    seen = None if args.replacing is None else repository.generation(family, name, args.alias)
    if args.replacing is not None and (now := repository.resolve(family, name, args.alias).revision) != args.replacing:
        raise Conflict(
            f'"{args.alias}" of {family}/{name} points at revision {now}, and {args.replacing} was to be replaced. '
            "Compare with the one that is served now."
        )
    pointer = repository.point(manifest, args.alias, publisher.signing_key(), seen)
    output.tell_pointer(args, pointer)
