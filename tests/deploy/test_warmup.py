"""The verb warmup against the control plane, by the real gcloud: jobs are made, changed, left, paused and deleted."""

import base64
import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.__main__ import main
from tests.fakes.control_plane import ControlPlane

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed, and it is what makes the jobs"),
    pytest.mark.usefixtures("quick_gcloud"),
]

URL = "https://us-central1-demo-project.cloudfunctions.net/translation"
JOB = "projects/demo-project/locations/us-central1/jobs/warm-translation"


@pytest.fixture
def plane(monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPlane]:
    with ControlPlane(apis="all", probes=False) as made:
        made.accounts.add("model-warmup@demo-project.iam.gserviceaccount.com")
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


def warmup(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    status = main(["warmup", *arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_a_job_is_made_left_as_it_is_changed_back_paused_and_deleted(
    plane: ControlPlane, capsys: pytest.CaptureFixture[str]
) -> None:
    status, told = warmup(capsys, "translation")
    assert (status, told[0]["state"]) == (0, "made: */10 * * * * (Etc/UTC)")
    target = plane.scheduler.jobs[JOB]["httpTarget"]
    assert (target["uri"], target["httpMethod"]) == (f"{URL}/warmup", "POST")
    assert json.loads(base64.b64decode(target["body"])) == {}
    # Without the path: with it, the token would count nowhere.
    assert target["oidcToken"] == {
        "serviceAccountEmail": "model-warmup@demo-project.iam.gserviceaccount.com",
        "audience": URL,
    }
    made = dict(plane.scheduler.jobs[JOB])

    status, told = warmup(capsys, "translation")
    assert told[0]["state"].startswith("nothing to do: enabled, */10 * * * *")

    plane.scheduler.jobs[JOB]["schedule"] = "0 0 1 1 *"
    status, told = warmup(capsys, "translation")
    assert told[0]["state"].startswith("changed:")
    assert plane.scheduler.jobs[JOB]["schedule"] == made["schedule"]
    assert plane.scheduler.jobs[JOB]["httpTarget"] == made["httpTarget"]

    assert warmup(capsys, "translation", "--pause")[1][0]["state"] == "paused"
    assert plane.scheduler.jobs[JOB]["state"] == "PAUSED"
    assert warmup(capsys, "--list")[1][0]["state"].startswith("paused, */10")
    plane.faults.add("POST", "cloudscheduler/*:resume", status=429)
    status, told = warmup(capsys, "translation", "--resume")
    assert (status, told[0]["failed"]) == (1, True)
    assert "Wait, or ask for more: https://console.cloud.google.com/iam-admin/quotas" in told[0]["state"]
    assert told[0]["state"].endswith(
        "\n  now: nothing of this job was changed\n  next: python -m deploy warmup translation --resume --json"
    )
    assert warmup(capsys, "translation", "--resume")[1][0]["state"] == "resumed"
    assert warmup(capsys, "translation", "--resume")[1][0]["state"].startswith("nothing to do: enabled, ")
    assert warmup(capsys, "translation", "--delete")[1][0]["state"] == "deleted"
    assert warmup(capsys, "translation", "--delete")[1][0]["state"] == "nothing to do: there is none"


def test_who_may_not_is_told_what_to_do_and_which_command_goes_on(
    plane: ControlPlane, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plane.accounts.add("nobody@demo-project.iam.gserviceaccount.com")
    for name, value in plane.environment_of("nobody@demo-project.iam.gserviceaccount.com").items():
        monkeypatch.setenv(name, value)
    assert main(["warmup", "translation"]) == 1
    said = capsys.readouterr().err
    assert "cloudscheduler.jobs.list" in said
    assert "python -m deploy doctor shows what is missing" in said


def test_a_job_that_is_not_there_is_not_run(plane: ControlPlane, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["warmup", "translation", "--run"]) == 1
    assert "There is no job warm-translation. Make it: python -m deploy warmup translation" in capsys.readouterr().out
