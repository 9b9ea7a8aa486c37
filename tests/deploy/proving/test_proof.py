"""A revision is proven in a fresh process before an alias moves, verified at any time, compared with the old one."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from deploy import pins
from deploy.__main__ import main
from deploy.publish import NotProven, publish
from deploy.publisher import open_repository, signing_key
from model_functions.artifact.manifest import WRAPPER_FILE, Provenance, installed_version
from model_functions.families.tabular import TabularWrapper
from model_functions.predictions import close, same_answer
from tests.tiny_models import COLUMNS, classifier

EXAMPLE = dict.fromkeys(COLUMNS, 0.5)


@pytest.fixture
def model(workshop: Path) -> Path:
    path = workshop / "model.joblib"
    joblib.dump(classifier(), path)
    return path


def publish_it(model: Path, *more: str) -> int:
    arguments = ["publish", str(model), "--name", "tiny", "--example", json.dumps(EXAMPLE), "--trust"]
    return main([*arguments, *more])


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_verify_reports_what_a_fresh_process_finds(
    model: Path, fresh_processes: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (model.parent / "training.json").write_text('{"score": 0.93, "rows": 60}')
    assert publish_it(model, "--note", "second attempt", "--json") == 0
    revision = printed(capsys)["revision"]
    assert main(["verify", "tiny", "--json"]) == 0
    report = printed(capsys)
    assert (report["revision"], report["proven"], report["failures"]) == (revision, True, [])
    assert report["manifest_version"] == 5
    assert report["packages"]["scikit-learn"] == [installed_version("scikit-learn")] * 2
    assert {name: file["problem"] for name, file in report["files"].items()} == {
        "wrapper.dill": "",
        "predictions.json": "",
    }
    assert report["phases"]["import"] > 0
    assert 0 < report["memory"]["peak"] < 1.5 * report["memory"]["planned"]
    [example] = report["examples"]
    assert example["same"] is True
    assert example["answer"] == example["expected"]
    made = report["provenance"]
    assert made["training"] == {"score": 0.93, "rows": 60, "note": "second attempt"}
    assert made["source"]["format"] == "pickle"
    assert len(made["source"]["digest"]) == 64
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    assert made["commit"] == (commit or None)
    assert main(["verify", "tabular/tiny", "--revision", revision]) == 0
    told = capsys.readouterr().out
    assert told.endswith("Verified: a function serves it as it was published.\n")
    assert "note       second attempt" in told


def test_verify_ends_with_1_and_names_the_file_that_changed(
    model: Path, workshop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish_it(model) == 0
    [path] = (workshop / "store").rglob("wrapper.dill")
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"!")
    capsys.readouterr()
    assert main(["verify", "tiny"]) == 1
    told = capsys.readouterr().out
    assert "NOT verified:\n  wrapper.dill: Bytes 0 to " in told
    assert "are not those that were signed" in told


def test_an_old_manifest_is_verified_without_answers_to_compare(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish_it(model) == 0
    repository = open_repository()
    new = repository.manifest("tabular", "tiny", repository.resolve("tabular", "tiny", "prod").revision)
    files = {name: entry for name, entry in new.files.items() if name == WRAPPER_FILE}
    old = replace(new, version=3, files=files, provenance=Provenance())
    data = bytes(repository.download(new, WRAPPER_FILE).wait().memory)
    repository.add(old, {WRAPPER_FILE: data}, signing_key())
    repository.point(old, "prod", signing_key())
    capsys.readouterr()
    assert main(["verify", "tiny", "--json"]) == 0
    report = printed(capsys)
    assert (report["manifest_version"], report["examples"][0]["same"]) == (3, None)
    assert publish_it(model, "--json") == 0
    assert printed(capsys)["comparison"]["changed"] == 0


def test_an_old_revision_that_cannot_answer_any_more_does_not_keep_a_new_one_out(
    model: Path, workshop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish_it(model) == 0
    [path] = (workshop / "store").rglob("wrapper.dill")
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    capsys.readouterr()
    assert publish_it(model, "--set", "method=predict") == 0
    told = capsys.readouterr().out
    assert "which is served now, gives no answers here: wrapper.dill: Bytes 0 to" in told
    assert told.splitlines()[-1].endswith("  -")


def test_a_package_that_the_function_lacks_is_named_with_its_pin() -> None:
    packages = {"xgboost-cpu": "3.2.0", "scipy": "1.16.0", "dill": "0.4.1", "joblib": "1.6.0"}
    assert pins.missing("tabular", packages) == ["xgboost-cpu==3.2.0"]
    assert pins.advice("tabular", packages) == (
        "Add xgboost-cpu==3.2.0 to functions/tabular/requirements.txt, run make lock, and stage the function again."
    )
    assert pins.advice("tabular", {"dill": "0.4.1"}) == ""


class Forgetful(TabularWrapper):
    """Answers otherwise once it has been pickled twice: as something does that depends on its process."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.loads = state.get("loads", 0) + 1

    def postprocess(self, outputs: Any, parameters: Any) -> list[Any]:
        import deploy.publish

        # The publisher's process has marked the module; a fresh one has not.
        if not hasattr(deploy.publish, "MARK"):
            return [{"prediction": "lost"} for _ in outputs.rows]
        return super().postprocess(outputs, parameters)


