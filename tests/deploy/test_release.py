"""Releases by the real gcloud into the fake control plane, where what was deployed really answers."""

import json
import shutil
from collections.abc import Iterator

import pytest

from model_functions.artifact.signing_key import SigningKey
from model_functions.families.tabular import TabularWrapper
from tests.deploy.cloud.released import FAILING_FROM, FAMILIES, MODEL, ROW, Place, place
from tests.running import call

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed, and releases are made by it"),
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

    # Back by hand.
    assert there.run("release", "tabular", "--rollback") == 0
    assert there.traffic("tabular") == {first: 100}
    assert f"tabular: roll back; {first} serves all; it was {second} 100 %" in capfd.readouterr().out


@pytest.mark.parametrize("there", ["run", "functions"], indirect=True)
def test_what_goes_wrong_is_told_with_the_state_and_the_way_on(there: Place, capfd: pytest.CaptureFixture[str]) -> None:
    if not there.revisions("tabular"):
        assert there.run("release", "tabular") == 0
        capfd.readouterr()
    before = there.traffic("tabular")

    # A build that fails leaves what serves.
    there.touch("families/tabular.py", "# one more line")
    is_run = there.settings.backend == "run"
    broken = "run/*builds:submit" if is_run else "cloudfunctions/*/functions/tabular"
    told_how = {"status": 400, "message": "no wheel was found"} if is_run else {"operation_error": "no wheel was found"}
    fault = there.plane.faults.add("change", broken, **told_how)
    assert there.run("release", "tabular") == 1
    told = capfd.readouterr().out
    assert "tabular: FAILED: " in told
    assert "no wheel was found" in told
    assert "next: python -m deploy release tabular --config=" in told
    assert there.traffic("tabular") == before

    # Who may not deploy is told so.
    api = "run/*" if is_run else "cloudfunctions/*"
    fault = there.plane.faults.add("change", api, status=403, times=None)
    assert there.run("release", "tabular") == 1
    fault.times = 0
    told = capfd.readouterr().out
    assert "python -m deploy doctor shows what is missing" in told

    # Once it may, the same command does all that was left.
    assert there.run("release", "tabular") == 0
    assert there.traffic("tabular") == {there.revisions("tabular")[-1]: 100}
