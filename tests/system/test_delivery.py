"""From an empty project to a function that is called, changed, taken back and looked at, as docs/operating.md tells it;
and what a push does to it by cloudbuild.yaml.

Every verb is a process of its own, in a checkout, against the control plane, by the real gcloud; and after bootstrap
everybody is an account that it has made, so that a role that is missing shows.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import pytest
import yaml

from model_functions.artifact.signing_key import SigningKey
from tests import tiny_models
from tests.deploy.cloud.released import FAILING_FROM
from tests.fakes.control_plane import ControlPlane
from tests.fakes.control_plane.build_steps import Here
from tests.local_build import LocalBuild
from tests.running import Answer, call
from tests.system.checkout import ROOT, Checkout

pytestmark = [
    pytest.mark.skipif(
        shutil.which("gcloud") is None, reason="gcloud is not installed, and it is what makes and deploys all of this"
    ),
    pytest.mark.usefixtures("quick_gcloud"),
]

GATEWAY = "https://us-central1-demo-project.cloudfunctions.net/gateway"
MODULE = "shared/model_functions/families/tabular.py"
ROW = [1.0, 2.0, 3.0]


@dataclass
class Team:
    """The people of a project, at their checkout."""

    plane: ControlPlane
    checkout: Checkout

    def run(self, account: str, *words: str, status: int = 0) -> str:
        """What a verb prints; it ends with that status, and else the test fails with all that it said."""
        began = time.monotonic()
        done = self.checkout.run(self.environment(account), *words)
        print(f"{' '.join(words[:2])}: {time.monotonic() - began:.1f} s\n{done.stderr}")
        assert done.returncode == status, f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout + (done.stderr if status else "")

    def json(self, account: str, *words: str, status: int = 0) -> Any:
        told = self.run(account, *words, "--json", status=status)
        return json.JSONDecoder().raw_decode(told)[0]

    def gcloud(self, account: str, *words: str) -> str:
        return subprocess.run(
            ["gcloud", *words], env=self.environment(account), check=True, capture_output=True, text=True
        ).stdout

    def environment(self, account: str) -> dict[str, str]:
        """Args: account: ``owner``, or the name of one that bootstrap makes."""
        address = self.plane.owner if account == "owner" else f"{account}@demo-project.iam.gserviceaccount.com"
        ours = {"MODEL_STORE": "gs://demo-project-models", "MODEL_SIGNING_KEY": "release.pem"}
        return self.plane.variables(address) | (ours if account == "model-publisher" else {})

    def predict(self, key: str = "") -> Answer:
        body = json.dumps({"model_name": "story", "data": ROW}).encode()
        headers = {"X-Api-Key": key} if key else {}
        return call(f"{self.plane.front_end.local(GATEWAY)}/predict", body, **headers)

    def served(self, key: str) -> str:
        """The revision that answers."""
        answer = self.predict(key)
        assert answer.status == 200, answer.body
        return str(json.loads(answer.body)["revision"])

    def revisions(self, name: str) -> list[str]:
        return [one for _, one in self.plane.services.revisions if one.startswith(f"{name}-")]

    def traffic(self, name: str) -> dict[str, int]:
        targets = self.plane.services.by_name["us-central1", name]["status"]["traffic"]
        return {target["revisionName"]: target["percent"] for target in targets if target.get("percent")}


@dataclass
class Begun:
    """A project that serves: two families, and one model.

    Args:
        key: by which it is called.
        first: the model's revision.
    """

    team: Team
    key: str
    first: str


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Begun]:
    """Once for all: the story goes on from there, and so does what a push does."""
    checkout = Checkout.at(tmp_path_factory.mktemp("team") / "checkout")
    checkout.configure(["tabular", "gateway"], canary_seconds=2)
    flags = checkout.folder / "functions" / "tabular" / "flags.yaml"
    flags.write_text(flags.read_text().rstrip() + '\n  MODEL_REFRESH_SECONDS: "1"\n')
    with ControlPlane() as plane:
        team = Team(plane, checkout)
        assert "demo-project has all that it needs" in team.run("owner", "bootstrap")
        make_the_signing_key(team)
        key = str(team.json("model-publisher", "keys", "create")["key"])
        first = publish(team, seed=0)
        released = {one["family"]: one["action"] for one in team.json("model-deployer", "release")}
        assert released == {"tabular": "deploy", "gateway": "deploy"}
        yield Begun(team, key, first)


def test_the_story_of_a_project(begun: Begun) -> None:
    team, key, first = begun.team, begun.key, begun.first
    assert team.predict().status == 401
    assert team.served(key) == first
    team.run("model-deployer", "warmup")
    assert "warm-gateway: answered 200" in team.run("model-deployer", "warmup", "--run")

    break_a_family_and_repair_it(team)

    second = publish(team, "--no-alias", seed=1)
    assert second != first
    team.run("model-publisher", "promote", "story", "--revision", second)
    wait_until_served(team, key, second)
    team.run("model-publisher", "rollback", "story")
    wait_until_served(team, key, first)

    look_at_it(team, first, second)


def make_the_signing_key(team: Team) -> None:
    """The owner makes it and keeps it in the secret; the publisher reads it there, and the tree lists it."""
    folder = team.checkout.folder
    SigningKey.generate().write(folder / "made.pem")
    team.gcloud("owner", "secrets", "versions", "add", "model-signing-key", f"--data-file={folder / 'made.pem'}")
    read = team.gcloud("model-publisher", "secrets", "versions", "access", "latest", "--secret=model-signing-key")
    (folder / "release.pem").write_text(read)
    told = team.run("model-publisher", "keys", "create", status=1)
    entry = re.search(r"stage the functions again: (\{.*\})", told)
    assert entry is not None, told
    (folder / "deploy" / "trust.json").write_text(json.dumps({"keys": [json.loads(entry[1])]}))


def publish(team: Team, *flags: str, seed: int) -> str:
    """The revision of a model made with that seed."""
    joblib.dump(tiny_models.classifier(seed), team.checkout.folder / "story.joblib")
    words = ("publish", "story.joblib", "--name=story", "--trust", f"--example={ROW}", *flags)
    return str(team.json("model-publisher", *words)["revision"])


def break_a_family_and_repair_it(team: Team) -> None:
    """It alone is deployed; it is taken back by itself; and once it is repaired it serves."""
    module = team.checkout.folder / MODULE
    written, [before] = module.read_text(), team.revisions("tabular")
    module.write_text(written + FAILING_FROM.format(number=6))
    told = team.json("model-deployer", "release", status=1)
    [tabular, gateway] = told
    assert (gateway["action"], gateway["changed"]) == ("nothing to do", 0)
    assert "answers were errors" in tabular["failure"]
    assert tabular["state"] == f"rolled back: {before} serves all"
    assert len(team.revisions("tabular")) == 2
    assert len(team.revisions("gateway")) == 1
    assert team.traffic("tabular") == {before: 100}

    module.write_text(written + "# Repaired.\n")
    told = team.run("model-deployer", "release")
    newest = team.revisions("tabular")[-1]
    assert f"tabular: deploy; {newest} serves all; {before} served before" in told
    assert team.traffic("tabular") == {newest: 100}


def wait_until_served(team: Team, key: str, revision: str) -> None:
    """Requests make an instance look for another revision, and load it beside the one that answers."""
    deadline = time.monotonic() + 20
    while team.served(key) != revision:
        assert time.monotonic() < deadline, f"{revision} is not served"
        time.sleep(0.2)


def look_at_it(team: Team, first: str, second: str) -> None:
    found = team.json("model-deployer", "status")
    assert found["trouble"] == ""
    [tabular, gateway] = found["families"]
    assert [tabular["drift"], gateway["drift"]] == [[], []]
    assert tabular["traffic"] == team.traffic("tabular") == {tabular["revision"]: 100}
    [model] = tabular["models"]
    assert (model["aliases"], set(model["revisions"])) == ({"prod": first}, {first, second})
    assert gateway["warmup"]["last_attempt"]
    assert gateway["warmup"]["last_error"] == ""


#: What is two gigabytes on Google's machines, and `make test`, which this is a part of. All other steps are themselves.
SDK = """#!/bin/sh
if [ "$1" = info ]; then echo {folder}; else exec {gcloud} "$@"; fi
"""
TEST = """
if [ -e .venv/installed ]; then [ .venv/installed -nt Makefile ] && echo "It is all there."; exit; fi
mkdir -p .venv build/environments/clients
ln -s {prefix}/bin {prefix}/lib .venv
cp {prefix}/pyvenv.cfg .venv
touch .venv/installed build/environments/clients/installed
echo "All is installed."
"""


@pytest.fixture
def here(begun: Begun, tmp_path: Path) -> Iterator[Here]:
    """Builds run on this machine."""
    program = tmp_path / "sdk" / "bin" / "gcloud"
    program.parent.mkdir(parents=True)
    program.write_text(SDK.format(folder=tmp_path / "sdk", gcloud=shutil.which("gcloud")))
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    here = Here(instead={"test": TEST.format(prefix=sys.prefix)}, environment={"PATH": path})
    begun.team.plane.builds.here = here
    yield here
    begun.team.plane.builds.here = None


@pytest.mark.usefixtures("here")
def test_a_build_releases_what_is_another_one_and_the_next_one_finds_what_it_kept(begun: Begun) -> None:
    team = begun.team
    before = team.revisions("tabular")
    module = team.checkout.folder / MODULE
    module.write_text(module.read_text() + "# Pushed.\n")
    log = submitted(team)
    assert "Nothing is kept for these locks" in log["unpack"]
    assert "All is installed." in log["test"]
    [newest] = set(team.revisions("tabular")) - set(before)
    assert f"tabular: deploy; {newest} serves all" in log["release"]
    assert "gateway: nothing to do" in log["release"]
    assert "warm-gateway: answered 200" in log["warm-up"]
    assert team.served(begun.key)
    [kept] = team.plane.storage.buckets["demo-project-builds"].live
    assert re.fullmatch(r"environments/[0-9a-f]{32}\.tar\.gz", kept)

    log = submitted(team)
    assert "Nothing is kept" not in log["unpack"]
    assert "It is all there." in log["test"]
    assert "tabular: nothing to do" in log["release"]


def submitted(team: Team) -> dict[str, str]:
    """Of a build that went well, what each step said, as `gcloud builds log` tells it."""
    region = "--region=us-central1"

    def gcloud(*words: str) -> subprocess.CompletedProcess[str]:
        command, environment = ["gcloud", "builds", *words, region], team.environment("owner")
        return subprocess.run(command, cwd=team.checkout.folder, env=environment, capture_output=True, text=True)

    done = gcloud("submit")
    [newest] = re.findall(r"^Created \[.*/builds/([0-9a-f-]+)\]", done.stderr, re.MULTILINE)
    read = gcloud("log", newest)
    assert (done.returncode, read.returncode) == (0, 0), done.stderr + read.stderr + read.stdout
    told = read.stdout
    log: dict[str, str] = {}
    for step, line in re.findall(r'^Step #\d+ - "([\w-]+)": (.*)$', told, re.MULTILINE):
        log[step] = log.get(step, "") + line + "\n"
    return log


def test_what_is_kept_is_not_trusted_to_be_whole_or_of_these_locks(begun: Begun, here: Here, tmp_path: Path) -> None:
    objects = begun.team.plane.storage.buckets["demo-project-builds"]
    folder = tmp_path / "workspace"
    for pattern in ("requirements.txt", "Makefile", "deploy/locks/*", "functions/*/requirements.txt"):
        copied(folder, pattern)
    copied(folder, "tests/conformance/*/requirements.txt")

    def build() -> dict[str, str]:
        shutil.rmtree(folder / ".venv", ignore_errors=True)
        shutil.rmtree(folder / "build", ignore_errors=True)
        text = yaml.safe_load((ROOT / "cloudbuild.yaml").read_text())
        steps = [step for step in text["steps"] if step["id"] in ("unpack", "test", "keep")]
        environment = begun.team.environment("model-deployer") | dict(here.environment)
        built = LocalBuild(text | {"steps": steps}, folder, environment, {"PROJECT_ID": "demo-project"}, here.instead)
        ended = built.run()
        assert {step.status for step in ended.values()} == {0}, ended
        return {name: step.output for name, step in ended.items()}

    (folder / "requirements.txt").write_text("# Other locks.\n")
    before = set(objects.live)
    assert "Nothing is kept for these locks" in build()["unpack"]
    [kept] = set(objects.live) - before
    assert "It is all there." in build()["test"]

    whole = begun.team.plane.storage.data(kept, "demo-project-builds")
    begun.team.plane.storage.put(kept, whole[: len(whole) // 2], "demo-project-builds")
    log = build()
    assert "Nothing is kept for these locks" in log["unpack"]
    assert "All is installed." in log["test"]
    assert "It is all there." in build()["test"], "what was broken was replaced"


def copied(folder: Path, pattern: str) -> None:
    for path in ROOT.glob(pattern):
        (folder / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / path.relative_to(ROOT))
