"""Reads the word lists in words/."""

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "words"


@cache
def lines(name: str) -> tuple[str, ...]:
    """The list's entries in the order of the file; empty lines and comments (``#``) do not count."""
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    stripped = (line.strip() for line in text.splitlines())
    return tuple(line for line in stripped if line and not line.startswith("#"))


@cache
def names(name: str) -> tuple[str, ...]:
    """The entries of a list that has several on a line, between commas; each once."""
    entries = (entry.strip() for line in lines(name) for entry in line.split(","))
    return tuple(dict.fromkeys(entry for entry in entries if entry))


@cache
def sections(name: str) -> dict[str, tuple[str, ...]]:
    """The lines below each ``[heading]`` of a list."""
    found: dict[str, list[str]] = {}
    for line in lines(name):
        if line.startswith("[") and line.endswith("]"):
            found[line[1:-1]] = []
        else:
            next(reversed(found.values())).append(line)
    return {heading: tuple(entries) for heading, entries in found.items()}
