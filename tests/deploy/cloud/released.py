"""A project in which the deployer releases: what bootstrap makes, a published model, and this tree's functions.

As a program, given the project's folder, it runs a verb there: a process of its own, to be ended from outside.
"""

import contextlib
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import publisher, release, stage, status
from deploy.__main__ import main
from deploy.cloud import flags, smoke
from deploy.cloud.configuration import Configuration
from deploy.cloud.resources import grants
from deploy.project import FUNCTIONS, ROOT, SHARED
from deploy.publish import publish
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.families.tabular import TabularWrapper
from model_functions.repository import Repository
from model_functions.store import open_store
from tests.deploy.cloud.written import write_configuration
from tests.fakes.control_plane import ControlPlane
from tests.running import call

PROJECT = "demo-project"
FAMILIES = ["tabular", "gateway"]
MODEL = "tiny_classifier"
ROW = [1.0, 2.0, 3.0]

#: Seconds that a canary is watched.
CANARY_S = 2

#: Appended to the family's module: predictions fail from a number on.
FAILING_FROM = """
_asked = iter(range(1000))
_finished = TabularWrapper.postprocess


def _failing(self, *arguments, **named):
    if next(_asked) >= {number}:
        raise RuntimeError("as the test wants it")
    return _finished(self, *arguments, **named)


TabularWrapper.postprocess = _failing
"""


