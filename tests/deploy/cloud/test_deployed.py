"""What is deployed, as Google tells it, and where that differs from the tree."""

from dataclasses import replace
from typing import Any

import pytest

from deploy.cloud import deployed
from deploy.cloud.configuration import Configuration
from deploy.cloud.deployed import Deployed
from deploy.cloud.drift import drift
from deploy.cloud.flags import Flags
from deploy.cloud.sdk import Gcloud
from deploy.cloud.variables import functions_url, variables

HERE = Configuration.read(flags={"project": "demo-project", "region": "us-central1", "backend": "functions"})


def service(name: str = "tabular", *traffic: dict[str, Any], **status: Any) -> dict[str, Any]:
    """As `gcloud run services list` has it."""
    container = {
        "image": "image",
        "resources": {"limits": {"memory": "1Gi", "cpu": "1000m"}},
        "env": [
            *({"name": key, "value": value} for key, value in variables(Flags.read(name), HERE, "https://x").items()),
            *({"name": key, "value": value} for key, value in Flags.read(name).environment.items()),
            {"name": "LOG_EXECUTION_ID", "value": "true"},
        ],
    }
    template = {"containers": [container], "containerConcurrency": 32, "timeoutSeconds": 300}
    template["serviceAccountName"] = HERE.function_account(name)
    return {
        "metadata": {"name": name, "labels": {"staged": "0123456789abcdef"}},
        "spec": {"template": {"spec": template}},
        "status": {
            "url": f"https://{name}-1.us-central1.run.app",
            "latestCreatedRevisionName": f"{name}-2",
            "latestReadyRevisionName": f"{name}-2",
            "traffic": list(traffic) or [{"revisionName": f"{name}-2", "percent": 100, "latestRevision": True}],
        }
        | status,
    }


@pytest.fixture
def now() -> Deployed:
    return deployed._deployed("tabular", service(), None)


def test_a_function_that_is_as_it_should_be(now: Deployed) -> None:
    assert (now.is_whole, now.follows_latest, now.serving, now.trouble) == (True, True, "tabular-2", "")
    assert drift(now, Flags.read("tabular"), HERE, variables(Flags.read("tabular"), HERE, "https://x"), now.label) == []


def test_in_the_middle_of_a_canary_the_other_revision_serves() -> None:
    traffic = (
        {"revisionName": "tabular-1", "percent": 50},
        {"revisionName": "tabular-2", "percent": 50, "tag": "canary", "url": "https://canary---tabular"},
    )
    found = deployed._deployed("tabular", service("tabular", *traffic), None)
    assert (found.serving, found.is_whole, found.follows_latest) == ("tabular-1", False, False)
    assert found.tags == {"canary": ("tabular-2", "https://canary---tabular")}


def test_a_revision_that_does_not_start_is_told() -> None:
    conditions = [{"type": "Ready", "status": "False", "message": "The container failed to start."}]
    found = deployed._deployed("tabular", service(latestCreatedRevisionName="tabular-3", conditions=conditions), None)
    assert not found.is_whole
    assert found.trouble == "The container failed to start."


def test_a_function_whose_build_failed_is_told() -> None:
    assert deployed._deployed("tabular", {}, {"state": "FAILED", "labels": {}}).trouble == "it is FAILED"
    assert deployed._deployed("tabular", {}, {"state": "DEPLOYING"}).in_progress


def test_what_was_changed_by_hand_is_told(now: Deployed) -> None:
    flags = Flags.read("tabular")
    wanted = variables(flags, HERE, "https://x")
    environment = dict(now.settings["environment"]) | {"THREADS": "2", "BY_HAND": "yes"}
    del environment["MODEL_STORE"]
    flags = replace(flags, own={**flags.own, "--max-instances": 10})
    by_hand = {
        "memory": "4Gi",
        "cpu": "2",
        "concurrency": 8,
        "timeout": 60,
        "account": "x@y",
        "gpu": "1",
        "min_instances": 2,
        "max_instances": 7,
        "environment": environment,
    }
    assert drift(replace(now, settings=by_hand), flags, HERE, wanted, "f" * 16) == [
        "the tree is ffffffffffffffff, and 0123456789abcdef is deployed",
        "memory is 4Gi, and flags.yaml says 1Gi",
        "cpu is 2, and flags.yaml says 1",
        "concurrency is 8, and flags.yaml says 32",
        "timeout is 60, and flags.yaml says 300s",
        "min instances are 2, and flags.yaml says 0",
        "max instances are 7, and flags.yaml says 10",
        "it has 1 GPU, and run.yaml says none",
        "it runs as x@y, and not as fn-tabular@demo-project.iam.gserviceaccount.com",
        "BY_HAND is set, and nothing here sets it",
        "MODEL_STORE is not set, and should be gs://demo-project-models",
        "THREADS is 2, and should be 64",
    ]


def test_instances_are_kept_by_the_service_or_by_its_revisions() -> None:
    of_revisions = service()
    of_revisions["spec"]["template"]["metadata"] = {"annotations": {"autoscaling.knative.dev/minScale": "3"}}
    assert deployed._deployed("tabular", of_revisions, None).settings["min_instances"] == 3
    of_all = service()
    of_all["metadata"]["annotations"] = {"run.googleapis.com/minScale": "2", "run.googleapis.com/maxScale": "5"}
    found = deployed._deployed("tabular", of_all, None).settings
    assert (found["min_instances"], found["max_instances"]) == (2, 5)


def test_functions_url_is_known_before_anything_is_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    gcloud = Gcloud("demo-project")
    answers: list[Any] = [{"projectNumber": "123"}, None]
    monkeypatch.setattr(Gcloud, "read", lambda self, *command: answers.pop(0))
    assert functions_url(gcloud, HERE) == "https://us-central1-demo-project.cloudfunctions.net"
    run = replace(HERE, backend="run")
    assert functions_url(gcloud, run) == "https://{function}-123.us-central1.run.app"
    with pytest.raises(ValueError, match=r"demo-project is not there, .* python -m deploy bootstrap"):
        functions_url(gcloud, run)


def test_who_has_no_key_is_let_in_by_its_account() -> None:
    found = variables(Flags.read("gateway"), HERE, "https://r-p.cloudfunctions.net")
    assert found == {
        "MODEL_STORE": "gs://demo-project-models",
        "GOOGLE_CLOUD_PROJECT": "demo-project",
        "FUNCTIONS_URL": "https://r-p.cloudfunctions.net",
        "ACCESS_ACCOUNTS": "model-warmup@demo-project.iam.gserviceaccount.com:warm",
        "ACCESS_AUDIENCE": "https://r-p.cloudfunctions.net/gateway",
    }
