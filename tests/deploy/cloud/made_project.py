"""A project that the real gcloud made in a control plane, by several runs of bootstrap: the first ones failed."""

import contextlib
import io
import json
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from deploy.__main__ import main
from deploy.cloud import resources
from tests.fakes.control_plane import ControlPlane
from tests.fakes.control_plane.billing import ACCOUNT

REPOSITORY = "projects/acme-prod/locations/us-central1/connections/gh/repositories/app"
BUCKET = "projects/_/buckets/acme-prod-models"
POOL = "model-functions"
DEPLOYER = "model-deployer@acme-prod.iam.gserviceaccount.com"

#: A verb in a process of its own, for the project that needs less.
VERB = """
import sys
from pathlib import Path
from deploy.__main__ import main
from deploy.cloud import resources
resources.FILE = Path(sys.argv[1])
sys.exit(main(sys.argv[2:]))
"""


@dataclass
class Told:
    """What a verb ended with, and said."""

    status: int
    out: str
    err: str


@dataclass
class Project:
    """Args: on_the_way: what was told while it was made, by what was in the way."""

    plane: ControlPlane
    file: Path
    on_the_way: dict[str, Told] = field(default_factory=dict)

    def run(self, verb: str, *flags: str) -> Told:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main([verb, "--config", str(self.file), *flags])
        return Told(status, out.getvalue(), err.getvalue())

    def bootstrap_killed(self, after: int) -> None:
        """Ends bootstrap, and all that it has begun, when so many of its changes went well and the next one comes."""
        command = [sys.executable, "-c", VERB, str(resources.FILE), "bootstrap", "--config", str(self.file)]
        nowhere = subprocess.DEVNULL
        with subprocess.Popen(command, start_new_session=True, stdout=nowhere, stderr=nowhere) as process:
            self.plane.faults.add("change", after=after, then=lambda: os.killpg(process.pid, signal.SIGKILL))
            assert process.wait(timeout=300) == -signal.SIGKILL
        self.plane.faults.heal()

    def examined(self) -> dict[str, Any]:
        """What doctor says, by what it is about."""
        told = self.run("doctor", "--json")
        found = {one["what"]: one for one in json.loads(told.out)}
        assert told.status == any(one["verdict"] == "wrong" for one in found.values())
        return found

    def gcloud(self, command: str) -> None:
        assert command.startswith("gcloud ")
        done = subprocess.run(shlex.split(command), capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"

    def changes(self) -> int:
        return sum(request.is_change for request in self.plane.requests)


def needing_less(file: Path) -> Path:
    wanted = resources.read()
    rules = [
        next(rule for rule in wanted["grants"] if rule[field] == value)
        for field, value in (("role", "roles/run.admin"), ("at", "warmup's account"), ("to", "functions"))
    ]
    file.write_text(yaml.safe_dump(wanted | {"secrets": {"model-signing-key": ""}, "grants": rules}))
    return file


def make(project: Project) -> None:
    plane, told = project.plane, project.on_the_way
    plane.billing.account = ""
    told["new"] = project.run("doctor")
    told["no billing"] = project.run("bootstrap")
    project.gcloud(f"gcloud billing projects link acme-prod --billing-account={ACCOUNT.partition('/')[2]}")

    for after in (0, 5):
        project.bootstrap_killed(after)

    # Somebody did by hand what a person might, and is not connected to GitHub yet.
    wide = {
        "role": "roles/storage.objectViewer",
        "members": ["serviceAccount:fn-tabular@acme-prod.iam.gserviceaccount.com"],
    }
    plane.faults.add("POST", "iam/v1/projects/acme-prod/serviceAccounts", status=403, times=None)
    for account in list(plane.accounts.by_email):
        if not account.startswith(plane.number):
            del plane.accounts.by_email[account]
    told["no permission"] = project.run("bootstrap")
    plane.faults.heal()
    # The accounts, and then in the middle of who may what.
    project.bootstrap_killed(after=7)
    plane.policies.by_resource[BUCKET] = {"version": 1, "bindings": [wide]}
    # An account that was made a moment ago is not known everywhere yet.
    plane.faults.add("PUT", "storage/v1/b/*/iam", status=400, message="Service account fn-tabular does not exist.")
    told["not connected"] = project.run("bootstrap")
