"""What the README promises."""

import re
from dataclasses import fields
from pathlib import Path

from deploy.__main__ import VERBS
from deploy.project import function_families, model_families
from deploy.samples import sample_names
from model_functions.errors import error_classes
from model_functions.settings import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
SOURCES = ("functions", "shared", "deploy", "tests")


def test_every_error_code_is_documented_and_no_other() -> None:
    table = README.partition("## Errors")[2].partition("## ")[0]
    listed = set(re.findall(r"`([a-z_]+)`", table)) - {"details"}
    assert listed == {error.code for error in error_classes()}


def test_every_variable_of_the_settings_is_documented() -> None:
    source = (ROOT / "shared/model_functions/settings.py").read_text()
    documented = re.findall(r"^    \"\"\"``([A-Z_]+)``", source, re.MULTILINE)
    assert len(documented) == len(fields(Settings))
    listed = re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE)
    assert set(documented) < set(listed)


def test_every_variable_that_is_read_is_documented() -> None:
    rows = re.findall(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \|", README, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"[A-Z_]+", row)}
    for folder in ("shared", "deploy"):
        for path in (ROOT / folder).rglob("*.py"):
            read = re.findall(r"(?:os\.environ|given)(?:\.get)?[\[(]\"([A-Z_]+)\"", path.read_text())
            assert set(read) <= listed, path


def test_every_family_and_sample_is_named() -> None:
    for family in model_families():
        assert f"| `{family}` |" in README
    for sample in sample_names():
        assert sample in README


def test_every_file_that_is_named_is_there() -> None:
    tree = README.partition("## How it is built")[2]
    for name in re.findall(r"^(\w+/)", tree, re.MULTILINE):
        assert (ROOT / name).is_dir(), name
    there = {path.name for folder in SOURCES for path in (ROOT / folder, *(ROOT / folder).rglob("*"))}
    for name in re.findall(r"(\w+)/|(\w+\.py)", tree.partition("```\n\n")[0]):
        assert "".join(name) in there, name
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README):
        assert (ROOT / picture).is_file(), picture


def test_commands_are_verbs_that_exist() -> None:
    for verb in re.findall(r"python -m deploy (\w+)", README):
        assert verb in (*VERBS, "VERB")
    assert function_families()