class Place:
    """A project on the control plane, and a tree whose families can be changed.

    Args:
        folder: holds copies of the tree's functions and shared code, and what is staged.
    """

    def __init__(self, plane: ControlPlane, folder: Path, configuration: Path) -> None:
        self.plane = plane
        self.folder = folder
        self.configuration = configuration
        self.settings = Configuration.read(configuration)
        self.key = ""

    def run(self, *arguments: str) -> int:
        """A verb, as it is typed."""
        return main([*arguments, f"--config={self.configuration}"])

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """A verb in a process of its own."""
        command = [sys.executable, "-m", __name__, str(self.folder), *arguments, f"--config={self.configuration}"]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def touch(self, module: str, text: str) -> None:
        """Adds lines to a module of the shared code, after those that were added before are gone."""
        original = (SHARED / module).read_text()
        (self.folder / "model_functions" / module).write_text(f"{original}\n{text}\n")

    def extend(self, family: str, file: str, **flags: Any) -> None:
        """Adds flags to one of a function's files; ``min_instances`` is --min-instances."""
        path = self.folder / "functions" / family / file
        found = yaml.safe_load(path.read_text()) if path.exists() else {}
        found |= {f"--{name.replace('_', '-')}": value for name, value in flags.items()}
        path.write_text(yaml.safe_dump(found))

    def watch_canaries(self, seconds: int) -> None:
        found = yaml.safe_load(self.configuration.read_text())
        found["canary"]["seconds"] = seconds
        self.configuration.write_text(yaml.safe_dump(found))

    def service(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.plane.services.by_name[self.settings.region, name]
        return found

    def traffic(self, name: str) -> dict[str, int]:
        """Percentages by revision."""
        targets = self.service(name)["status"]["traffic"]
        return {target["revisionName"]: target["percent"] for target in targets if target.get("percent")}

    def tags(self, name: str) -> dict[str, str]:
        return {one["tag"]: one["revisionName"] for one in self.service(name)["status"]["traffic"] if one.get("tag")}

    def revisions(self, name: str) -> list[str]:
        return [one for _, one in self.plane.services.revisions if one.startswith(f"{name}-")]


@contextmanager
def place(folder: Path, key: SigningKey, model: TabularWrapper, backend: str) -> Iterator[Place]:
    """Args: model: published as MODEL."""
    shutil.copytree(FUNCTIONS, folder / "functions", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(SHARED, folder / "model_functions", ignore=shutil.ignore_patterns("__pycache__"))
    canary = {"percent": 10, "seconds": CANARY_S, "max_error_rate": 0.01, "max_slowdown": 10}
    configuration = write_configuration(
        folder / "deploy.yaml", project=PROJECT, backend=backend, families=FAMILIES, canary=canary
    )
    (folder / "trust.json").write_text(json.dumps({"keys": [key.trusted("the tests").entry()]}))
    with ControlPlane(PROJECT, apis="all") as plane, pytest.MonkeyPatch.context() as patched:
        for name, value in plane.environment.items():
            patched.setenv(name, value)
        patched.delenv("GOOGLE_CLOUD_PROJECT", raising=False)
        _patch(patched, folder)
        made = Place(plane, folder, configuration)
        _prepare(plane, made.settings)
        repository = Repository(open_store(made.settings.model_store), Trust.read(folder / "trust.json"))
        publish(model, name=MODEL, examples=[ROW], repository=repository, key=key)
        made.key = _make_access_key(patched, folder, key, made.settings)
        for name, value in plane.environment_of(made.settings.account(made.settings.accounts.deployer)).items():
            patched.setenv(name, value)
        yield made


def _patch(patched: pytest.MonkeyPatch, folder: Path) -> None:
    """The verbs work in the folder."""
    patched.setattr(publisher, "RELEASE_TRUST", folder / "trust.json")
    patched.setattr(stage, "SHARED", folder / "model_functions")
    for module in (stage, flags):
        patched.setattr(module, "FUNCTIONS", folder / "functions")
    for module in (release, status):
        patched.setattr(module, "BUILD", folder / "build")
    # The fake's bindings count at once.
    patched.setattr(smoke, "SETTLING_S", 0)


def _make_access_key(patched: pytest.MonkeyPatch, folder: Path, key: SigningKey, settings: Configuration) -> str:
    """Without one, nobody would get in at the gateway, and nothing is released."""
    key.write(folder / "key.pem")
    told = io.StringIO()
    with patched.context() as publisher_s, contextlib.redirect_stdout(told):
        publisher_s.setenv("MODEL_SIGNING_KEY", str(folder / "key.pem"))
        publisher_s.setenv("MODEL_STORE", settings.model_store)
        assert main(["keys", "create", "--json"]) == 0
    return str(json.loads(told.getvalue())["key"])


def _prepare(plane: ControlPlane, settings: Configuration) -> None:
    """What bootstrap leaves behind, as far as a release needs it."""
    accounts = [settings.account(name) for name in vars(settings.accounts).values()]
    accounts += [settings.function_account(family) for family in settings.families]
    for account in accounts:
        plane.accounts.add(account)
    body = json.dumps({"name": settings.bucket, "location": settings.region}).encode()
    url = f"{plane.storage.url_of(plane.owner)}/storage/v1/b?project={plane.project}"
    assert call(url, body, **{"Content-Type": "application/json"}).status == 200
    name = f"{plane.project_name}/locations/{settings.region}/repositories/{settings.images}"
    plane.artifacts.repositories[name] = {"name": name, "format": "DOCKER", "createTime": plane.now()}
    for grant in grants(settings):
        resource = {
            "project": plane.project_name,
            "bucket": f"projects/_/buckets/{grant.place.name}",
            "images": name,
            "account": f"{plane.project_name}/serviceAccounts/{grant.place.name}",
            "secret": f"{plane.project_name}/secrets/{grant.place.name}",
        }[grant.place.kind]
        binding: dict[str, Any] = {"role": grant.role, "members": [f"serviceAccount:{grant.account}"]}
        if grant.condition:
            binding["condition"] = {"title": grant.condition.title, "expression": grant.condition.expression}
        policy = plane.policies.get(resource)
        plane.policies.set(resource, policy | {"version": 3, "bindings": [*policy.get("bindings", []), binding]})


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patches:
        _patch(patches, Path(sys.argv[1]))
        status_of_the_verb = main(sys.argv[2:])
    sys.exit(status_of_the_verb)
