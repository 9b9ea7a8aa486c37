"""The contenders' own environments, compiled as Google Cloud's build compiles a function's."""

from compileall import compile_dir
from pathlib import Path

from deploy.environments import made


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
