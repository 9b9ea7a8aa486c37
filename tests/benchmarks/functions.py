"""Our functions as the platform runs them: staged, compiled, in their own environment, by functions-framework."""

from compileall import compile_dir
from pathlib import Path

from deploy import project
from deploy.stage import stage
from tests.benchmarks.environments import environment
from tests.benchmarks.places import FUNCTIONS


def framework(main: Path, programs: Path, target: str = "predict") -> list[str]:
    """The real functions-framework over a function."""
    program = str(programs / "functions-framework")
    return [program, "--target", target, "--source", str(main), "--host", "127.0.0.1", "--port", "{port}"]


def programs(family: str) -> Path:
    """Those that the function runs on: what is staged has the same packages, but may name a build of torch that is not
    to be had everywhere.
    """
    return environment(project.FUNCTIONS / family)


def stage_once(family: str) -> Path:
    """The staged function, compiled as Google Cloud's build does; no key of this laptop is made or trusted."""
    if family not in _staged:
        _staged[family] = stage(family, release=True, build=FUNCTIONS)
        compile_dir(_staged[family], quiet=1)
    return _staged[family]


_staged: dict[str, Path] = {}
