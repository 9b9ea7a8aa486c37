"""The verbs as a person types them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import pytest

from deploy.__main__ import VERBS, main
from model_functions.artifact.signing_key import SigningKey
from tests.fakes.bucket import FakeBucket
from tests.tiny_models import COLUMNS
from tests.tiny_models import classifier as make_classifier

ROOT = Path(__file__).parents[2]
EXAMPLE = json.dumps(dict.fromkeys(COLUMNS, 0.5))


@pytest.fixture
def model(workshop: Path) -> Path:
    path = workshop / "model.joblib"
    joblib.dump(make_classifier(), path)
    return path


def publish(model: Path, *more: str) -> int:
    arguments = ["publish", str(model), "--family", "tabular", "--name", "tiny", "--example", EXAMPLE, "--trust"]
    return main([*arguments, *more])


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_publish_promote_and_roll_back(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert publish(model, "--json") == 0
    first = printed(capsys)["revision"]
    assert publish(model, "--set", "method=predict", "--no-alias", "--json") == 0
    second = printed(capsys)
    assert (second["alias"], second["revision"] != first) == (None, True)

    assert main(["promote", "tiny", "--revision", second["revision"], "--json"]) == 0
    assert printed(capsys)["previous"] == [first]
    assert main(["models", "--json"]) == 0
    [row] = printed(capsys)
    assert row["aliases"] == {"prod": second["revision"]}
    assert row["revisions"] == sorted([first, second["revision"]])

    assert main(["rollback", "tabular/tiny", "--json"]) == 0
    assert printed(capsys)["revision"] == first


def test_publishing_twice_changes_nothing(model: Path, workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert publish(model) == 0
    first, second = capsys.readouterr().out.split("is recognised as tabular: --family says so.\n")[1:]
    assert first.splitlines()[0] == second.splitlines()[0]
    told = first.splitlines()
    assert told[0].startswith("tabular/tiny is published as revision ")
    assert told[0].endswith(' and is "prod".')
    names = [path.name for path in (workshop / "store").rglob("*.*") if path.is_file()]
    assert sorted(names) == [".lock", "manifest.json", "predictions.json", "prod.json", "wrapper.dill"]


def test_the_verbs_work_on_a_bucket(
    model: Path, fake_bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODEL_STORE", "gs://models/team")
    assert publish(model, "--json") == 0
    first = printed(capsys)["revision"]
    assert publish(model, "--set", "method=predict") == 0
    assert publish(model, "--set", "method=predict") == 0, "again, and nothing changes"
    capsys.readouterr()
    assert main(["rollback", "tiny", "--json"]) == 0
    assert printed(capsys)["revision"] == first
    assert len([name for name in fake_bucket.names() if name.endswith("manifest.json")]) == 2
    assert all(name.startswith("team/tabular/tiny/") for name in fake_bucket.names())


@pytest.mark.slow
def test_publish_from_a_hugging_face_folder(
    workshop: Path, generator_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["publish", str(generator_folder), "--family", "summarization", "--name", "gist", "--json"]
    assert main([*arguments, "--set", "num_beams=2", "--bounds", "num_beams=1..4", "--set", "max_characters=50"]) == 1
    assert "data has 78 characters; the limit is 50" in capsys.readouterr().err
    assert main([*arguments, "--set", "num_beams=2", "--bounds", "num_beams=1..4", "--example", "hello world"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", "Bad Name"], '"Bad Name" is no model\'s name: at most 64 of a-z'),
        (["--set", "beams=2"], "--set beams=2: tabular has no such setting. There are: method, max_characters"),
        (["--set", "method"], "--set method: write NAME=VALUE."),
        (["--set", "method=guess"], '"method": "guess" is none of predict, predict_proba.'),
        (["--bounds", "method"], "--bounds method: write NAME=LOW..HIGH"),
        (["--example", "[1, 2]", "--name", "x"], None),
    ],
)
def test_a_wrong_argument_is_named(
    model: Path, workshop: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str | None
) -> None:
    code = publish(model, *arguments)
    error = capsys.readouterr().err
    if message is None:
        assert (code, error) == (1, error)
        assert "data has 2 values" in error
    else:
        assert code == 1
        assert message in error
        assert error.startswith("error: ")
    assert not list((workshop / "store").rglob("manifest.json")), "nothing was published"


def test_a_pickle_is_not_loaded_unless_trusted(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["publish", str(model), "--family", "tabular", "--name", "tiny", "--example", EXAMPLE]
    assert main(arguments) == 1
    assert "runs whatever code its maker put into it. Look at where it comes from, then say --trust." in (
        capsys.readouterr().err
    )


def test_a_file_that_is_not_there_is_named(workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert publish(workshop / "none.joblib") == 1
    assert "none.joblib" in capsys.readouterr().err
    assert main(["publish", str(workshop / "no-folder"), "--family", "translation", "--name", "x"]) == 1
    assert "no-folder" in capsys.readouterr().err


def test_a_file_that_is_no_model_is_named(workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    garbage = workshop / "garbage.pkl"
    garbage.write_bytes(b"not a pickle")
    assert publish(garbage) == 1
    assert "error: garbage.pkl cannot be loaded: " in capsys.readouterr().err
    joblib.dump({"not": "an estimator"}, garbage)
    assert publish(garbage) == 1
    assert "error: The dict is not fitted." in capsys.readouterr().err


def test_one_name_has_one_family(model: Path, generator_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert publish(model) == 0
    assert main(["publish", str(generator_folder), "--family", "summarization", "--name", "tiny"]) == 1
    assert '"tiny" is published in tabular already. Choose another name' in capsys.readouterr().err


def test_an_unknown_model_lists_those_there_are(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rollback", "tiny"]) == 1
    assert '"tiny" is not the name of one model. The models in the store: none is published yet.' in (
        capsys.readouterr().err
    )
    publish(model)
    assert main(["promote", "tini", "--revision", "0123456789ab"]) == 1
    assert "The models in the store: tabular/tiny." in capsys.readouterr().err
    assert main(["promote", "tiny", "--revision", "0123456789ab"]) == 1
    assert 'tabular/tiny has no revision "0123456789ab"' in capsys.readouterr().err


def test_a_key_that_no_function_trusts_is_refused_with_what_to_do(
    model: Path, workshop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    SigningKey.generate().write(workshop / "release.pem")
    monkeypatch.setenv("MODEL_SIGNING_KEY", str(workshop / "release.pem"))
    assert publish(model) == 1
    error = capsys.readouterr().err
    assert "holds a key that deploy/trust.json does not list" in error
    assert '{"public_key": ' in error


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([verb, "--help"])
    assert f"example:\n  python -m deploy {verb}" in capsys.readouterr().out


def test_the_module_runs_from_the_project() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy", "models"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_a_publisher_says_how_much_is_read_at_once(
    model: Path, capsys: pytest.CaptureFixture[str], tagger_folder: Path
) -> None:
    assert publish(model, "--max-batch", "0", "--json") == 0
    revision = printed(capsys)["revision"]
    assert publish(model, "--json") == 0
    assert printed(capsys)["revision"] != revision
    assert publish(model, "--max-batch", "-1") == 1
    assert "--max-batch -1: give 0, or as much as the model shall read at once." in capsys.readouterr().err
