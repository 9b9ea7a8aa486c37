"""Releases by the real gcloud into the fake control plane, where what was deployed really answers."""

import json
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_functions.artifact.signing_key import SigningKey
from model_functions.families.tabular import TabularWrapper
from tests.deploy.cloud.released import CANARY_S, FAILING_FROM, FAMILIES, MODEL, ROW, Place, place
from tests.gcloud.linter import refused
from tests.running import call

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed, and releases are made by it"),
    pytest.mark.usefixtures("quick_gcloud"),
]


@pytest.fixture(scope="module")
def there(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    key: SigningKey,
    classifier: TabularWrapper,
) -> Iterator[Place]:
    """One project for each backend; a test goes on from the state in which the one before it left it."""
    with place(tmp_path_factory.mktemp(request.param), key, classifier, request.param) as made:
        yield made


# The other backend's is a part of tests/system/test_delivery.py.
@pytest.mark.parametrize("there", ["run"], indirect=True)
def test_the_story_of_a_release(there: Place, capfd: pytest.CaptureFixture[str]) -> None:
    # Nothing is deployed yet.
    assert there.run("release") == 0
    [first] = there.revisions("tabular")
    assert there.traffic("tabular") == {first: 100}
    assert there.service("tabular")["metadata"]["labels"]["family"] == "tabular"
    capfd.readouterr()

    # Who has a key gets at the family through the gateway.
    body = json.dumps({"model_name": MODEL, "data": ROW}).encode()
    answer = call(f"{there.service('gateway')['status']['url']}/predict", body, **{"X-Api-Key": there.key})
    assert (answer.status, json.loads(answer.body)["model_name"]) == (200, MODEL), answer.body

    # And so does Cloud Scheduler, by the gateway's job.
    assert there.run("warmup", "gateway") == 0
    assert there.run("warmup", "gateway", "--run") == 0
    assert "warm-gateway: answered 200 within " in capfd.readouterr().out
    [job] = there.plane.scheduler.jobs.values()
    assert job["httpTarget"]["oidcToken"]["audience"] == "https://gateway-415926535897.us-central1.run.app"

    # Nothing has changed.
    assert there.run("release", "--json") == 0
    results = json.loads(capfd.readouterr().out)
    assert [(result["family"], result["action"], result["changed"]) for result in results] == [
        (family, "nothing to do", 0) for family in FAMILIES
    ]

    # One family's module is another: it alone is deployed, as a canary, which does well.
    there.touch("families/tabular.py", "# another line")
    assert there.run("release") == 0
    assert len(there.revisions("gateway")) == 1
    [_, second] = there.revisions("tabular")
    assert there.traffic("tabular") == {second: 100}
    assert there.tags("tabular") == {"previous": first}
    told = capfd.readouterr()
    assert f"tabular: deploy; {second} serves all; {first} served before" in told.out
    assert f"{first} serves 90 %, {second} 10 %, for 2 s" in told.err
    assert "0 errors, median" in told.err

    # A revision whose smoke test goes well and that fails then is taken back.
    there.touch("families/tabular.py", FAILING_FROM.format(number=6))
    assert there.run("release") == 1
    [_, _, third] = there.revisions("tabular")
    assert there.traffic("tabular") == {second: 100}
    told = capfd.readouterr()
    assert "answers were errors" in told.out
    assert f"now: rolled back: {second} serves all" in told.out
    assert "next: Its log: gcloud logging read" in told.out

    # Status tells of it, and of what was changed by hand.
    container = there.service("tabular")["spec"]["template"]["spec"]["containers"][0]
    container["resources"]["limits"]["memory"] = "2Gi"
    assert there.run("status", "--json") == 0
    [row] = [row for row in json.loads(capfd.readouterr().out)["families"] if row["family"] == "tabular"]
    assert (row["revision"], row["traffic"]) == (third, {second: 100})
    assert row["drift"] == ["memory is 2Gi, and flags.yaml says 1Gi"]
    assert row["models"][0]["aliases"].keys() == {"prod"}

    # Back by hand, as far as there is a way back.
    assert there.run("release", "tabular", "--rollback") == 0
    assert there.traffic("tabular") == {first: 100}
    assert f"tabular: roll back; {first} serves all; it was {second} 100 %" in capfd.readouterr().out
    assert there.run("release", "--rollback") == 1
    assert "error: No family's last release left a revision to go back to. Name the families." in capfd.readouterr().err
    assert there.run("release", "tabular", "gateway", "--rollback") == 1
    said = capfd.readouterr().out
    [gateway] = there.revisions("gateway")
    assert f"tabular: FAILED: there is no revision before {first}\n  now: {first} 100 %, as before\n  next: " in said
    assert f"gateway: FAILED: there is no revision before {gateway}\n  now: {gateway} 100 %, as before" in said

    # All at once: a status tells which revision is newer, and a release without a canary goes on with the tree's.
    assert there.run("status", "tabular") == 0
    said = capfd.readouterr().out
    assert f"tabular: {first} 100 %; " in said
    assert f"  {third} is newer and does not serve all; python -m deploy release tabular goes on with it" in said
    assert "  python -m deploy release tabular --force deploys it as the tree has it" in said
    there.touch("families/tabular.py", "# Repaired.")
    assert there.run("release", "tabular", "--no-canary", "--no-smoke") == 0
    fourth = there.revisions("tabular")[-1]
    assert (there.traffic("tabular"), there.tags("tabular")) == ({fourth: 100}, {"previous": first})
    assert "asking" not in capfd.readouterr().err


