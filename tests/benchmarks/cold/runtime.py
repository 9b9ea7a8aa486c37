"""What a lane's process weighs without a model: all that it has imported after a prediction, and nothing else."""

import shutil
from dataclasses import replace
from pathlib import Path

from tests.benchmarks.functions import framework
from tests.benchmarks.launch import Launch, started
from tests.benchmarks.memory import watched
from tests.benchmarks.places import FUNCTIONS, LOGS

#: Serves as the function does, and writes down what has been imported.
LISTING = """
import os
import pathlib
import sys

import served

def predict(request):
    response = served.predict(request)
    pathlib.Path(os.environ["MODULES_FILE"]).write_text("\\n".join(sys.modules))
    return response
"""

#: Imports that in its first request, as the function does.
IMPORTING = """
import contextlib
import importlib
import os
import pathlib

def predict(request):
    for name in pathlib.Path(os.environ["MODULES_FILE"]).read_text().split():
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    return "imported"
"""


def runtime_megabytes(launch: Launch, function: Path) -> float:
    """The peak of a process that imports it all.

    Args:
        launch: the contender's own.
        function: its staged folder.
    """
    folder = FUNCTIONS / f"runtime_{function.name}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(function, folder)
    (folder / "main.py").rename(folder / "served.py")
    modules = {"MODULES_FILE": str(folder / "modules.txt")}
    programs = Path(launch.command[0]).parent
    run = replace(launch, command=framework(folder / "main.py", programs), environment=launch.environment | modules)
    (folder / "main.py").write_text(LISTING)
    _peak(run)
    (folder / "main.py").write_text(IMPORTING)
    return _peak(run)


def _peak(launch: Launch) -> float:
    with started(launch, LOGS / "runtime.log") as contender, watched(contender.pid) as peak:
        contender.first_answer()
    return peak.megabytes
