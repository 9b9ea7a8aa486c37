"""A wrapper class of the publisher's own ships its source, and a function imports it from there."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.__main__ import main
from deploy.publisher import open_repository
from deploy.sources.own_wrapper import load_class

WORDS = """
from counting import count

from model_functions.inputs import TextInput
from model_functions.wrapper import ModelWrapper


class Words(ModelWrapper):
    family, engine_name = "tabular", "python"

    def __init__(self, least):
        super().__init__(TextInput())
        self.least = least

    @classmethod
    def from_source(cls, source):
        with open(source + "/least.txt") as file:
            return cls(int(file.read()))

    def preprocess(self, items, parameters):
        return [count(item) for item in items]

    def forward(self, features, parameters):
        return [number >= self.least for number in features]

    def postprocess(self, outputs, parameters):
        return [{"long": output} for output in outputs]
"""
COUNTING = "import re\n\n\ndef count(text):\n    return len(re.findall(PATTERN, text))\n\n\nPATTERN = r'\\w+'\n"


@pytest.fixture
def model(workshop: Path) -> Path:
    folder = workshop / "words"
    folder.mkdir()
    (folder / "wrapper.py").write_text(WORDS)
    (folder / "counting.py").write_text(COUNTING)
    (folder / "unused.py").write_text("raise SystemExit")
    (folder / "least.txt").write_text("3")
    return folder


def test_what_is_imported_relatively_ships_too(model: Path) -> None:
    (model / "wrapper.py").write_text(WORDS.replace("from counting", "from .counting"))
    words = load_class(str(model / "wrapper.py")).from_source(str(model))
    assert words.predict(["one, two, three", "one"]) == [{"long": True}, {"long": False}]


def publish(model: Path, *more: str) -> int:
    return main(["publish", str(model), "--name", "words", "--example", "one two three", *more])


@pytest.mark.slow
def test_a_folder_with_a_wrapper_serves_from_its_own_source(
    model: Path, fresh_processes: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish(model) == 1
    assert "wrapper.py runs whatever code its maker put into it" in capsys.readouterr().err
    assert publish(model, "--trust", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["recognised"] == {"family": "tabular", "reason": "wrapper.py brings the wrapper class Words"}
    manifest = open_repository().manifest("tabular", "words", told["revision"])
    shipped = sorted(file.rpartition("/")[2] for file in manifest.files if file.startswith("source/"))
    assert shipped == ["counting.py", "wrapper.py"]
    [package] = {file.split("/")[1] for file in manifest.files if file.startswith("source/")}
    assert f"{package}.wrapper:Words" in manifest.globals
    assert main(["verify", "words", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["examples"][0]["answer"] == {"prediction": {"long": True}}


def test_two_wrappers_of_one_name_live_side_by_side(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrapper = str(model / "wrapper.py")
    assert publish(model, "--wrapper", f"{wrapper}:Words", "--json") == 0
    first = json.loads(capsys.readouterr().out)
    assert publish(model, "--wrapper", wrapper, "--json") == 0
    assert json.loads(capsys.readouterr().out)["revision"] == first["revision"]
    (model / "counting.py").write_text("def count(text):\n    return 0\n")
    assert publish(model, "--wrapper", wrapper, "--json") == 0
    second = json.loads(capsys.readouterr().out)
    [row] = second["comparison"]["rows"]
    assert (row["old"]["prediction"], row["new"]["prediction"], row["changed"]) == (
        {"long": True},
        {"long": False},
        True,
    )
    assert "counting" not in sys.modules


@pytest.mark.parametrize(
    ("changes", "place", "said"),
    [
        ({}, "none.py", "there is no Python file"),
        ({}, "wrapper.py:Sentences", "wrapper.py has no wrapper class Sentences. Those in it: Words."),
        ({"wrapper.py": "x = ("}, "wrapper.py", "wrapper.py is no Python: '(' was never closed"),
        ({"wrapper.py": "1 / 0"}, "wrapper.py", "wrapper.py cannot be run: ZeroDivisionError: division by zero"),
        ({"wrapper.py": "x = 1"}, "wrapper.py", "wrapper.py has 0 wrapper classes. Those in it: none: derive one"),
        ({"wrapper.py": "import notes"}, "wrapper.py", "imports the package notes that stands beside it"),
        ({"wrapper.py": WORDS.replace('"tabular"', '"word"')}, "wrapper.py", "names the family word, so no function"),
        ({"wrapper.py": WORDS.replace('"python"', '"rust"')}, "wrapper.py", 'has the engine_name "rust". There are: '),
        ({"least.txt": "many"}, "wrapper.py", "invalid literal for int()"),
        (
            {"wrapper.py": WORDS.replace("def from_source", "def from_files")},
            "wrapper.py",
            "Words has no from_source, which makes it of a file or a folder.",
        ),
    ],
)
def test_a_wrong_wrapper_is_named_and_nothing_written(
    model: Path, workshop: Path, capsys: pytest.CaptureFixture[str], changes: Any, place: str, said: str
) -> None:
    (model / "notes").mkdir()
    (model / "notes" / "__init__.py").write_text("")
    for file, text in changes.items():
        (model / file).write_text(text)
    assert publish(model, "--wrapper", str(model / place)) == 1
    assert said in capsys.readouterr().err
    assert not list(workshop.rglob("manifest.json"))
