import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy import locked, needed_code, publisher, stage, staged
from deploy.project import FUNCTIONS, SHARED, function_families, model_families, wrapper_class
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
        ".gcloudignore",
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


def test_a_tree_has_one_digest_whatever_the_permissions_the_times_and_what_python_left(workshop: Path) -> None:
    folder = stage.stage("tabular", release=True, build=workshop)
    digest = staged.read("tabular", folder).digest
    before = os.umask(0o077)
    try:
        other = stage.stage("tabular", release=True, build=workshop / "other")
    finally:
        os.umask(before)
    os.utime(other / "main.py", (1, 1))
    (other / "__pycache__").mkdir()
    (other / "__pycache__" / "main.cpython-311.pyc").write_bytes(b"compiled")
    assert staged.read("tabular", other).digest == digest
    (other / "main.py").write_text("pass")
    assert staged.read("tabular", other).digest != digest


def test_a_family_s_own_module_changes_one_digest_and_a_shared_one_all(
    workshop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = workshop / "model_functions"
    shutil.copytree(SHARED, shared, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(stage, "SHARED", shared)
    families = ("gateway", "onnx", "tabular")

    def digests() -> dict[str, str]:
        folders = {family: stage.stage(family, release=True, build=workshop / "build") for family in families}
        return {family: staged.read(family, folder).digest for family, folder in folders.items()}

    def touch(module: str) -> set[str]:
        before = digests()
        path = shared / module
        path.write_text(path.read_text() + "\n# another line\n")
        needed_code._imports.cache_clear()
        after = digests()
        return {family for family in families if before[family] != after[family]}

    assert touch("families/tabular.py") == {"tabular"}
    assert touch("engines/sklearn.py") == {"tabular"}
    assert touch("cache.py") == set(families)


def test_what_a_function_cannot_use_is_left_out(workshop: Path) -> None:
    tabular = stage.stage("tabular", build=workshop) / "model_functions"
    assert {path.name for path in (tabular / "families").glob("*.py")} == {"__init__.py", "tabular.py"}
    there = {path.stem for path in (tabular / "engines").glob("*.py")}
    assert "sklearn" in there
    assert not there & {"openvino", "paged", "tokenizers", "sentencepiece", "saved_model", "tensorflow", "pillow"}
    # An artifact may name it, and no import does.
    assert (tabular / "legacy.py").is_file()
    gateway = stage.stage("gateway", build=workshop) / "model_functions"
    assert not (gateway / "families").exists()
    assert not (gateway / "legacy.py").exists()


@pytest.mark.parametrize(
    ("family", "named", "unusable"),
    [
        pytest.param(
            "translation", {"onnxruntime", "generator", "sentencepiece"}, {"openvino", "sklearn"}, id="graphs"
        ),
        pytest.param("text_generation", {"openvino", "paged", "paged_writer"}, {"sentencepiece", "pillow"}, id="pages"),
    ],
)
def test_an_engine_that_only_artifacts_name_stays_where_its_packages_are(
    workshop: Path, family: str, named: set[str], unusable: set[str]
) -> None:
    engines = stage.stage(family, build=workshop) / "model_functions" / "engines"
    there = {path.stem for path in engines.glob("*.py")}
    assert named <= there
    assert not unusable & there


def test_every_package_of_an_engine_is_known_by_the_name_it_is_locked_under() -> None:
    known = {one for lock in (locked.FOR_FUNCTIONS, locked.DEVELOPMENT) for one in locked.packages(lock)}
    for path in (SHARED / "engines").glob("*.py"):
        assert needed_code._packages(path) <= known, path


def test_a_release_takes_the_torch_for_cpus_alone(workshop: Path) -> None:
    text = (stage.stage("pytorch", release=True, build=workshop) / "requirements.txt").read_text()
    assert "\n--extra-index-url https://download.pytorch.org/whl/cpu\n" in text
    assert re.search(r"^torch==[0-9.]+\+cpu \\\n    --hash=sha256:[0-9a-f]{64}\n(?! )", text, re.MULTILINE)
    assert not re.search(r"^(nvidia|cuda|triton)", text, re.MULTILINE)
    sbom = json.loads((workshop / "pytorch" / "sbom.json").read_text())
    assert "torch+cpu" in {one["name"] + one["version"][-4:] for one in sbom["components"]}
    local = (stage.stage("pytorch", build=workshop) / "requirements.txt").read_text()
    assert "+cpu" not in local
    assert "nvidia-" in local
    asked = (stage.stage("pytorch", cpu_torch=True, build=workshop) / "requirements.txt").read_text()
    assert asked == text


def test_a_function_with_a_gpu_keeps_the_torch_for_it(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    functions = workshop / "functions"
    shutil.copytree(FUNCTIONS / "pytorch", functions / "pytorch")
    (functions / "pytorch" / "run.yaml").write_text("--gpu: 1\n--gpu-type: nvidia-l4\n")
    monkeypatch.setattr(stage, "FUNCTIONS", functions)
    assert "+cpu" not in (stage.stage("pytorch", release=True, build=workshop) / "requirements.txt").read_text()


def test_a_torch_for_cpus_of_another_version_is_refused(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workshop / "cpu.txt").write_text(f"torch==1.0+cpu --hash=sha256:{'0' * 64}\n")
    monkeypatch.setattr(locked, "CPU_TORCH", workshop / "cpu.txt")
    with pytest.raises(ValueError, match=r"cpu.txt does not lock torch==.*\+cpu. Write there the digest"):
        stage.stage("pytorch", cpu_torch=True, build=workshop)


def test_a_module_that_is_no_python_is_not_staged(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = workshop / "model_functions"
    shutil.copytree(SHARED, shared, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(stage, "SHARED", shared)
    (shared / "families" / "tabular.py").write_text("def broken(:\n")
    with pytest.raises(ValueError, match=r"tabular.py, line 1: .*\. A function with it would not start"):
        stage.stage("tabular", build=workshop)


def test_the_list_says_what_would_be_uploaded(workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = stage.stage("gateway", build=workshop)
    found = staged.read("gateway", folder)
    assert sum(found.files.values()) == found.size
    assert "model_functions/http/gateway.py" in found.files
    assert ".gcloudignore" not in found.files
    assert "flags.yaml" in found.files
    lines = list(stage._lines(found, listed=True))
    assert lines[0].endswith(f"{len(found.files)} files, {found.size / 1000:.0f} kB, digest {found.digest[:16]}")
    assert len(lines) == len(found.files) + 1


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
@pytest.mark.parametrize("family", ["gateway", "pytorch"])
def test_pip_takes_the_staged_requirements(workshop: Path, family: str) -> None:
    staged = stage.stage(family, release=True, build=workshop) / "requirements.txt"
    # PyTorch's own index may be out of reach here; pip's settings may name another place with its build for CPUs.
    requirements = workshop / "requirements.txt"
    requirements.write_text(re.sub(r"(?m)^--extra-index-url .*$", "", staged.read_text()))
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--requirement"]
    done = subprocess.run([*command, str(requirements)], capture_output=True, text=True)
    if "No matching distribution found for torch" in done.stderr:
        pytest.skip("no place that pip knows here has PyTorch's build for CPUs")
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