def assert_dry_runs_are_taken(there: Place, capfd: pytest.CaptureFixture[str], folder: Path) -> None:
    """By gcloud's own linter, of a canary over what serves and of the way back; and they change nothing."""
    there.touch("families/tabular.py", "# one more line")
    before = there.service("tabular")["metadata"]["generation"]
    assert there.run("release", "tabular", "--dry-run") == 0
    assert there.run("release", "tabular", "--rollback", "--dry-run") == 0
    printed = capfd.readouterr().out.splitlines()
    assert [line for line in printed if "--to-latest" in line]
    assert [line for line in printed if line.endswith("=100 --remove-tags=canary --project=demo-project --quiet")]
    assert refused(printed, folder) == {}
    assert there.service("tabular")["metadata"]["generation"] == before


def told_until(release: "subprocess.Popen[str]", words: str) -> None:
    """Waits for a line of what a release tells of its steps."""
    assert release.stderr is not None
    assert release.stdout is not None
    lines = []
    for line in release.stderr:
        lines.append(line)
        if words in line:
            return
    raise AssertionError("".join([*lines, *release.stdout]))


@pytest.mark.parametrize("there", ["run"], indirect=True)
def test_a_release_that_is_ended_in_its_canary_goes_on_from_there(
    there: Place, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """What is released is a function with a GPU, of which an instance is kept."""
    if not there.revisions("tabular"):
        assert there.run("release", "--no-canary", "--no-smoke") == 0
    [before] = there.traffic("tabular")
    there.extend("tabular", "run.yaml", gpu=1, gpu_type="nvidia-l4", cpu=4, memory="16Gi")
    there.extend("tabular", "flags.yaml", min_instances=1, max_instances=3)

    # Long enough to be ended in, however busy this machine is.
    there.watch_canaries(600)
    killed = there.start("release", "tabular")
    told_until(killed, " 10 %, for 600 s")
    killed.kill()
    killed.communicate()
    new = there.revisions("tabular")[-1]
    assert (there.traffic("tabular"), there.tags("tabular")["canary"]) == ({before: 90, new: 10}, new)
    template = there.service("tabular")["spec"]["template"]
    assert template["spec"]["containers"][0]["resources"]["limits"] == {
        "cpu": "4",
        "memory": "16Gi",
        "nvidia.com/gpu": "1",
    }
    assert template["metadata"]["annotations"]["run.googleapis.com/cpu-throttling"] == "False"
    assert there.service("tabular")["metadata"]["annotations"]["run.googleapis.com/minScale"] == "1"
    assert "autoscaling.knative.dev/minScale" not in template["metadata"]["annotations"]
    assert there.run("status", "tabular") == 0
    told = capfd.readouterr().out
    assert f"tabular: {before} 90 %, {new} 10 %; " in told
    assert f"{new} is newer and does not serve all; python -m deploy release tabular goes on with it" in told
    assert "differs" not in told

    stopped = there.start("release", "tabular", "gateway")
    told_until(stopped, " 10 %, for 600 s")
    stopped.terminate()
    told, more = stopped.communicate()
    assert stopped.returncode == 1, more
    goes_on = f"--config={there.configuration} goes on from there"
    assert (
        f"tabular: FAILED: interrupted\n  now: {before} 90 %, {new} 10 %; what was asked of Google may still go on "
        f"there\n  next: python -m deploy release tabular {goes_on}\n" in told
    )
    assert "gateway: FAILED: interrupted\n  now: nothing was changed\n  next: python -m deploy release gateway " in told

    there.watch_canaries(CANARY_S)
    assert there.run("release", "tabular") == 0
    assert f"tabular: finish; {new} serves all; {before} served before" in capfd.readouterr().out
    assert (there.traffic("tabular"), there.tags("tabular")) == ({new: 100}, {"previous": before})
    assert_dry_runs_are_taken(there, capfd, tmp_path)


@pytest.mark.parametrize("there", ["functions"], indirect=True)
def test_a_release_that_is_ended_while_google_builds_is_waited_for(
    there: Place, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # The first one fails, and the next one makes good for it.
    there.plane.faults.add("POST", "cloudfunctions/*/functions", operation_error="no wheel was found")
    assert there.run("release", "tabular") == 1
    told = capfd.readouterr().out
    assert "no wheel was found" in told
    assert "\n  now: nothing serves\n  next: python -m deploy release tabular --config=" in told
    assert there.run("release", "tabular") == 0
    [before] = there.revisions("tabular")
    assert f"tabular: deploy; {before} serves all, and nothing served before" in capfd.readouterr().out

    there.touch("families/tabular.py", "# a line")
    hold = threading.Event()
    there.plane.faults.add("PATCH", "cloudfunctions/*/functions/tabular", operation_hold=hold)
    asked = len(there.plane.requests)
    stopped = there.start("release", "tabular")
    while not any(request.method == "PATCH" for request in there.plane.requests[asked:]):
        assert stopped.poll() is None, stopped.communicate()
        time.sleep(0.05)
    stopped.send_signal(signal.SIGINT)
    told, more = stopped.communicate()
    assert stopped.returncode == 1, more
    again = f"python -m deploy release tabular --config={there.configuration} goes on from there"
    still = "what was asked of Google may still go on there"
    assert f"tabular: FAILED: interrupted\n  now: {before} 100 %; {still}\n  next: {again}" in told

    assert there.run("status", "tabular") == 0
    assert "  being deployed at this moment\n" in capfd.readouterr().out
    assert there.run("release", "tabular") == 1
    told = capfd.readouterr().out
    assert "tabular: FAILED: tabular is being deployed already, by somebody else or by a release that was " in told
    assert "\n  now: nothing was changed\n" in told

    hold.set()
    there.plane.operations.join()
    assert there.run("release", "tabular") == 0
    new = there.revisions("tabular")[-1]
    assert (there.traffic("tabular"), there.tags("tabular")) == ({new: 100}, {"previous": before})
    assert f"tabular: finish; {new} serves all; {before} served before" in capfd.readouterr().out
    assert_dry_runs_are_taken(there, capfd, tmp_path)


@pytest.mark.parametrize("there", ["run", "functions"], indirect=True)
def test_what_goes_wrong_is_told_with_the_state_and_the_way_on(there: Place, capfd: pytest.CaptureFixture[str]) -> None:
    if not there.revisions("gateway"):
        assert there.run("release", "gateway") == 0
    capfd.readouterr()
    tabular, gateway = there.traffic("tabular"), there.traffic("gateway")
    is_run = there.settings.backend == "run"
    place = "run/*/services/{}" if is_run else "cloudfunctions/*/functions/{}"
    verb = "PUT" if is_run else "PATCH"

    # A build that fails leaves what serves; and one family's trouble is not another's, of which there is less.
    there.touch("names.py", "# A module of every function.")
    broken = "run/*builds:submit" if is_run else place.format("tabular")
    there.plane.faults.add("change", broken, operation_error="no wheel was found")
    there.plane.faults.add(verb, place.format("gateway"), status=429, after=1 if is_run else 0)
    assert there.run("release") == 1
    told = capfd.readouterr().out
    of_tabular, _, of_gateway = told.partition("gateway: ")
    assert of_tabular.startswith("tabular: FAILED: ")
    assert "no wheel was found" in of_tabular
    assert f"\n  now: {next(iter(tabular))} 100 %\n  next: python -m deploy release tabular --config=" in of_tabular
    assert "Quota exceeded for quota metric 'Write requests'" in of_gateway
    assert "Wait, or ask for more: https://console.cloud.google.com/iam-admin/quotas" in of_gateway
    assert f"\n  now: {next(iter(gateway))} 100 %" in of_gateway
    assert (there.traffic("tabular"), there.traffic("gateway")) == (tabular, gateway)

    # Who may not deploy is told so, and whom somebody else was before.
    there.plane.faults.add(verb, place.format("tabular"), status=403)
    there.plane.faults.add(verb, place.format("gateway"), status=409)
    assert there.run("release") == 1
    told = capfd.readouterr().out
    of_tabular, _, of_gateway = told.partition("gateway: ")
    assert "python -m deploy doctor shows what is missing" in of_tabular
    assert "Somebody else changed it meanwhile. Run the same command again." in of_gateway
    assert (there.traffic("tabular"), there.traffic("gateway")) == (tabular, gateway)

    # Once all may, the same command does all that was left; gcloud gets over what is away for a moment.
    there.plane.faults.add(verb, place.format("tabular"), status=503)
    assert there.run("release") == 0
    assert there.traffic("tabular") == {there.revisions("tabular")[-1]: 100}
    assert there.traffic("gateway") == {there.revisions("gateway")[-1]: 100}
    assert there.traffic("gateway") != gateway