@pytest.mark.slow
def test_a_revision_that_a_fresh_process_answers_otherwise_gets_no_alias(
    workshop: Path, fresh_processes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.publish.MARK", True, raising=False)
    repository, key = open_repository(), signing_key()
    good = TabularWrapper.from_estimator(classifier(), EXAMPLE)
    first = publish(good, name="tiny", examples=[EXAMPLE], repository=repository, key=key)
    bad = Forgetful.from_estimator(classifier(), EXAMPLE)
    with pytest.raises(NotProven, match="no alias was moved to it: a fresh process does not serve it") as caught:
        publish(bad, name="tiny", examples=[EXAMPLE], repository=repository, key=key)
    assert "Example 1 is answered otherwise than when the model was published." in str(caught.value)
    assert repository.resolve("tabular", "tiny", "prod") == first.pointer
    assert len(repository.revisions("tabular", "tiny")) == 2


def test_a_retrained_model_is_compared_with_the_old_one(
    model: Path, workshop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish_it(model, "--json") == 0
    first = printed(capsys)
    assert first["comparison"] is None
    data = np.random.default_rng(1).normal(size=(40, 3))
    joblib.dump(LogisticRegression().fit(data, np.where(data[:, 0] > 0, "small", "large")), model)
    far = json.dumps([5.0, 5.0, 5.0])
    assert publish_it(model, "--example", far, "--no-alias", "--json") == 0
    second = printed(capsys)
    assert second["comparison"]["old"] == first["revision"]
    rows = second["comparison"]["rows"]
    assert [row["old"]["prediction"]["prediction"] for row in rows] == ["large", "large"]
    assert [row["new"]["prediction"]["prediction"] for row in rows] == ["small", "small"]
    assert second["comparison"]["changed"] == 2
    assert publish_it(model) == 0
    told = capsys.readouterr().out
    assert f"1 of 1 examples are answered otherwise than by revision {first['revision']}." in told
    assert '{"prediction": "large"' in told
    assert "changed" in told


def test_another_commit_is_no_other_model(
    model: Path, workshop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = workshop / "tree"
    tree.mkdir()
    monkeypatch.chdir(tree)
    revisions = []
    for step in range(2):
        (tree / "train.py").write_text(f"STEP = {step}\n")
        for command in (
            ["init", "-q"],
            ["add", "."],
            ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
        ):
            subprocess.run(["git", *command], check=True)
        assert publish_it(model, "--json") == 0
        revisions.append(printed(capsys)["revision"])
    assert revisions[0] == revisions[1]
    (tree / "train.py").write_text("STEP = 3\n")
    assert publish_it(model, "--note", "another", "--json") == 0
    manifest = open_repository().manifest("tabular", "tiny", printed(capsys)["revision"])
    assert manifest.provenance.dirty
    assert manifest.revision != revisions[0]


@pytest.mark.parametrize(("text", "said"), [("score: 1", "is no JSON: "), ("[1]", "holds no JSON object. ")])
def test_a_training_note_without_fields_is_named(
    model: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    (model.parent / "training.json").write_text(text)
    assert publish_it(model) == 1
    error = capsys.readouterr().err
    assert f"training.json {said}" in error
    assert error.endswith("Write fields with names into it, or take it away.\n")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"prediction": [0.5, "a"]}, {"prediction": [0.50001, "a"]}, True),
        ({"prediction": [0.5]}, {"prediction": [0.51]}, False),
        ({"prediction": {"a": 1}}, {"prediction": {"b": 1}}, False),
        ({"random": True}, {"prediction": 1}, None),
        ({}, {"prediction": 1}, None),
        ({"error": "x"}, {"prediction": 1}, False),
    ],
)
def test_answers_are_the_same_but_for_rounding(one: Any, other: Any, same: bool | None) -> None:
    assert same_answer(one, other) is same


def test_a_large_number_is_measured_by_its_size() -> None:
    assert close(1e6, 1e6 + 50, 1e-4)
    assert not close(1.0, 1.5, 1e-4)


def ranked(**scores: float) -> list[dict[str, Any]]:
    return [{"label": label, "score": score} for label, score in sorted(scores.items(), key=lambda pair: -pair[1])]


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (ranked(good=0.9, bad=0.049, fair=0.051), True),
        (ranked(good=0.895, bad=0.051, fair=0.054), True),
        (ranked(good=0.9, bad=0.08, fair=0.02), False),
        (ranked(good=0.449, bad=0.05, fair=0.501), False),
        (ranked(good=0.9, poor=0.05, fair=0.05), True),
        (ranked(good=0.9, bad=0.1), False),
        ([], False),
    ],
)
def test_behind_the_first_label_near_equals_may_change_places(other: list[dict[str, Any]], same: bool) -> None:
    assert close(ranked(good=0.9, bad=0.051, fair=0.049), other, 0.01) is same
