from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy import environments


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A function's folder that needs nothing, and a folder of environments of its own."""
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path / "environments")
    source = tmp_path / "toy"
    source.mkdir()
    (source / "requirements.txt").write_text("# nothing\n")
    return source


def test_this_environment_serves_a_family_whose_pins_it_has() -> None:
    assert environments.satisfied("tabular")
    assert not environments.own_pins("tabular")


def test_a_family_that_pins_something_else_needs_one_of_its_own(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setattr(environments, "FUNCTIONS", place.parent)
    (place / "requirements.txt").write_text("numpy==1.0.0\ndill==0.4.1\n")
    assert not environments.satisfied("toy")
    assert environments.own_pins("toy") == {"numpy": "1.0.0"}


def test_a_line_that_pins_nothing_is_named(place: Path) -> None:
    (place / "requirements.txt").write_text("dill==0.4.1\nnumpy>=2\n")
    with pytest.raises(ValueError, match=r'has "numpy>=2", which is no exact pin. Write PACKAGE==VERSION.'):
        environments.pins(place / "requirements.txt")


@pytest.mark.slow
def test_two_makers_make_one_environment(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(environments.made, [place] * 4))
    [folder] = folders
    assert (folder / "bin" / "python").exists()
    assert capfd.readouterr().err.count("installing what toy runs on") == 1


@pytest.mark.slow
def test_one_that_somebody_stopped_making_is_made_anew(place: Path) -> None:
    folder = environments.made(place)
    (folder / "installed").unlink()
    (folder / "left.txt").write_text("half")
    assert environments.made(place) == folder
    assert not (folder / "left.txt").exists()


@pytest.mark.slow
def test_other_pins_are_another_environment(place: Path) -> None:
    first = environments.made(place)
    (place / "requirements.txt").write_text("# other\n")
    assert environments.made(place) != first
    assert (first / "installed").exists()


@pytest.mark.slow
def test_what_cannot_be_installed_is_told_and_not_used(place: Path) -> None:
    (place / "requirements.txt").write_text(f"{place}/nothing.whl\n")
    for _ in range(2):
        with pytest.raises(ValueError, match=r"toy-\w+ cannot be installed: ERROR: .*'nothing'"):
            environments.made(place)


def test_large_files_of_several_environments_are_on_the_disk_once(place: Path) -> None:
    environments.ENVIRONMENTS.mkdir()
    files = []
    for name in ("one", "two"):
        folder = place.parent / name
        files.append(Path(environments._packages(folder)) / "large.so")
        files[-1].parent.mkdir(parents=True)
        files[-1].write_bytes(b"x" * environments.SHARED_BYTES)
        environments._share(folder)
    assert files[0].samefile(files[1])
    assert files[0].read_bytes() == b"x" * environments.SHARED_BYTES
