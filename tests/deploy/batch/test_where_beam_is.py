"""What needs Beam has a process of its own, and nothing else ever imports it."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import locked
from deploy.__main__ import VERBS
from deploy.batch import beam
from deploy.environments import pins
from deploy.project import BATCH, FUNCTIONS, ROOT
from tests.test_architecture import imports

BEAM = ("apache_beam", "pyarrow")
#: What runs where Beam is.
OWNERS = {
    "deploy/batch/local.py",
    "deploy/batch/model_handler.py",
    "deploy/batch/pipeline.py",
    "deploy/batch/readers/parquet.py",
    "deploy/batch/dataflow/submission.py",
    "deploy/batch/worker.py",
}


def test_few_modules_import_beam() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ("shared", "deploy", "functions")
        for path in (ROOT / folder).rglob("*.py")
        if any(name.split(".")[0] in BEAM for name in imports(path))
    }
    assert found == OWNERS


def test_no_verb_imports_it_before_it_runs() -> None:
    code = (
        f"import sys, importlib; [importlib.import_module('deploy.' + verb) for verb in {VERBS!r}]; print(*sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=_environment(), capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert not {name.split(".")[0] for name in told.stdout.split()} & set(BEAM)


def test_no_function_pins_it() -> None:
    ours = locked.packages(locked.FOR_BATCH).keys()
    assert "apache-beam" in ours
    for path in FUNCTIONS.glob("*/requirements.txt"):
        assert not {"apache-beam", "pyarrow"} & pins(path).keys(), path


def test_it_is_locked_as_it_is_pinned_beside_what_is_there() -> None:
    mine, there = locked.packages(locked.FOR_BATCH), locked.packages(locked.DEVELOPMENT)
    assert {name: mine[name].version for name in pins(BATCH / "requirements.txt")} == pins(BATCH / "requirements.txt")
    assert not mine.keys() & there.keys()
    assert all(package.digests for package in mine.values())


def test_dill_is_ours() -> None:
    """Beam's extra of that name would bring an older one, and models would not load."""
    assert "dill" not in locked.packages(locked.FOR_BATCH)
    assert (
        locked.packages(locked.DEVELOPMENT)["dill"].version == pins(FUNCTIONS / "tabular" / "requirements.txt")["dill"]
    )


@pytest.mark.slow
def test_what_needs_beam() -> None:
    folder = Path(__file__).with_name("with_beam")
    names = [path for path in folder.glob("test_*.py") if ast.parse(path.read_text()).body]
    # Beam and what it brings warn of each other.
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-W", "ignore", "-o", "filterwarnings=", *map(str, names)]
    done = subprocess.run(command, cwd=ROOT, env=_environment(str(beam.packages())), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout


def _environment(*paths: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "shared"), *paths])}
