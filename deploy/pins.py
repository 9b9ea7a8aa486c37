"""Which packages a family's function has: its pins, and what those bring."""

import re
from importlib.metadata import PackageNotFoundError, requires

from deploy.project import FUNCTIONS


def missing(family: str, packages: dict[str, str]) -> list[str]:
    """The pins that the function's requirements.txt lacks for these packages."""
    there = _closure(_pinned(family))
    return [f"{name}=={version}" for name, version in sorted(packages.items()) if _normal(name) not in there]


def advice(family: str, packages: dict[str, str]) -> str:
    """What the publisher must add before the function can load the model; empty when nothing."""
    pins = missing(family, packages)
    if not pins:
        return ""
    return (
        f"Add {' and '.join(pins)} to functions/{family}/requirements.txt, run make lock, and stage the function again."
    )


def _pinned(family: str) -> set[str]:
    path = FUNCTIONS / family / "requirements.txt"
    lines = path.read_text().splitlines() if path.is_file() else []
    return {_normal(line.partition("==")[0]) for line in lines if line.strip() and not line.startswith("#")}


def _closure(names: set[str]) -> set[str]:
    """The packages and all that they require, extras and other platforms included."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        try:
            needed = requires(name) or []
        except PackageNotFoundError:
            continue
        waiting += [_normal(match[0]) for line in needed if "extra ==" not in line and (match := _NAME.match(line))]
    return found


_NAME = re.compile(r"[A-Za-z0-9._-]+")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
