"""The real gcloud does with the control plane what it does with Google Cloud."""

import json
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.control_plane import ControlPlane
from tests.fakes.control_plane.conftest import MAIN
from tests.running import call

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed"),
]

ACCOUNT = "fn-hello@demo-project.iam.gserviceaccount.com"
ON = "run cloudfunctions cloudbuild iam iamcredentials secretmanager artifactregistry cloudscheduler"
FLAGS = "--region=us-central1 --runtime=python311 --entry-point=handle --trigger-http"
SCHEDULE = "--location=us-central1 --schedule='*/5 * * * *'"


class Failed(Exception):
    """The argument is what gcloud said."""


@pytest.fixture
def gcloud(cloud: ControlPlane) -> Callable[[str], Any]:
    def gcloud(command: str) -> Any:
        """What it answers in JSON."""
        done = subprocess.run(
            ["gcloud", *shlex.split(command), "--format=json"],
            env=cloud.variables(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Failed(done.stderr)
        return json.loads(done.stdout or "null")

    return gcloud


@pytest.fixture
def cloud() -> Any:
    with ControlPlane() as plane:
        yield plane


def test_the_real_gcloud_makes_a_project_and_deploys_to_it(
    cloud: ControlPlane, gcloud: Callable[[str], Any], tmp_path: Path
) -> None:
    gcloud("services enable " + " ".join(f"{name}.googleapis.com" for name in ON.split()))
    gcloud("iam service-accounts create fn-hello")
    gcloud("storage buckets create gs://demo-models --location=us-central1 --uniform-bucket-level-access")
    (tmp_path / "note").write_text("a secret")
    gcloud(f"storage cp {tmp_path}/note gs://demo-models/hello/note")
    assert cloud.storage.data("hello/note", "demo-models") == b"a secret"
    title = 'resource.name.startsWith("projects/_/buckets/demo-models/objects/hello/")'
    policy = gcloud(
        f"storage buckets add-iam-policy-binding gs://demo-models --member=serviceAccount:{ACCOUNT} "
        f"--role=roles/storage.objectViewer --condition='expression={title},title=own'"
    )
    assert policy["bindings"][0]["condition"]["title"] == "own"
    gcloud(f"secrets create greeting --replication-policy=automatic --data-file={tmp_path}/note")
    gcloud(
        f"secrets add-iam-policy-binding greeting --member=serviceAccount:{ACCOUNT} "
        "--role=roles/secretmanager.secretAccessor"
    )

    gcloud(f"secrets versions add greeting --data-file={tmp_path}/note")

    (tmp_path / "main.py").write_text(MAIN)
    (tmp_path / "requirements.txt").write_text("functions-framework==3.10.2\n")
    deploy = f"functions deploy hello --gen2 {FLAGS} --source={tmp_path} --run-service-account={ACCOUNT}"
    gcloud(f"{deploy} --allow-unauthenticated --memory=512Mi --set-secrets=GREETING=greeting:2")
    [function] = gcloud("functions list --regions=us-central1")
    assert json.loads(call(function["url"]).body)["GREETING"] == "a secret"
    gcloud(f"scheduler jobs create http warm {SCHEDULE} --uri={function['url']}/warmup --http-method=POST")
    gcloud("scheduler jobs run warm --location=us-central1")
    cloud.scheduler.join()
    [entry] = gcloud("logging read 'httpRequest.requestUrl:\"/warmup\"' --limit=5")
    assert entry["resource"]["labels"]["revision_name"] == function["serviceConfig"]["revision"]

    cloud.faults.add("PATCH", "cloudfunctions/*", operation_error="Quota exceeded for CpuAllocPerProjectRegion.")
    with pytest.raises(Failed, match="Quota exceeded for CpuAllocPerProjectRegion"):
        gcloud(f"functions deploy hello --gen2 {FLAGS} --source={tmp_path} --update-labels=staged=1")


def test_the_real_gcloud_releases_to_cloud_run_without_traffic(
    cloud: ControlPlane, gcloud: Callable[[str], Any], tmp_path: Path
) -> None:
    cloud.service_usage.enabled.update(f"{name}.googleapis.com" for name in ON.split())
    (tmp_path / "main.py").write_text(MAIN)
    (tmp_path / "requirements.txt").write_text("functions-framework==3.10.2\n")
    deploy = f"run deploy hello --region=us-central1 --source={tmp_path} --function=handle --base-image=python311"
    gcloud(f"{deploy} --set-env-vars=GREETING=1 --no-allow-unauthenticated")
    gcloud(f"{deploy} --set-env-vars=GREETING=2 --no-traffic --tag=canary --revision-suffix=second")
    gcloud("run services update-traffic hello --region=us-central1 --to-tags=canary=10")
    traffic = cloud.services.by_name["us-central1", "hello"]["status"]["traffic"]
    assert {target["revisionName"][-7:]: target["percent"] for target in traffic if "percent" in target}[
        "-second"
    ] == 10
    compute = f"{cloud.number}-compute@developer.gserviceaccount.com"
    url = cloud.services.by_name["us-central1", "hello"]["status"]["url"]
    token = subprocess.run(
        [
            *("gcloud", "auth", "print-identity-token", f"--impersonate-service-account={compute}"),
            *(f"--audiences={url}", "--include-email"),
        ],
        env=cloud.variables(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    tag = cloud.front_end.tag_url("us-central1", "hello", "canary")
    answer = call(tag, Authorization=f"Bearer {token}")
    assert json.loads(answer.body)["K_REVISION"] == "hello-second"
