"""Files that are no model, half a model, or a trap: a clear error, nothing is run, nothing written."""

import builtins
import io
import json
import os
import pickle
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import pytest
from sklearn.svm import SVC

from deploy.__main__ import main
from deploy.publish import publish
from deploy.sources import pickles
from model_functions.artifact.signing_key import SigningKey
from model_functions.families.tabular import TabularWrapper
from model_functions.repository import Repository
from tests.tiny_models import COLUMNS, classifier

EXAMPLE = json.dumps(dict.fromkeys(COLUMNS, 0.5))


class Trap:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.called = function, arguments

    def __reduce__(self) -> Any:
        return self.called


def trap(function: Callable[..., Any], *arguments: Any, protocol: int = 4) -> Callable[[Path], bytes]:
    """Bytes of a pickle that would leave a file ``sprung`` beside itself."""
    return lambda folder: pickle.dumps(
        Trap(function, *(a.replace("FOLDER", str(folder)) if isinstance(a, str) else a for a in arguments)), protocol
    )


TOUCH = "touch FOLDER/sprung"
WRITE = "open('FOLDER/sprung', 'w').close()"

TRAPS: dict[str, Callable[[Path], bytes]] = {
    "os.system": trap(os.system, TOUCH),
    "os.system in text": trap(os.system, TOUCH, protocol=0),
    "os.system compressed": lambda folder: zlib.compress(trap(os.system, TOUCH)(folder)),
    "subprocess": trap(subprocess.Popen, TOUCH, -1, None, None, None, None, None, True, True),
    "eval": trap(eval, WRITE),
    "exec": trap(exec, WRITE),
    "open": trap(open, "FOLDER/sprung", "w"),
    "__import__": trap(builtins.__import__, "antigravity"),
    "a module's own os": lambda folder: (
        b"\x80\x04\x8c\x13joblib.numpy_pickle\x8c\x09os.system\x93\x8c"
        + bytes([len(f"touch {folder}/sprung")])
        + f"touch {folder}/sprung".encode()
        + b"\x85R."
    ),
    "inside an estimator": lambda folder: _with_trap(folder),
}


def _with_trap(folder: Path) -> bytes:
    model = SVC()
    model.gamma = Trap(os.system, f"touch {folder}/sprung")
    return pickle.dumps(model)


def run(path: Path, *more: str) -> int:
    return main(["publish", str(path), "--name", "tiny", "--example", EXAMPLE, *more])


def nothing_was_written(workshop: Path) -> bool:
    return not list(workshop.rglob("sprung")) and not list(workshop.rglob("wrapper.dill"))


@pytest.mark.parametrize("kind", TRAPS)
@pytest.mark.parametrize("arguments", [(), ("--trust",), ("--trust", "--family", "tabular")])
def test_a_trap_does_not_spring_even_when_trusted(
    workshop: Path, capsys: pytest.CaptureFixture[str], kind: str, arguments: tuple[str, ...]
) -> None:
    path = workshop / "model.pkl"
    path.write_bytes(TRAPS[kind](workshop))
    assert run(path, *arguments) == 1
    error = capsys.readouterr().err
    assert "when it is loaded, which no model needs. It is not loaded." in error
    assert nothing_was_written(workshop)


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _estimator(model: Any) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("empty.pkl", b"", "empty.pkl is empty. Copy it again."),
        ("text.pkl", b"hello", "Nothing tells which family serves"),
        (
            "picture.joblib",
            b"\x89PNG\r\n\x1a\n" + b"0" * 50,
            "its first bytes, 89 50 4e 47 0d 0a 1a 0a, are those of no",
        ),
        ("half.joblib", half(_estimator(classifier())), "half.joblib cannot be loaded: "),
        ("half.z.pkl", b"\x78\x9c\xff\xff", "half.z.pkl is compressed, and cannot be decompressed"),
        ("half.pt", b"PK\x03\x04" + b"\0" * 30, "half.pt begins as a zip archive and is none"),
        ("lost.pkl", b"\x80\x04\x8c\x07nowhere\x8c\x05Model\x93)R.", "cannot be loaded: ModuleNotFoundError"),
        ("dict.pkl", pickle.dumps({"a": 1}), "The dict is not fitted. Call fit before you publish it."),
        ("unfitted.joblib", _estimator(SVC()), "The SVC is not fitted. Call fit before you publish it."),
        ("graph.onnx", b"ONNX", "Nothing tells which family serves"),
        ("page.html", b"<!doctype html>Not found", "are those of no format that is known here"),
        ("weights.gguf", b"GGUF\x03\0\0\0", "are those of no format that is known here"),
    ],
)
def test_what_is_no_model_is_named(
    workshop: Path, capsys: pytest.CaptureFixture[str], name: str, data: bytes, said: str
) -> None:
    (workshop / name).write_bytes(data)
    assert run(workshop / name, "--trust") == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert nothing_was_written(workshop)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("config.json", "config.json is no JSON"),
        ("model.safetensors", "error: "),
        ("tokenizer.json", "error: "),
    ],
)
@pytest.mark.slow
def test_a_half_written_folder_is_named(
    workshop: Path, tagger_folder: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    folder = workshop / "model"
    folder.mkdir()
    for path in tagger_folder.iterdir():
        data = path.read_bytes()
        (folder / path.name).write_bytes(half(data) if path.name == name else data)
    assert main(["publish", str(folder), "--name", "tiny", "--example", "Anna"]) == 1
    assert said in capsys.readouterr().err
    assert nothing_was_written(workshop)


@pytest.mark.slow
def test_a_trap_among_a_folders_weights_does_not_spring(
    workshop: Path, tagger_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = workshop / "model"
    folder.mkdir()
    for path in tagger_folder.iterdir():
        if path.suffix != ".safetensors":
            (folder / path.name).write_bytes(path.read_bytes())
    (folder / "pytorch_model.bin").write_bytes(trap(os.system, TOUCH)(workshop))
    assert main(["publish", str(folder), "--name", "tiny", "--example", "Anna", "--trust"]) == 1
    assert capsys.readouterr().err.strip()
    assert nothing_was_written(workshop)


def test_trust_is_asked_for_with_what_the_pickle_names(workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = workshop / "model.joblib"
    joblib.dump(classifier(), path)
    assert run(path) == 1
    error = capsys.readouterr().err
    assert "(it names joblib, numpy, sklearn) runs whatever code its maker put into it." in error
    assert "Look at where it comes from, then say --trust." in error
    assert nothing_was_written(workshop)


def test_what_cannot_be_pickled_is_named(repository: Repository, key: SigningKey, tmp_path: Path) -> None:
    wrapper = TabularWrapper.from_estimator(classifier(), [0.5, 0.5, 0.5])
    vars(wrapper)["rows"] = (row for row in COLUMNS)
    with pytest.raises(
        ValueError, match=r"The wrapper cannot be serialized: .*generator.* Take out what belongs to this"
    ):
        publish(wrapper, name="tiny", examples=[[0.5, 0.5, 0.5]], repository=repository, key=key)
    assert not list(tmp_path.rglob("manifest.json"))


def test_names_are_read_through_every_protocol() -> None:
    for protocol in range(6):
        names = pickles.names_in(pickle.dumps([classifier(), os.system, os.system], protocol))
        assert "sklearn.pipeline:Pipeline" in names
        assert pickles.suspicious(names) == ["posix:system"]
    assert pickles.suspicious(pickles.names_in(pickle.dumps(classifier()))) == []
