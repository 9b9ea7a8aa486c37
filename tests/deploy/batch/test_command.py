"""The verb: what it refuses at once, and whole jobs in processes of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from deploy import publisher
from deploy.__main__ import main
from deploy.project import ROOT
from deploy.publish import publish
from deploy.sources.own_wrapper import load_class
from model_functions.families.tabular import TabularWrapper
from model_functions.inputs import TextInput
from model_functions.predictions import close
from model_functions.wrapper import ModelWrapper
from tests import tiny_models
from tests.fakes.bucket import FakeBucket
from tests.running import clean_environment

ROW = dict.fromkeys(tiny_models.COLUMNS, 0.5)
HEADER = ",".join(tiny_models.COLUMNS)

#: A model of a publisher's own, which cannot take every text.
PICKY = """
from model_functions.rows import Batch, Row, Rows, RowWrapper

class Picky(RowWrapper):
    family, task, batch = "text_classification", "text-classification", Batch(100, 100, bucketed=False)

    def preprocess(self, items, parameters):
        return Rows([Row(item) for item in items])

    def forward_rows(self, rows, parameters):
        if "boom" in rows:
            raise RuntimeError("not this one")
        return [len(row) for row in rows]

    def postprocess(self, outputs, parameters):
        return [{"label": "long" if output > 3 else "short"} for output in outputs.outputs]
"""


@pytest.fixture
def published(workshop: Path, classifier: TabularWrapper) -> Path:
    """A store with a table's model; beside it ``in``, an empty folder."""
    _publish(classifier, "tiny_classifier", ROW)
    (workshop / "in").mkdir()
    return workshop


def _publish(wrapper: ModelWrapper, name: str, example: Any) -> None:
    # Another process would not find the local key of the tests, but the one that signs.
    key = publisher.signing_key()
    publish(wrapper, name=name, examples=[example], repository=publisher.open_repository(), key=key, engine="torch")


def batch(place: Path, model: str = "tiny_classifier", **options: str) -> list[str]:
    given = {"input": str(place / "in"), "output": str(place / "out"), "workers": "1"} | options
    return ["batch", model, *(word for name, value in given.items() for word in (f"--{name}", value))]


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 1
    return capsys.readouterr().err


