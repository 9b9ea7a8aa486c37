"""Which model a publisher means by a name."""

import argparse

from model_functions.errors import ModelNotFound
from model_functions.repository import Repository


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A model, and which of its revisions."""
    parser.add_argument("model", help="NAME or FAMILY/NAME")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--alias", default="prod", help="the revision that it points at now (default: prod)")
    which.add_argument("--revision", help="this revision, whether an alias points at it or not")


def split_model(repository: Repository, text: str) -> tuple[str, str]:
    """(family, name) of ``NAME`` or ``FAMILY/NAME``. Raises ModelNotFound with the names there are."""
    names = repository.names_of_all()
    family, slash, name = text.rpartition("/")
    found = [pair for pair in names if pair[1] == name and (not slash or pair[0] == family)]
    if len(found) == 1:
        return found[0]
    known = ", ".join("/".join(pair) for pair in found or names) or "none is published yet"
    raise ModelNotFound(f'"{text}" is not the name of one model. The models in the store: {known}.')
