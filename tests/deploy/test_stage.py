import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy import publisher, stage
from deploy.project import FUNCTIONS, function_families, model_families, wrapper_class
from model_functions.artifact.signing_key import SigningKey


def test_a_staged_folder_is_the_function_and_a_copy_of_the_shared_code(workshop: Path) -> None:
    folder = stage.stage("tabular", build=workshop)
    assert {path.name for path in folder.iterdir()} == {
        "main.py",
        "requirements.txt",
        "flags.yaml",
        "trust.json",
        "sbom.json",
        "model_functions",
    }
    assert (folder / "model_functions/families/tabular.py").is_file()
    assert (folder / "model_functions/http/page/playground/page.html").is_file()
    assert not list(folder.rglob("__pycache__"))
    assert not any(path.is_symlink() for path in folder.rglob("*"))


def test_staging_again_leaves_nothing_old(workshop: Path) -> None:
    folder = stage.stage("tabular", build=workshop)
    (folder / "old.py").write_text("")
    assert not (stage.stage("tabular", build=workshop) / "old.py").exists()
    assert not (workshop / ".tabular").exists()


def test_staging_the_same_again_leaves_the_folder_to_whoever_runs_in_it(workshop: Path) -> None:
    folder = stage.stage("tabular", build=workshop)
    before = folder.stat().st_ino
    (folder / "__pycache__").mkdir()
    assert stage.stage("tabular", build=workshop).stat().st_ino == before
    (folder / "main.py").write_text("something else")
    assert stage.stage("tabular", build=workshop).stat().st_ino != before


def test_staging_at_once_is_one_after_the_other(workshop: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(lambda _: stage.stage("tabular", build=workshop), range(16)))
    assert folders == {workshop / "tabular"}
    assert (workshop / "tabular" / "trust.json").is_file()


def test_a_laptops_key_is_trusted_on_the_laptop_only(workshop: Path) -> None:
    local = json.loads((stage.stage("tabular", build=workshop) / "trust.json").read_text())["keys"]
    assert [key.get("local") for key in local] == [True]
    released = json.loads((stage.stage("tabular", release=True, build=workshop) / "trust.json").read_text())["keys"]
    assert released == json.loads(publisher.RELEASE_TRUST.read_text())["keys"]


def test_the_local_key_is_made_once(workshop: Path) -> None:
    first = publisher.signing_key()
    assert publisher.signing_key().public_key == first.public_key
    assert SigningKey.read(publisher.LOCAL_KEY).public_key == first.public_key


def test_the_staged_requirements_are_the_functions_own_and_have_digests(workshop: Path) -> None:
    text = (stage.stage("gateway", build=workshop) / "requirements.txt").read_text()
    # Google's build looks for this at the beginning of a line.
    assert re.search(r"^functions-framework==3.10.2 \\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    assert "cffi==" in text
    assert "torch==" not in text


@pytest.mark.slow
def test_pip_takes_the_staged_requirements(workshop: Path) -> None:
    requirements = stage.stage("gateway", build=workshop) / "requirements.txt"
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--requirement"]
    done = subprocess.run([*command, str(requirements)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "functions-framework-3.10.2" in done.stdout


def test_a_pin_that_is_not_locked_is_not_staged(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    functions = workshop / "functions"
    shutil.copytree(FUNCTIONS / "tabular", functions / "tabular")
    with open(functions / "tabular" / "requirements.txt", "a") as lines:
        lines.write("lightgbm==4.7.0\n")
    monkeypatch.setattr(stage, "FUNCTIONS", functions)
    with pytest.raises(ValueError, match=r'lightgbm==4.7.0 is not locked. Run "make lock"'):
        stage.stage("tabular", build=workshop)
    assert not (workshop / "tabular").exists()


def test_a_symbolic_link_is_refused(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    functions = workshop / "functions"
    (functions / "tabular").mkdir(parents=True)
    (functions / "tabular" / "main.py").write_text("")
    (functions / "tabular" / "more").symlink_to(workshop)
    monkeypatch.setattr(stage, "FUNCTIONS", functions)
    with pytest.raises(ValueError, match="more is a symbolic link, which an upload would leave out"):
        stage.stage("tabular", build=workshop)


def test_an_unknown_function_lists_those_there_are(workshop: Path) -> None:
    with pytest.raises(ValueError, match=r'There is no function "tabula"\. There are: feature_extraction, gateway,'):
        stage.stage("tabula", build=workshop)


def test_families_are_read_off_the_tree() -> None:
    assert set(function_families()) == {*model_families(), "gateway"}
    for family in model_families():
        assert wrapper_class(family).family == family
