"""What things may be called, and what the Cloud Function of a family is called."""

import re

_FAMILY = re.compile(r"[a-z][a-z0-9_]{0,47}")
_MODEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

#: The one rule, for messages.
MODEL_NAME_RULE = "at most 64 of a-z, 0-9, dot, dash and underscore, the first a letter or a digit"


def is_family(name: str) -> bool:
    return _FAMILY.fullmatch(name) is not None


def is_model_name(name: str) -> bool:
    """Whether a model, an alias or a revision may be called so; nothing else ever becomes part of a path."""
    return _MODEL.fullmatch(name) is not None and ".." not in name


def function_name(family: str) -> str:
    """The Cloud Function's name: the family's, with the hyphens that Cloud Run wants."""
    return family.replace("_", "-")
