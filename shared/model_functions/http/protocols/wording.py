"""Errors in the words of a protocol, where they are others than ours."""

import re
from collections.abc import Mapping


def in_words(text: str, data: str, called: Mapping[str, str]) -> str:
    """A message or a path.

    Args:
        data: what ``data`` is called.
        called: what parameters are called.
    """
    quoted = {"data": data} | dict(called)
    text = re.sub(r'"(\w+)"', lambda found: f'"{quoted.get(found[1], found[1])}"', text)
    # "This data" is the English word.
    text = re.sub(r"(?<!this )\bdata(?=$|[\[.: ])", data, text, count=1)
    name = text.removeprefix("parameters.")
    return called.get(name, name)
