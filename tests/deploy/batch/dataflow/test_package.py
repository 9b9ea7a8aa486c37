"""What is staged for a job's machines: all of our code that they need, and packages by their digests."""

import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.batch.dataflow import package
from deploy.batch.job import Job


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "made"
    made.mkdir()
    return made


def test_the_wheel_has_what_the_pipeline_imports_and_no_more(job: Job, folder: Path) -> None:
    made = package.build(job, folder)
    files = set(zipfile.ZipFile(made.wheel).namelist())
    assert {"deploy/batch/pipeline.py", "deploy/batch/readers/json_lines.py", "deploy/__init__.py"} <= files
    assert {"model_functions/families/tabular.py", "model_functions/store/bucket.py"} <= files
    assert "model_functions/families/translation.py" not in files
    assert not [name for name in files if name.startswith(("deploy/cloud", "model_functions/http", "deploy/trust"))]
    assert not {"deploy/batch/command.py", "deploy/release.py", "deploy/batch/readers/parquet.py"} & files


def test_the_wheel_is_installed_by_pip_and_imported_alone(job: Job, folder: Path) -> None:
    made = package.build(job, folder)
    place = folder / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--target"]
    subprocess.run([*pip, str(place), str(made.wheel)], check=True, cwd=folder)
    names = "deploy.batch.predictor, deploy.batch.pinned, deploy.batch.writing, deploy.batch.readers.json_lines"
    script = f"import {names}; from deploy.project import wrapper_class; print(wrapper_class('tabular').__name__)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env={"PYTHONPATH": str(place)}, capture_output=True, text=True
    )
    assert done.stdout == "TabularWrapper\n", done.stderr


def test_the_same_code_is_the_same_wheel(job: Job, folder: Path) -> None:
    first = package.build(job, folder)
    text = first.wheel.read_bytes()
    assert package.build(job, folder).wheel.read_bytes() == text
    other = package.build(replace(job, format="csv"), folder)
    assert other.wheel.name != first.wheel.name, "pip would leave alone what is installed already"


def test_packages_come_by_their_digests_and_without_what_is_for_http(job: Job, folder: Path) -> None:
    text = package.build(job, folder).requirements.read_text()
    entries = re.findall(r"^([a-z0-9-]+)==\S+ \\\n(    --hash=sha256:[0-9a-f]{64})", text, re.MULTILINE)
    names = [name for name, _ in entries]
    assert {"scikit-learn", "numpy", "dill", "cryptography", "google-cloud-storage"} <= set(names)
    assert not {"functions-framework", "flask", "gunicorn", "httptools"} & set(names)
    assert len(re.findall(r"^[a-z]", text, re.MULTILINE)) == len(names)
