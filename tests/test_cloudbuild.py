"""cloudbuild.yaml: its schema, its references, what it promises; and the checker and the runner of such files."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.__main__ import VERBS
from deploy.cloud.configuration import Configuration
from tests.fakes.control_plane import ControlPlane
from tests.local_build import BUILT_IN, LocalBuild, mistakes, substitutions

ROOT = Path(__file__).parents[1]
BUILD: dict[str, Any] = yaml.safe_load((ROOT / "cloudbuild.yaml").read_text())
DEPLOYMENT: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "deploy.yaml").read_text())
STEPS: dict[str, dict[str, Any]] = {step["id"]: step for step in BUILD["steps"]}


def test_it_has_the_schema_of_cloud_build() -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [str(program), "--builtin-schema", "vendor.cloudbuild", str(ROOT / "cloudbuild.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed, and it is what reads the file")
def test_gcloud_reads_it_whole(tmp_path: Path) -> None:
    with ControlPlane(apis="all") as plane:
        plane.accounts.add("model-deployer@demo-project.iam.gserviceaccount.com")
        told = submit(plane, ROOT / "cloudbuild.yaml")
        assert told.returncode == 0, told.stderr
        sent = next(request for request in plane.requests if request.method == "POST" and "/builds" in request.path)
        assert [step["id"] for step in sent.json()["steps"]] == list(STEPS)
        (tmp_path / "wrong.yaml").write_text((ROOT / "cloudbuild.yaml").read_text().replace("waitFor:", "waitfor:"))
        told = submit(plane, tmp_path / "wrong.yaml")
        assert "waitfor: unused" in told.stderr


def submit(plane: ControlPlane, file: Path) -> subprocess.CompletedProcess[str]:
    command = ["gcloud", "builds", "submit", "--no-source", f"--config={file}", "--async", "--region=us-central1"]
    return subprocess.run(command, env={**os.environ, **plane.environment}, capture_output=True, text=True)


def test_its_references_lead_somewhere() -> None:
    assert mistakes(BUILD) == []


def test_it_runs_as_the_deployer_of_deploy_yaml() -> None:
    named = substitutions(BUILD, dict.fromkeys(BUILT_IN, "acme-prod"))
    assert named["_DEPLOYER"] == DEPLOYMENT["accounts"]["deployer"]
    assert "${_DEPLOYER}@" in BUILD["serviceAccount"]
    assert named["_KEPT"].startswith(f"gs://{Configuration.read(flags={'project': 'acme-prod'}).builds}/")
    assert BUILD["options"]["logging"] == "CLOUD_LOGGING_ONLY"


def test_nothing_is_deployed_before_the_tests_have_passed() -> None:
    def after(step: str) -> set[str]:
        awaited = STEPS[step].get("waitFor", ())
        return {*awaited, *(name for each in awaited if each != "-" for name in after(each))}

    assert STEPS["test"]["script"] == "make test"
    for step in ("stage", "release", "warm-up"):
        assert "test" in after(step)


def test_it_names_verbs_that_there_are_and_no_family() -> None:
    text = (ROOT / "cloudbuild.yaml").read_text()
    for verb in re.findall(r"python -m deploy (\w+)", text):
        assert verb in VERBS
    assert not re.search(r"gcloud (functions|run) deploy", text)


def test_what_is_kept_goes_by_everything_that_is_installed() -> None:
    """A file of pins that the key does not see would have an old environment pass for a new one."""
    patterns = re.findall(r"\S+", STEPS["unpack"]["script"].partition("cat ")[2].partition("|")[0])
    seen = {path for pattern in patterns for path in ROOT.glob(pattern)}
    made_by = {ROOT / "Makefile", ROOT / "requirements.txt", *(ROOT / "deploy" / "locks").glob("*.txt")}
    made_by |= set((ROOT / "functions").glob("*/requirements.txt"))
    assert made_by | set((ROOT / "tests" / "conformance").glob("*/requirements.txt")) == seen


GOOD: dict[str, Any] = {
    "substitutions": {"_A": "gs://${PROJECT_ID}-a"},
    "serviceAccount": "projects/p/serviceAccounts/a@p.iam.gserviceaccount.com",
    "options": {"logging": "CLOUD_LOGGING_ONLY", "automapSubstitutions": True, "dynamicSubstitutions": True},
    "steps": [
        {"id": "one", "name": "image", "script": "echo $_A $HOME $(date) ${_A}"},
        {"id": "two", "name": "image", "waitFor": ["one"], "script": "true"},
    ],
}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        pytest.param({}, [], id="none"),
        pytest.param(
            {"steps": [GOOD["steps"][0] | {"waitFor": ["two"]}, GOOD["steps"][1]]},
            ['"one" waits for "two", which is no step before it.'],
            id="waits for a later one",
        ),
        pytest.param(
            {"steps": [GOOD["steps"][0], GOOD["steps"][1] | {"waitFor": ["oen"]}]},
            ['"two" waits for "oen", which is no step before it.'],
            id="waits for nobody",
        ),
        pytest.param(
            {"steps": [GOOD["steps"][0], GOOD["steps"][1] | {"id": "one"}]},
            ['Two steps are called "one".'],
            id="one name twice",
        ),
        pytest.param(
            {"steps": [GOOD["steps"][0], GOOD["steps"][1] | {"args": ["x"]}]},
            ['"two" has a script, and an entrypoint or args too.'],
            id="script and args",
        ),
        pytest.param(
            {"steps": [GOOD["steps"][0], GOOD["steps"][1] | {"script": "echo $_B"}]},
            ['"$_B" is no substitution.'],
            id="unknown substitution",
        ),
        pytest.param(
            {"substitutions": {"_A": "gs://${PROJECT_ID}-a", "_B": "b"}},
            ['The substitution "_B" is used nowhere.'],
            id="idle substitution",
        ),
        pytest.param(
            {"options": {"logging": "CLOUD_LOGGING_ONLY"}},
            [
                "Scripts read substitutions, which needs options.automapSubstitutions.",
                "A substitution refers to another one, which needs options.dynamicSubstitutions.",
            ],
            id="options for substitutions",
        ),
        pytest.param(
            {"options": GOOD["options"] | {"logging": "GCS_ONLY"}},
            ["A build by an account of its own needs options.logging: CLOUD_LOGGING_ONLY, or a logsBucket."],
            id="logs",
        ),
    ],
)
def test_the_checker_sees_a_mistake(changes: dict[str, Any], told: list[str]) -> None:
    assert mistakes({**GOOD, **changes}) == told


def local(tmp_path: Path, *steps: dict[str, Any], **more: Any) -> LocalBuild:
    build = {"substitutions": {"_WORD": "hello ${PROJECT_ID}"}, "options": {"env": ["ALL=$_WORD"]}, "steps": [*steps]}
    return LocalBuild(build, tmp_path, {}, {"PROJECT_ID": "acme"}, **more)


def test_the_runner_lets_steps_wait_for_each_other_or_run_side_by_side(tmp_path: Path) -> None:
    # Each of the two waits for what the other one makes: one after the other would never end.
    meet = "touch {0}; for i in $(seq 100); do [ -e {1} ] && exit 0; sleep 0.1; done; exit 1"
    build = local(
        tmp_path,
        {"id": "a", "waitFor": ["-"], "script": meet.format("a", "b")},
        {"id": "b", "waitFor": ["-"], "script": meet.format("b", "a")},
        {"id": "both", "waitFor": ["a", "b"], "script": "ls"},
        {"id": "last", "script": "true"},
    )
    ended = build.run()
    assert {step.status for step in ended.values()} == {0}
    assert ended["both"].output.split() == ["a", "b"]
    assert build.order[2:] == ["both", "last"]


def test_the_runner_gives_scripts_their_variables_and_their_shell(tmp_path: Path) -> None:
    script = "#!/usr/bin/env bash\nset -o pipefail\necho $ALL, $OWN, $_WORD"
    ended = local(tmp_path, {"id": "a", "env": ["OWN=$PROJECT_ID"], "script": script}).run()
    assert ended["a"].output == "hello acme, acme, hello acme\n"


def test_the_runner_begins_nothing_after_a_failure_unless_that_was_allowed(tmp_path: Path) -> None:
    steps = (
        {"id": "may", "waitFor": ["-"], "allowFailure": True, "script": "exit 3"},
        {"id": "must", "waitFor": ["may"], "script": "echo so far; false; echo further"},
        {"id": "after", "waitFor": ["must"], "script": "touch begun"},
    )
    ended = local(tmp_path, *steps).run()
    assert [ended[name].status for name in ("may", "must", "after")] == [0, 1, None]
    assert ended["must"].output == "so far\n"
    assert not (tmp_path / "begun").exists()
    ended = local(tmp_path, *steps, instead={"must": "true"}).run()
    assert (ended["after"].status, (tmp_path / "begun").exists()) == (0, True)


def test_the_runner_replaces_only_steps_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='There is no step "tets" to run something instead of'):
        local(tmp_path, {"id": "test", "script": "true"}, instead={"tets": "true"})
