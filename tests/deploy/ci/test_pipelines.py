"""The pipelines of other systems: their own schemas and linters, and that they call what there is."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deploy.__main__ import _parser
from tests.deploy.ci.declarative import mistakes

ROOT = Path(__file__).parents[3]
CI = ROOT / "deploy" / "ci"
FILES = {name: CI / name for name in ("github-actions.yml", "gitlab-ci.yml", "Jenkinsfile")}
CALLS = {
    **FILES,
    "cloudbuild.yaml": ROOT / "cloudbuild.yaml",
    "Dockerfile": ROOT / "deploy" / "container" / "Dockerfile",
}
JENKINSFILE = FILES["Jenkinsfile"].read_text()


def program(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(Path(sys.executable).with_name(name)), *arguments], capture_output=True, text=True)


def calls(file: Path) -> list[str]:
    """The verbs with their flags, as they are called, comments aside."""
    lines = (line for line in file.read_text().splitlines() if not line.lstrip().startswith(("#", "//")))
    return re.findall(r"python -m deploy ([^'\"\n]+)", "\n".join(lines))


def test_every_file_there_is_is_checked() -> None:
    assert {path.name for path in CI.iterdir()} == set(FILES)


@pytest.mark.parametrize(
    ("file", "schema"),
    [("github-actions.yml", "vendor.github-workflows"), ("gitlab-ci.yml", "vendor.gitlab-ci")],
    ids=["GitHub", "GitLab"],
)
def test_a_file_has_the_schema_of_its_system(file: str, schema: str) -> None:
    done = program("check-jsonschema", "--builtin-schema", schema, str(FILES[file]))
    assert done.returncode == 0, done.stdout


def test_the_workflow_has_nothing_unsafe() -> None:
    done = program("zizmor", "--offline", "--no-progress", str(FILES["github-actions.yml"]))
    assert done.returncode == 0, done.stdout


def test_actions_are_pinned_by_their_commits() -> None:
    workflow = yaml.safe_load(FILES["github-actions.yml"].read_text())
    used = [step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in used)


def test_the_jenkinsfile_is_a_declarative_pipeline() -> None:
    assert mistakes(JENKINSFILE) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        pytest.param("stages {", "stages", "this is no Groovy", id="no brace"),
        pytest.param("    agent {", "    agnet {", 'pipeline has "agnet", which does not belong there.', id="agent"),
        pytest.param("stage('Test')", "step('Test')", '"stages" has "step", which is no stage.', id="stage"),
        pytest.param("sh 'make test'", "", "stage Test has no steps.", id="steps"),
        pytest.param("always {", "allways {", 'post of pipeline has "allways"', id="post"),
    ],
)
def test_the_checker_sees_what_is_wrong_with_a_jenkinsfile(old: str, new: str, told: str) -> None:
    assert old in JENKINSFILE
    assert told in "\n".join(mistakes(JENKINSFILE.replace(old, new, 1)))


@pytest.mark.parametrize("name", sorted(CALLS))
def test_verbs_and_flags_that_are_called_are_there(name: str) -> None:
    for call in calls(CALLS[name]):
        words = shlex.split(call.partition("#")[0])
        _parser(words).parse_args(words)


def test_all_call_the_same_verbs_in_the_same_order() -> None:
    wanted = ["stage --release", "release", "warmup", "warmup --run"]
    for name in {*FILES, "cloudbuild.yaml"}:
        assert [call.strip() for call in calls(CALLS[name])] == wanted, name


@pytest.mark.parametrize("name", sorted(FILES))
def test_what_make_is_asked_for_is_there(name: str) -> None:
    targets = re.findall(r"^([\w.$()/-]+):", (ROOT / "Makefile").read_text().replace("$(VENV)", ".venv"), re.MULTILINE)
    asked = re.findall(r"\bmake ([\w./]+)", re.sub(r"(?m)^\s*(#|//).*", "", FILES[name].read_text()))
    assert "test" in asked
    assert set(asked) <= set(targets)


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_key_is_kept_and_no_release_is_cut_off_by_another(name: str) -> None:
    text = FILES[name].read_text()
    assert "credentials_json" not in text
    assert "workload" in text.lower()
    alone = {"github-actions.yml": "cancel-in-progress: false", "gitlab-ci.yml": "resource_group: release"}
    assert alone.get(name, "disableConcurrentBuilds()") in text