def test_no_match_is_told(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = refusal(batch(published, input=f"{published}/in/*.csv"), capsys)
    assert told.startswith(f'error: No file matches "{published}/in/*.csv". Quote the pattern')


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "nobody"}, 'error: "nobody" is not the name of one model. The models in the store: tabular/tiny_'),
        ({"alias": "canary"}, 'error: No model "tiny_classifier" is published as "canary" in tabular.'),
        ({"revision": "abc"}, 'error: tabular/tiny_classifier has no revision "abc".'),
        ({"workers": "0"}, "error: --workers 0 --rows None: give at least 1."),
        ({"set": "method"}, "error: --set method: write NAME=VALUE."),
        ({"output": "s3://bucket"}, 'error: "s3://bucket" is neither a path nor gs://BUCKET/NAME.'),
    ],
    ids=["model", "alias", "revision", "workers", "set", "output"],
)
def test_what_cannot_be_is_refused_at_once(
    options: dict[str, str], message: str, published: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (published / "in" / "rows.csv").write_text(f"{HEADER}\n")
    assert refusal(batch(published, **options), capsys).startswith(message)
    assert not (published / "out").exists()


def test_inputs_of_several_forms_are_refused(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.csv", "b.jsonl"):
        (published / "in" / name).write_text("")
    assert "The inputs have several forms, as " in refusal(batch(published), capsys)


def test_an_output_of_something_else_is_left_alone(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (published / "in" / "rows.csv").write_text(f"{HEADER}\n")
    (published / "out").mkdir()
    (published / "out" / "thesis").write_text("")
    assert "has files of something else. Choose an empty --output." in refusal(batch(published), capsys)


@pytest.fixture
def ran(published: Path) -> Callable[..., tuple[int, str]]:
    """Runs the verb in a process: its status and what it said."""

    def run(*more: str, **options: str) -> tuple[int, str]:
        environment = clean_environment(
            MODEL_STORE=str(published / "store"), OMP_NUM_THREADS="1", PYTHONPATH=str(ROOT / "shared")
        )
        if "STORAGE_EMULATOR_HOST" in os.environ:
            environment["STORAGE_EMULATOR_HOST"] = os.environ["STORAGE_EMULATOR_HOST"]
        code = (
            "import sys, pathlib; from deploy import publisher; "
            f"publisher.LOCAL_KEY = pathlib.Path({str(publisher.LOCAL_KEY)!r}); "
            "from deploy.__main__ import main; sys.exit(main(sys.argv[1:]))"
        )
        command = [sys.executable, "-c", code, *batch(published, **options), *more]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500)
        return done.returncode, done.stdout + done.stderr

    return run


def rows(folder: Path, pattern: str) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob(pattern)) for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_a_table_is_predicted_once(
    published: Path, ran: Callable[..., tuple[int, str]], classifier: TabularWrapper
) -> None:
    values = ",".join("0.5" for _ in tiny_models.COLUMNS)
    bad = [values.replace("0.5", "x", 1), "1", f"{values},7"]
    (published / "in" / "rows.csv").write_text("\n".join([f"{HEADER}", *[values] * 50, *bad, values]) + "\n")
    status, told = ran(workers="2", rows="10")
    assert status == 0, told
    good, dead = rows(published / "out", "part-*.jsonl"), rows(published / "out", "dead-letters/part-*.jsonl")
    assert {row["key"] for row in good} == {f"{published}/in/rows.csv:{number}" for number in [*range(1, 51), 54]}
    assert sorted(row["error"]["code"] for row in dead) == ["invalid_input", "invalid_row", "invalid_row"]
    assert len(good) == 51
    assert close(good[0]["prediction"], classifier.predict(ROW), 1e-9)
    assert "predicted" in told
    assert "<h1>Batch job: tabular/tiny_classifier</h1>" in (published / "out" / "report.html").read_text()

    # It is not run again, unless asked.
    written = (published / "out" / "part-000000.jsonl").stat().st_mtime_ns
    status, told = ran(workers="2", rows="10")
    assert (status, "is finished already. --again runs it again." in told) == (0, True)
    assert (published / "out" / "part-000000.jsonl").stat().st_mtime_ns == written
    status, told = ran("--again", "--json", rows="25")
    assert (status, json.loads(told[told.index("{") : told.rindex("}") + 1])["parts"]) == (0, 3)
    assert len(rows(published / "out", "part-*.jsonl")) == 51


@pytest.mark.slow
def test_rows_come_from_a_bucket_and_go_to_one(
    published: Path, ran: Callable[..., tuple[int, str]], fake_bucket: FakeBucket
) -> None:
    lines = [json.dumps({"id": number, **ROW}) for number in range(5)] + ["{broken", json.dumps({"id": 6})]
    fake_bucket.put("jobs/in/rows.jsonl", "\r\n".join(lines).encode())
    status, told = ran(input="gs://models/jobs/in/*.jsonl", output="gs://models/jobs/out", rows="3")
    assert status == 0, told
    names = [name for name in fake_bucket.names() if name.startswith("jobs/out/") and "/_job/" not in name]
    parts = [name for name in names if name.startswith("jobs/out/part-")]
    found = [json.loads(line) for name in parts for line in fake_bucket.data(name).splitlines()]
    assert [row["key"] for row in found] == [f"gs://models/jobs/in/rows.jsonl:{number}" for number in range(1, 6)]
    dead = [name for name in names if "dead-letters" in name]
    letters = [json.loads(line) for name in dead for line in fake_bucket.data(name).splitlines()]
    assert [row["error"]["code"] for row in letters] == ["invalid_json", "invalid_input"]
    assert "jobs/out/report.html" in names


@pytest.mark.slow
def test_a_model_that_fails_on_one_row_answers_the_others(published: Path, ran: Callable[..., tuple[int, str]]) -> None:
    (published / "picky.py").write_text(PICKY)
    _publish(load_class(f"{published}/picky.py:Picky")(TextInput(max_characters=20)), "picky", "hello")
    (published / "in" / "texts.txt").write_text("one\nseven\nboom\n" + "x" * 21 + "\nlast one\n")
    status, told = ran(model="picky")
    assert status == 0, told
    found = {row["data"]: row["prediction"]["label"] for row in rows(published / "out", "part-*.jsonl")}
    assert found == {"one": "short", "seven": "long", "last one": "long"}
    dead = {row["data"]: row["error"] for row in rows(published / "out", "dead-letters/part-*.jsonl")}
    assert dead["boom"] == {"code": "model_error", "message": "The model raised RuntimeError: not this one"}
    assert dead["x" * 21]["message"] == "data has 21 characters; the limit is 20. Send it in parts."


@pytest.mark.slow
def test_texts_of_a_table_mean_the_same_beside_what_beam_brings(
    published: Path, ran: Callable[..., tuple[int, str]]
) -> None:
    """pandas keeps texts in pyarrow's arrays where it finds them; functions have none."""
    frame = pd.DataFrame({"colour": ["red", "green", "blue"] * 10, "size": [1.0, 2.0, None] * 10})
    encoder = ColumnTransformer([("colour", OneHotEncoder(), ["colour"])], remainder=SimpleImputer())
    estimator = make_pipeline(encoder, LogisticRegression()).fit(frame, ["warm", "cold", "cold"] * 10)
    wrapper = TabularWrapper.from_estimator(estimator, data=frame)
    _publish(wrapper, "colours", {"colour": "red", "size": 1.0})
    (published / "in" / "rows.csv").write_text("id,size,colour\n1,1.0,red\n2,,green\n3,3,blue\n4,1,purple\n")
    status, told = ran(model="colours")
    assert status == 0, told
    found = {row["id"]: row["prediction"] for row in rows(published / "out", "part-*.jsonl")}
    asked = {"1": ("red", 1.0), "2": ("green", None), "3": ("blue", 3)}
    assert found.keys() == asked.keys()
    for name, (colour, size) in asked.items():
        assert close(found[name], wrapper.predict({"colour": colour, "size": size}), 1e-9)
    (dead,) = rows(published / "out", "dead-letters/part-*.jsonl")
    assert dead["error"]["message"].startswith("The model cannot take this data: Found unknown categories ['purple']")


@pytest.mark.slow
def test_a_folder_of_images_is_predicted(
    published: Path, ran: Callable[..., tuple[int, str]], eye: ModelWrapper
) -> None:
    _publish(eye, "tiny_eye", eye.default_example)
    Image.new("RGB", (20, 20), "red").save(published / "in" / "red.png")
    Image.new("L", (30, 10)).save(published / "in" / "black.jpg")
    (published / "in" / "broken.png").write_bytes(b"\x89PNG\r\n")
    status, told = ran(model="tiny_eye")
    assert status == 0, told
    found = rows(published / "out", "part-*.jsonl")
    assert [Path(row["key"]).name for row in found] == ["black.jpg", "red.png"]
    assert all("label" in row["prediction"][0] and "data" not in row for row in found)
    (dead,) = rows(published / "out", "dead-letters/part-*.jsonl")
    assert Path(dead["key"]).name == "broken.png"
    assert "image" in dead["error"]["message"]


@pytest.mark.slow
def test_a_job_of_bad_rows_alone_fails(published: Path, ran: Callable[..., tuple[int, str]]) -> None:
    (published / "in" / "rows.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
    status, told = ran()
    assert status == 1
    assert "invalid_input" in told


@pytest.mark.slow
def test_a_runner_that_cannot_be_had_is_told_of(published: Path, ran: Callable[..., tuple[int, str]]) -> None:
    (published / "in" / "rows.jsonl").write_text(json.dumps(ROW) + "\n")
    status, told = ran(runner="NoRunner")
    assert status == 1
    assert "NoRunner" in told
