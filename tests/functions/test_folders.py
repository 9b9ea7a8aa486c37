"""Each function's folder: three small files, and two more where it wants them."""

from pathlib import Path

import pytest
import yaml

from deploy.environments import pins
from model_functions.settings import Settings, uses_asgi

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "functions").glob("*/main.py"))

#: What a family runs on in an environment of its own, because the development environment does without it.
APART = {"tensorflow": {"tensorflow-cpu", "keras", "h5py"}}

folders = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


@folders
def test_holds_three_files_and_at_most_two_more(folder: Path) -> None:
    names = {path.name for path in folder.iterdir() if path.name != "__pycache__"}
    assert names - {"run.yaml", "warmup.yaml"} == {"main.py", "requirements.txt", "flags.yaml"}


@folders
def test_main_decides_nothing(folder: Path) -> None:
    lines = (folder / "main.py").read_text().splitlines()
    assert len(lines) <= 8
    assert lines[-1].startswith("predict = ")


@folders
def test_pins_are_exact_flat_and_those_of_the_development_environment(folder: Path) -> None:
    environment = pins(ROOT / "requirements.txt")
    found = pins(folder / "requirements.txt")
    assert "functions-framework" in found
    shared = {package: version for package, version in found.items() if package in environment}
    assert shared.items() <= environment.items()
    assert found.keys() - environment.keys() == APART.get(folder.name, set())


@folders
def test_threads_are_as_many_as_admitted_requests(folder: Path) -> None:
    flags = yaml.safe_load((folder / "flags.yaml").read_text())
    assert all(flag.startswith("--") for flag in flags)
    assert flags["--update-env-vars"]["THREADS"] == str(2 * flags["--concurrency"])
    assert flags["--entry-point"] == "predict"


@folders
def test_each_is_served_by_asgi_at_the_speed_of_httptools(folder: Path) -> None:
    flags = yaml.safe_load((folder / "flags.yaml").read_text())
    assert uses_asgi(flags["--update-env-vars"])
    assert "httptools" in pins(folder / "requirements.txt")


@folders
def test_each_says_who_may_ask_it(folder: Path) -> None:
    """Tokens that Google Cloud has checked are believed where all come through its check, and nowhere else."""
    flags = yaml.safe_load((folder / "flags.yaml").read_text())
    settings = Settings.from_environment({"MODEL_STORE": "gs://models", **flags["--update-env-vars"]})
    private, public = flags.get("--no-allow-unauthenticated"), flags.get("--allow-unauthenticated")
    assert (private, public, settings.access) in [(True, None, ("iam",)), (None, True, ("keys",))]


def test_every_family_has_a_function() -> None:
    families = {path.stem for path in (ROOT / "shared/model_functions/families").glob("[a-z]*.py")}
    assert families | {"gateway"} == {folder.name for folder in FOLDERS}
