"""What is installed is what is locked: the pins, the locks, and the files."""

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy import environments, lock, locked
from deploy.__main__ import main
from deploy.environments import pins
from deploy.project import FUNCTIONS, ROOT, function_families

LOCKS = {
    "development": (locked.DEVELOPMENT, pins(ROOT / "requirements.txt")),
    "functions": (locked.FOR_FUNCTIONS, lock.function_pins()),
}

locks = pytest.mark.parametrize(("path", "pinned"), LOCKS.values(), ids=LOCKS)


@locks
def test_every_pin_is_locked_at_its_version(path: Path, pinned: dict[str, str]) -> None:
    versions = {name: package.version for name, package in locked.packages(path).items()}
    assert {canonicalize_name(name): version for name, version in pinned.items()}.items() <= versions.items()


@locks
def test_nothing_is_locked_that_nobody_wants(path: Path, pinned: dict[str, str]) -> None:
    there = locked.packages(path)
    wanted = {canonicalize_name(name) for name in pinned}
    for package in there.values():
        assert package.name in wanted or package.wanted_by & there.keys(), package.name


@locks
def test_every_package_has_digests(path: Path, pinned: dict[str, str]) -> None:
    for package in locked.packages(path).values():
        assert package.digests, package.name
        assert len(set(package.digests)) == len(package.digests)


@locks
def test_all_that_a_locked_package_requires_here_is_locked_too(path: Path, pinned: dict[str, str]) -> None:
    there = locked.packages(path)
    for name in there:
        for needed in required(name):
            assert needed.name in there, f"{name} requires {needed}"
            assert needed.specifier.contains(there[needed.name].version, prereleases=True), f"{name} requires {needed}"


def required(name: str) -> Iterator[Requirement]:
    """What the installed package requires on this machine, without extras."""
    try:
        lines = requires(name) or []
    except PackageNotFoundError:
        return
    for line in lines:
        requirement = Requirement(line)
        requirement.name = canonicalize_name(requirement.name)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def test_functions_run_on_what_they_are_tested_with() -> None:
    here, there = locked.packages(locked.DEVELOPMENT), locked.packages(locked.FOR_FUNCTIONS)
    assert here.keys() & there.keys()
    for name in here.keys() & there.keys():
        assert here[name].version == there[name].version, name


def test_the_build_for_cpus_alone_is_of_the_same_version() -> None:
    line = locked.CPU_TORCH.read_text().splitlines()[-1]
    match = re.fullmatch(r"torch==(\S+)\+cpu --hash=sha256:[0-9a-f]{64}", line)
    assert match is not None
    assert match[1] == locked.packages(locked.DEVELOPMENT)["torch"].version


def test_what_a_function_brings_is_what_it_runs_on_and_no_more() -> None:
    there = locked.packages(locked.FOR_FUNCTIONS)
    names = {package.name for package in locked.of_function(pins(FUNCTIONS / "tabular/requirements.txt"), there)}
    assert {"scikit-learn", "scipy", "joblib", "flask", "cffi"} <= names
    assert not names & {"torch", "tensorflow-cpu", "colorama", "pytest"}


def test_a_pin_that_is_not_locked_is_named() -> None:
    there = locked.packages(locked.FOR_FUNCTIONS)
    with pytest.raises(ValueError, match=r'numpy==9.9.9 is not locked. Run "make lock", which writes .*functions.txt'):
        locked.of_function({"numpy": "9.9.9"}, there)


def test_a_package_in_two_versions_is_refused(tmp_path: Path) -> None:
    entry = "toy=={} ; sys_platform == '{}' \\\n    --hash=sha256:" + "0" * 64 + "\n"
    (tmp_path / "lock.txt").write_text(entry.format("1", "linux") + entry.format("2", "win32"))
    with pytest.raises(ValueError, match="has several versions of a package"):
        locked.packages(tmp_path / "lock.txt")


def test_a_line_that_locks_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text("toy>=1\n")
    with pytest.raises(ValueError, match='has "toy>=1", which locks nothing'):
        locked.packages(tmp_path / "lock.txt")


def test_functions_that_pin_differently_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, version in (("one", "1.0"), ("two", "2.0")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "requirements.txt").write_text(f"toy=={version}\n")
    monkeypatch.setattr(lock, "FUNCTIONS", tmp_path)
    with pytest.raises(ValueError, match=r"two/requirements.txt pins toy==2.0, another function 1.0. Pin one."):
        lock.function_pins()


@pytest.mark.slow
def test_locking_again_changes_no_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, (path, _) in LOCKS.items():
        shutil.copy(path, tmp_path / path.name)
        monkeypatch.setattr(
            locked, {"development": "DEVELOPMENT", "functions": "FOR_FUNCTIONS"}[name], tmp_path / path.name
        )
    assert main(["lock"]) == 0
    for path, _ in LOCKS.values():
        assert versions(tmp_path / path.name) == versions(path)


def versions(path: Path) -> dict[str, tuple[str, str]]:
    return {name: (package.version, package.marker) for name, package in locked.packages(path).items()}


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A function that runs on one package, which pip finds in a folder alone."""
    source = tmp_path / "functions" / "toy"
    source.mkdir(parents=True)
    (source / "requirements.txt").write_text("toy==1.0\n")
    with zipfile.ZipFile(tmp_path / "toy-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("toy.py", "")
        wheel.writestr("toy-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
        wheel.writestr("toy-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr("toy-1.0.dist-info/RECORD", "")
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path / "environments")
    monkeypatch.setattr(environments, "FUNCTIONS", source.parent)
    monkeypatch.setattr(environments, "FOR_FUNCTIONS", tmp_path / "lock.txt")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return source


@pytest.mark.slow
def test_a_file_with_another_digest_is_not_installed(toy: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "toy-1.0-py3-none-any.whl"
    digest = subprocess.run(
        [sys.executable, "-m", "pip", "hash", str(wheel)], capture_output=True, text=True, check=True
    ).stdout.split("--hash=")[1]
    (tmp_path / "lock.txt").write_text(f"toy==1.0 --hash={digest}")
    assert environments.made(toy).is_dir()
    with zipfile.ZipFile(wheel, "a") as changed:
        changed.writestr("planted.py", "")
    shutil.rmtree(tmp_path / "environments")
    with pytest.raises(ValueError, match="cannot be installed: ERROR: THESE PACKAGES DO NOT MATCH THE HASHES"):
        environments.made(toy)


@pytest.mark.slow
def test_a_package_without_a_digest_is_not_installed(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text("toy==1.0\n")
    with pytest.raises(ValueError, match="cannot be installed: ERROR: Hashes are required in --require-hashes mode"):
        environments.made(toy)


def test_every_family_is_locked() -> None:
    there = locked.packages(locked.FOR_FUNCTIONS)
    for family in function_families():
        assert locked.of_function(pins(FUNCTIONS / family / "requirements.txt"), there)
