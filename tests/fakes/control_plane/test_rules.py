"""What Google's servers refuse, and in which words."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.control_plane import ControlPlane
from tests.fakes.control_plane.conftest import PLACE, Asking, asking, deploy, finished, zipped

COMPUTE = "415926535897-compute@developer.gserviceaccount.com"
SOURCE = {"storageSource": {"bucket": "b", "object": "o"}}

JOB = {"schedule": "*/5 * * * *", "httpTarget": {"uri": "https://example.com"}}


@pytest.fixture(scope="module")
def refused() -> Iterator[Asking]:
    """Asks a control plane that nothing of what is asked changes."""
    with ControlPlane(apis="all") as plane:
        yield asking(plane)
        assert not plane.functions.by_name
        assert not plane.scheduler.jobs


@pytest.mark.parametrize(
    ("service", "message"),
    [
        pytest.param({"availableCpu": "0.5", "maxInstanceRequestConcurrency": 2}, "cpu < 1", id="too little for two"),
        pytest.param({"availableCpu": "4", "availableMemory": "1Gi"}, "2048Mi to 16384Mi, not 1Gi", id="too small"),
        pytest.param({"availableCpu": "1", "availableMemory": "8Gi"}, "128Mi to 4096Mi, not 8Gi", id="too large"),
        pytest.param({"availableCpu": "3"}, "none of 1, 2, 4, 6, 8", id="no such number of cpus"),
        pytest.param({"timeoutSeconds": 3601}, "timeout: 3601s", id="too patient"),
        pytest.param({"maxInstanceCount": 2, "minInstanceCount": 3}, r"min_instances \(3\)", id="more least than most"),
        pytest.param({"environmentVariables": {"PORT": "1"}}, "reserved env names were provided: PORT", id="reserved"),
        pytest.param({"memory": "1Gi"}, "Unknown name \"memory\" at 'service_config'", id="unknown field"),
        pytest.param(
            {"serviceAccountEmail": "nobody@demo-project.iam.gserviceaccount.com"}, "nobody@", id="no account"
        ),
    ],
)
def test_a_function_that_no_instance_fits_is_refused(refused: Asking, service: dict[str, Any], message: str) -> None:
    build = {"runtime": "python311", "entryPoint": "handle", "source": SOURCE}
    body = {"buildConfig": build, "serviceConfig": {"availableMemory": "512Mi", **service}}
    status, error = refused("POST", f"cloudfunctions/v2/{PLACE}/functions?functionId=hello", body)
    assert status in (400, 403)
    assert re.search(message, error["message"]), error["message"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        pytest.param("GET", "nothing/v1/x", None, 404, "There is no API", id="no API"),
        pytest.param("GET", "run/v9/x", None, 404, "The fake run knows no GET v9/x", id="no route"),
        pytest.param("POST", f"cloudfunctions/v2/{PLACE}/functions?functionId=A_b", {}, 400, "'A_b'", id="name"),
        pytest.param(
            "POST",
            f"cloudfunctions/v2/{PLACE}/functions?functionId=a",
            {"labels": {"Family": "x"}, "buildConfig": {"runtime": "python311"}},
            400,
            "Invalid label key: 'Family'",
            id="label",
        ),
        pytest.param(
            "POST",
            f"cloudfunctions/v2/{PLACE}/functions?functionId=a",
            {"buildConfig": {"runtime": "python27"}},
            400,
            "Runtime python27 is not supported",
            id="runtime",
        ),
        pytest.param(
            "POST",
            f"cloudscheduler/v1/{PLACE}/jobs",
            JOB | {"name": f"{PLACE}/jobs/a", "schedule": "every blue moon"},
            400,
            "Schedule or time zone is invalid: 'every blue moon'",
            id="schedule",
        ),
        pytest.param(
            "POST",
            f"cloudscheduler/v1/{PLACE}/jobs",
            JOB | {"name": f"{PLACE}/jobs/a", "attemptDeadline": "10s"},
            400,
            "[15s, 30m], not 10s",
            id="deadline",
        ),
        pytest.param(
            "POST", "secretmanager/v1/projects/demo-project/secrets?secretId=a", {}, 400, "replication", id="secret"
        ),
        pytest.param(
            "POST",
            "iam/v1/projects/demo-project/serviceAccounts",
            {"accountId": "abc"},
            400,
            "'abc'",
            id="short account",
        ),
        pytest.param(
            "POST",
            f"cloudbuild/v1/{PLACE}/builds",
            {"steps": [{"name": "x", "waitfor": []}]},
            400,
            "Unknown name \"waitfor\" at 'build.steps[0]'",
            id="step",
        ),
        pytest.param(
            "POST",
            f"cloudbuild/v1/{PLACE}/builds",
            {"steps": [{"name": "x"}], "serviceAccount": f"projects/-/serviceAccounts/{COMPUTE}"},
            400,
            "CLOUD_LOGGING_ONLY",
            id="logs of an account's own build",
        ),
    ],
)
def test_what_google_refuses_is_refused(
    refused: Asking, method: str, path: str, body: dict[str, Any] | None, status: int, message: str
) -> None:
    answered, error = refused(method, path, body)
    assert answered == status
    assert message in error["message"]


@pytest.mark.parametrize(
    ("source", "build", "message"),
    [
        pytest.param({"main": ""}, {}, "missing main.py and GOOGLE_FUNCTION_SOURCE not specified", id="no main.py"),
        pytest.param({"main": "def f(:"}, {}, r"Error compiling './main.py'... SyntaxError", id="syntax"),
        pytest.param(
            {"requirements": "numpy==1 --hash=sha256:00"}, {}, "functions-framework is missing", id="no framework"
        ),
        pytest.param({"requirements": "functions-framework\n=1"}, {}, "Invalid requirement: '=1'", id="requirement"),
        pytest.param({}, {"GOOGLE_PYTHON_VERSION": "banana"}, "Runtime version banana is not supported", id="version"),
    ],
)
def test_a_build_fails_as_googles_does(
    plane: ControlPlane, ask: Asking, source: dict[str, str], build: dict[str, str], message: str
) -> None:
    operation = deploy(plane, ask, source=zipped(**source), environmentVariables=build)
    assert operation["error"]["message"].startswith("Build failed with status: FAILURE and message: ")
    assert message in operation["error"]["message"]
    _, function = ask("GET", f"cloudfunctions/v2/{PLACE}/functions/hello")
    assert function["state"] == "FAILED"
    assert message in function["stateMessages"][0]["message"]


def test_an_api_answers_once_it_is_enabled() -> None:
    with ControlPlane() as plane:
        ask = asking(plane)
        status, error = ask("GET", "secretmanager/v1/projects/demo-project/secrets")
        assert status == 403
        assert "Enable it by visiting" in error["message"]
        body = {"serviceIds": ["secretmanager.googleapis.com"]}
        _, operation = ask("POST", "serviceusage/v1/projects/demo-project/services:batchEnable", body)
        finished(ask, operation, "serviceusage/v1")
        assert ask("GET", "secretmanager/v1/projects/demo-project/secrets") == (200, {})
