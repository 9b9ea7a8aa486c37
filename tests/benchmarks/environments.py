"""The contenders' own environments, compiled as Google Cloud's build compiles a function's."""

from collections.abc import Mapping
from compileall import compile_dir
from pathlib import Path

from deploy.environments import made
from tests.benchmarks.places import REQUIREMENTS


def environment(source: Path) -> Path:
    """Where the programs of a function's or a peer's requirements.txt are.

    Raises RuntimeError with the reason where they cannot be installed.
    """
    try:
        folder = made(source)
    except ValueError as exc:
        raise RuntimeError(str(exc)) from exc
    # What is compiled already is only looked at.
    compile_dir(folder / "lib", quiet=2)
    return folder / "bin"


def environment_with(source: Path, more: Mapping[str, str]) -> Path:
    """The same with further packages, versions by name. Raises RuntimeError as above."""
    lines = (source / "requirements.txt").read_text().splitlines()
    added = [f"{package}=={version}" for package, version in more.items()]
    folder = REQUIREMENTS / source.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "requirements.txt").write_text("\n".join([*lines, *(line for line in added if line not in lines)]) + "\n")
    return environment(folder)
