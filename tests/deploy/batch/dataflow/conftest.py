"""A project with a published model and rows in its bucket, and somebody who starts jobs there."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from deploy.cloud.configuration import Configuration
from deploy.cloud.resources import grants
from deploy.project import ROOT
from deploy.publish import publish
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.families.tabular import TabularWrapper
from model_functions.repository import Repository
from model_functions.store import open_store
from tests.deploy.cloud.written import write_configuration
from tests.fakes.bucket import Bucket
from tests.fakes.control_plane import ControlPlane
from tests.fakes.control_plane.dataflow import Submitted
from tests.tiny_models import COLUMNS

MODEL = "tiny_classifier"
ROWS = 25


class Told(NamedTuple):
    status: int
    out: str
    err: str


class Project:
    """Args: variables: of the commands' process."""

    def __init__(self, plane: ControlPlane, settings: Configuration, configuration: Path, key: Path) -> None:
        self.plane, self.settings = plane, settings
        self._configuration, self._key = configuration, key
        self._process: subprocess.Popen[str] | None = None
        self.variables: dict[str, str] = {}

    @property
    def bucket(self) -> str:
        return self.settings.batches

    def command(self, output: str, *flags: str) -> list[str]:
        place = f"gs://{self.bucket}"
        given = ["--input", f"{place}/in/*.jsonl", "--output", f"{place}/{output}", "--rows", "10"]
        return ["batch", MODEL, *given, "--runner", "DataflowRunner", "--config", str(self._configuration), *flags]

    def run(self, output: str, *flags: str) -> Told:
        return self.ask(self.command(output, *flags))

    def ask(self, arguments: list[str]) -> Told:
        if self._process is None:
            self._process = self.started()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        return Told(**json.loads(self._process.stdout.readline()))

    def started(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "tests.deploy.batch.dataflow.commands", str(self._key), *arguments]
        pipe = subprocess.PIPE
        errors = pipe if arguments else None
        return subprocess.Popen(
            command, cwd=ROOT, env=self.variables, stdin=pipe, stdout=pipe, stderr=errors, text=True
        )

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def job(self, place: int = -1) -> Submitted:
        """The last one that was submitted, or another."""
        return list(self.plane.dataflow.jobs.values())[place]

    def lines(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.plane.storage.data(name, self.bucket).splitlines()]

    def names(self, prefix: str) -> list[str]:
        return [name for name in self.plane.storage.names(self.bucket) if name.startswith(prefix)]


@pytest.fixture(scope="package")
def project(tmp_path_factory: pytest.TempPathFactory, key: SigningKey, classifier: TabularWrapper) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("dataflow")
    file = write_configuration(folder / "deploy.yaml", project="demo-project", families=["tabular", "gateway"])
    settings = Configuration.read(file)
    key.write(folder / "key.pem")
    with ControlPlane("demo-project", apis="all") as plane, pytest.MonkeyPatch.context() as patched:
        _prepare(plane, settings)
        patched.setenv("STORAGE_EMULATOR_HOST", plane.storage.url_of(plane.owner))
        repository = Repository(open_store(settings.model_store), Trust([key.trusted("the tests", local=True)]))
        publish(classifier, name=MODEL, examples=[[1.0, 2.0, 3.0]], repository=repository, key=key)
        deployer = settings.account(settings.accounts.deployer)
        made = Project(plane, settings, file, folder / "key.pem")
        with plane.instance(deployer) as metadata:
            where = {
                "GCE_METADATA_HOST": metadata.host,
                "GCE_METADATA_IP": metadata.host,
                "MODEL_STORE": settings.model_store,
            }
            made.variables = plane.variables(deployer) | where | {"OMP_NUM_THREADS": "1", "PYTHONPATH": "shared:."}
            made.variables.pop("GOOGLE_APPLICATION_CREDENTIALS", None)
            yield made
            made.stop()


@pytest.fixture
def healed(project: Project) -> Iterator[Project]:
    """The project, as it was before, afterwards."""
    yield project
    project.plane.faults.heal()
    project.plane.dataflow.free.set()


def _prepare(plane: ControlPlane, settings: Configuration) -> None:
    """What bootstrap leaves behind, as far as a job needs it; and the rows."""
    accounts = [settings.account(name) for name in vars(settings.accounts).values()]
    for account in [*accounts, *(settings.function_account(family) for family in settings.families)]:
        plane.accounts.add(account)
    for name in (settings.bucket, settings.batches):
        plane.storage.buckets[name] = Bucket(name)
    for grant in grants(settings):
        resource = {
            "project": plane.project_name,
            "bucket": f"projects/_/buckets/{grant.place.name}",
            "account": f"{plane.project_name}/serviceAccounts/{grant.place.name}",
        }.get(grant.place.kind)
        if resource is None:
            continue
        binding: dict[str, Any] = {"role": grant.role, "members": [f"serviceAccount:{grant.account}"]}
        if grant.condition:
            binding["condition"] = {"title": grant.condition.title, "expression": grant.condition.expression}
        policy = plane.policies.get(resource)
        plane.policies.set(resource, policy | {"version": 3, "bindings": [*policy.get("bindings", []), binding]})
    rows = [dict(zip(COLUMNS, (number / ROWS, 1.0, 2.0), strict=True)) for number in range(ROWS)]
    rows[7] = {COLUMNS[0]: 1.0}
    text = "".join(json.dumps(row) + "\n" for row in rows)
    plane.storage.put("in/rows.jsonl", text.encode(), settings.batches)
