"""What stands in the tree: who may unpickle, no secrets, and a Dependabot that reaches all pins."""

import ast
import fnmatch
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.environments import pins

ROOT = Path(__file__).parents[1]
DEPENDABOT: dict[str, Any] = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())

#: Modules whose loading runs what it loads.
LOADERS = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "jsonpickle"}

#: Where they may be imported, and what for.
MAY_IMPORT = {
    "shared/model_functions/artifact/stream.py": "the loader: its bytes' signature and digests have been checked",
    "shared/model_functions/families/pytorch.py": "the name of an error",
    "shared/model_functions/families/tabular.py": "publishing: somebody's own file, after --trust",
    "deploy/samples/wine_model.py": "writes a sample",
}

SECRETS = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\r\n]",
    "an access key of ours": r"mf_[a-z0-9-]+_[A-Za-z0-9]{8}_[A-Za-z0-9_-]{43}",
    "a Google API key": r"AIza[0-9A-Za-z_-]{35}",
    "a Google OAuth token": r"ya29\.[0-9A-Za-z_-]{20,}",
    "a service account's key": r'"private_key_id": *"[0-9a-f]{40}"',
    "an AWS key": r"AKIA[0-9A-Z]{16}",
    "a GitHub token": r"gh[pousr]_[0-9A-Za-z]{36}|github_pat_[0-9A-Za-z_]{82}",
    "a Hugging Face token": r"hf_[A-Za-z]{34}",
    "an OpenAI key": r"sk-(?:proj-)?[A-Za-z0-9]{32,}",
    "a Slack token": r"xox[abprs]-[0-9A-Za-z-]{10,}",
}

SOURCES = sorted(path for folder in ("shared", "deploy", "functions") for path in (ROOT / folder).rglob("*.py"))


def imported(tree: ast.AST) -> set[str]:
    """The first names of all imports, wherever they stand."""
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


@cache
def calls(path: Path) -> list[tuple[str, dict[str, str]]]:
    """Each call of a dotted name, with its keywords as they are written."""
    return [
        (ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords if word.arg})
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    ]


def test_only_the_loader_imports_what_runs_what_it_loads() -> None:
    found = {path.relative_to(ROOT).as_posix() for path in SOURCES if imported(ast.parse(path.read_text())) & LOADERS}
    assert found == set(MAY_IMPORT)


def test_the_loader_alone_unpickles_in_a_function() -> None:
    unpickling = re.compile(r"(pickle|dill|joblib|cloudpickle|marshal)\.(loads?|Unpickler)")
    found = {
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if any(unpickling.fullmatch(name) for name, _ in calls(path))
    }
    assert found - {"shared/model_functions/artifact/stream.py"} == {"shared/model_functions/families/tabular.py"}


@pytest.mark.parametrize(
    ("function", "keyword", "allowed"),
    [
        # Only what a publisher vouches for is loaded whole.
        (r"torch\.load", "weights_only", {"True", "not trusted"}),
        (r"(np|numpy)\.load|read_array|write_array", "allow_pickle", {"False"}),
        (r"yaml\.(load|unsafe_load|full_load)(_all)?", "Loader", set()),
        (r"shutil\.unpack_archive|\w+\.extractall", "", set()),
    ],
)
def test_what_could_run_what_it_reads_is_told_not_to(function: str, keyword: str, allowed: set[str]) -> None:
    for path in SOURCES:
        for name, words in calls(path):
            if re.fullmatch(function, name):
                assert words.get(keyword) in allowed, f"{path} calls {name}"


def test_no_secret_stands_in_the_tree() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True)
    if listed.returncode != 0:
        pytest.skip("the tree is no git checkout")
    searched = {kind: re.compile(pattern.encode()) for kind, pattern in SECRETS.items()}
    for name in listed.stdout.decode().split("\0"):
        data = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        for kind, pattern in searched.items():
            assert not pattern.search(data), f"{name} has {kind}"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("a private key", "-----BEGIN " + "PRIVATE KEY-----\nMC4CAQ"),
        ("an access key of ours", "mf_prod_a1B2c3D4_" + "x" * 45),
        ("a Google API key", "AIza" + "x" * 35),
        ("an AWS key", "AKIA" + "X" * 16),
        ("a GitHub token", "ghp_" + "x" * 36),
        ("a Hugging Face token", "hf_" + "x" * 34),
    ],
)
def test_a_secret_would_be_seen(kind: str, text: str) -> None:
    assert re.search(SECRETS[kind], f'key = "{text}"')


def test_dependabot_has_its_schema() -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [str(program), "--builtin-schema", "vendor.dependabot", str(ROOT / ".github/dependabot.yml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_dependabot_reaches_every_file_of_pins() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    files = [name for name in tracked if name.endswith("requirements.txt")]
    directories = [folder for update in DEPENDABOT["updates"] for folder in update["directories"]]
    for name in files:
        folder = f"/{Path(name).parent.as_posix()}".replace("/.", "/")
        assert any(fnmatch.fnmatch(folder, pattern) for pattern in directories), name


def test_what_dependabot_groups_is_pinned() -> None:
    pinned = {package.lower() for package in pins(ROOT / "requirements.txt")}
    pinned |= {package.lower() for path in (ROOT / "functions").glob("*/requirements.txt") for package in pins(path)}
    for name, group in DEPENDABOT["updates"][0]["groups"].items():
        for pattern in group["patterns"]:
            assert fnmatch.filter(pinned, pattern.lower()), f'group "{name}" has {pattern}, which nothing pins'
