"""TorchServe archives, as torch-model-archiver writes them."""

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.__main__ import main
from deploy.publisher import open_repository
from deploy.sources.torchserve import unpack
from model_functions.http.function import FamilyFunction
from tests.shared.http.requests import body, message, post, request

NET = """
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)

    def forward(self, x):
        return torch.softmax(self.layer(x), dim=1)
"""

HANDLER = """
import json
import os

import torch
from ts.torch_handler.base_handler import BaseHandler
from ts.utils.util import map_class_to_label

from words import WORDS


class SizeHandler(BaseHandler):
    def initialize(self, context):
        super().initialize(context)
        with open(os.path.join(context.system_properties["model_dir"], "scale.json")) as file:
            self.scale = json.load(file)["scale"]

    def preprocess(self, data):
        rows = []
        for row in data:
            body = row.get("data") or row.get("body")
            if isinstance(body, (bytes, bytearray)):
                body = WORDS[body.decode("utf-8")]
            rows.append([self.scale * value for value in body])
        return torch.tensor(rows)

    def postprocess(self, outputs):
        return map_class_to_label(outputs.tolist(), self.mapping)


class Helper:
    pass
"""
WORDS = 'WORDS = {"left": [1.0, 0.0], "right": [0.0, 1.0]}\n'


def archive(path: Path, files: Mapping[str, str | bytes], **model: Any) -> Path:
    manifest = {
        "createdOn": "01/01/2024",
        "runtime": "python",
        "model": {"modelName": "m", "modelVersion": "1.0"} | model,
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        for name, data in files.items():
            opened.writestr(name, data)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The network's state dict and its TorchScript, the same numbers."""
    import torch

    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    names: dict[str, Any] = {}
    exec(NET, names)
    net = names["Net"]().eval()
    torch.save(net.state_dict(), folder / "net.pt")
    with pytest.warns(DeprecationWarning, match="trace"):
        script = torch.jit.trace(net, torch.zeros(1, 2))  # type: ignore[no-untyped-call]
    script.save(str(folder / "script.pt"))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def custom(folder: Path, weights: dict[str, bytes], *, script: bool = False) -> Path:
    files: dict[str, str | bytes] = {
        "handler.py": HANDLER,
        "words.py": WORDS,
        "scale.json": '{"scale": 2.0}',
        "index_to_name.json": '{"0": ["n01", "low"], "1": "high"}',
    }
    if script:
        return archive(
            folder / "m.mar", files | {"s.pt": weights["script.pt"]}, handler="handler.py", serializedFile="s.pt"
        )
    return archive(
        folder / "m.mar",
        files | {"net.pt": weights["net.pt"], "net.py": NET},
        handler="handler.py",
        serializedFile="net.pt",
        modelFile="net.py",
    )


def publish(path: Path, *more: str) -> int:
    return main(["publish", str(path), "--name", "m", "--family", "translation", "--json", *more])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("script", [False, True])
def test_a_handler_of_ones_own_serves_as_in_torchserve(
    workshop: Path,
    weights: dict[str, bytes],
    function: Callable[[str], FamilyFunction],
    capsys: pytest.CaptureFixture[str],
    fresh_processes: None,
    script: bool,
) -> None:
    import torch

    path = custom(workshop, weights, script=script)
    assert publish(path, "--example", "left") == 1
    assert "m.mar (its handler.py) runs whatever code its maker put into it" in capsys.readouterr().err
    revisions = []
    for _ in range(2):
        assert publish(path, "--example", "left", "--trust") == 0
        told = json.loads(capsys.readouterr().out)
        revisions.append(told["revision"])
    assert revisions[0] == revisions[1]
    assert told["recognised"]["reason"] == "m.mar brings the handler SizeHandler, which gets its requests as bytes"
    answers = function("translation")
    names: dict[str, Any] = {}
    exec(NET, names)
    net = names["Net"]()
    (workshop / "net.pt").write_bytes(weights["net.pt"])
    net.load_state_dict(torch.load(workshop / "net.pt", weights_only=True))
    expected = net(torch.tensor([[2.0, 0.0], [0.0, 2.0]])).tolist()
    found = body(answers.handle(post({"data": ["left", [0.0, 1.0]]})))["body"]
    assert [list(row) for row in found] == [["low", "high"]] * 2
    assert [list(row.values()) for row in found] == [pytest.approx(row) for row in expected]
    # In its own protocol a handler has the whole body, whatever that is.
    raw = answers.handle(request(b"left", {"content-type": "text/plain"}, target="/predictions/m"))
    listed = answers.handle(post([0.0, 1.0], "/predictions/m"))
    assert [body(raw), body(listed)] == found
    wrong = answers.handle(post({"data": "up"}))
    assert (wrong.status, body(wrong)["error"]["code"]) == (500, "model_error")
    assert message(answers.handle(post({"data": []}))) == "data is an empty list. Send at least one item."
    manifest = open_repository().manifest("translation", "m", revisions[0])
    assert {"handler.py", "words.py"} <= {file.rpartition("/")[2] for file in manifest.files}


@pytest.mark.slow
def test_a_hugging_face_model_in_an_archive_is_published_as_such(
    workshop: Path, tagger_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {path.name: path.read_bytes() for path in tagger_folder.iterdir()}
    path = archive(workshop / "m.mar", files, handler="text_classifier", serializedFile="model.safetensors")
    assert main(["publish", str(path), "--name", "m", "--example", "Anna", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["family"] == "token_classification"
    assert told["recognised"]["reason"].startswith("m.mar holds a Hugging Face model: config.json names")


def _link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("link")
    entry.external_attr = 0o120777 << 16
    return entry


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("zeros", b"\0" * 80_000_000)


def _add(name: str | zipfile.ZipInfo, data: str = "x") -> Callable[[Path], None]:
    def add(path: Path) -> None:
        with zipfile.ZipFile(path, "a") as opened:
            opened.writestr(name, data)

    return add


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_add("../evil.py"), "has a file named '../evil.py', which would lie outside of it"),
        (_add("/etc/evil"), "has a file named '/etc/evil', which would lie outside of it"),
        (_add("a/../../evil"), "has a file named 'a/../../evil', which would lie outside of it"),
        (_add("C:evil"), "has a file named 'C:evil', which would lie outside of it"),
        (_add("a\\..\\evil"), "which would lie outside of it"),
        (_add(_link(), "/etc/passwd"), "has a symbolic link, link. It is not unpacked."),
        (_bomb, "would unpack to 80,"),
        (_cut, "begins as a zip archive and is none"),
        (_add("handler.py", "x = ("), "handler.py is no Python: '(' was never closed"),
        (_add("handler.py", "import nothing_like_it"), "cannot be started: ModuleNotFoundError: No module named"),
        (_add("handler.py", "x = 1"), "handler.py has 0 classes with initialize and handle. One is wanted."),
        (_add("other.txt"), "has the handler 'handler.py', which is neither a file of the archive nor one that"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_that_means_harm_or_is_broken_is_refused(
    workshop: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], None], said: str
) -> None:
    path = archive(workshop / "m.mar", {"net.pt": b"x"}, handler="handler.py", serializedFile="net.pt")
    spoil(path)
    assert publish(path, "--example", "left", "--trust") == 1
    assert said in capsys.readouterr().err
    assert not list(workshop.rglob("manifest.json"))
    assert not list(workshop.parent.rglob("evil*"))


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ("{", "tells no model: Expecting property name"),
        ('{"model": []}', "tells no model: model is no object"),
        ("{}", "tells no model: 'model'"),
    ],
)
def test_a_manifest_that_tells_no_model_is_named(tmp_path: Path, manifest: str, said: str) -> None:
    path = tmp_path / "m.mar"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("MAR-INF/MANIFEST.json", manifest)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match=said):
        unpack(path, tmp_path / "folder")


def test_a_default_handler_without_its_family_or_labels_says_so(
    workshop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = archive(workshop / "m.mar", {"net.pt": b"x"}, handler="object_detector", serializedFile="net.pt")
    assert publish(path, "--trust") == 1
    assert "has the handler 'object_detector', which is neither" in capsys.readouterr().err
    path = archive(workshop / "m.mar", {"net.pt": b"x"}, handler="image_classifier", serializedFile="net.pt")
    assert main(["publish", str(path), "--name", "m", "--trust"]) == 1
    assert "has the handler image_classifier and neither" in capsys.readouterr().err
