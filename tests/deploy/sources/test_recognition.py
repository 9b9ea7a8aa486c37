"""Which family a source belongs to, told without running any of it."""

import hashlib
import io
import json
import pickle
import subprocess
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import joblib
import pytest

from deploy.project import ROOT
from deploy.sources.recognition import read_source, recognise
from model_functions.source import Source
from tests.running import clean_environment
from tests.tiny_models import classifier


def config(folder: Path, card: str = "", **values: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(values))
    if card:
        (folder / "README.md").write_text(card)
    return folder


def archive(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as opened:
        for name in names:
            opened.writestr(name, b"{}")
    return path


@pytest.mark.parametrize(
    ("values", "family", "reason"),
    [
        (
            {"architectures": ["BertForTokenClassification"]},
            "token_classification",
            "config.json names the architecture BertForTokenClassification",
        ),
        (
            {"architectures": ["MarianMTModel"], "model_type": "marian"},
            "translation",
            "config.json says model_type marian",
        ),
        (
            {"architectures": ["M2M100ForConditionalGeneration"], "model_type": "m2m_100"},
            "translation",
            "config.json says model_type m2m_100",
        ),
        (
            {"architectures": ["PegasusForConditionalGeneration"], "model_type": "pegasus"},
            "summarization",
            "config.json says model_type pegasus",
        ),
        (
            {
                "architectures": ["BartForConditionalGeneration"],
                "model_type": "bart",
                "task_specific_params": {"summarization": {}},
            },
            "summarization",
            "config.json has task_specific_params for summarization",
        ),
        (
            {
                "architectures": ["T5ForConditionalGeneration"],
                "model_type": "t5",
                "task_specific_params": {"translation_en_to_de": {}},
            },
            "translation",
            "config.json has task_specific_params for translation_en_to_de",
        ),
    ],
)
def test_a_hugging_face_folder_by_its_config(tmp_path: Path, values: Any, family: str, reason: str) -> None:
    assert recognise(read_source(str(config(tmp_path / "m", **values)))) == (family, reason)


@pytest.mark.parametrize(
    ("architecture", "family"),
    [
        ("BertForSequenceClassification", "text_classification"),
        ("GPT2LMHeadModel", "text_generation"),
        ("LlamaForCausalLM", "text_generation"),
        ("BertModel", "feature_extraction"),
        ("ViTForImageClassification", "image_classification"),
    ],
)
def test_a_family_by_its_architectures(architecture: str, family: str) -> None:
    source = Source("m", "huggingface", "", config={"architectures": [architecture]})
    assert recognise(source).family == family


def test_an_encoder_of_images_is_none_of_texts() -> None:
    source = Source("m", "huggingface", "", config={"architectures": ["ViTModel"], "image_size": 224})
    with pytest.raises(ValueError, match="Nothing tells which family serves m: "):
        recognise(source)


@pytest.mark.parametrize(
    ("format_", "family"),
    [
        *(("onnx", "onnx"), ("torch_export", "pytorch"), ("torchscript", "pytorch"), ("torch_pickle", "pytorch")),
        *(("saved_model", "tensorflow"), ("keras", "tensorflow"), ("hdf5", "tensorflow")),
        ("sentence_transformers", "feature_extraction"),
    ],
)
def test_a_family_by_its_formats(format_: str, family: str) -> None:
    assert recognise(Source("m", format_, "it is")) == (family, "it is")


def test_several_families_are_named_with_their_reasons_and_the_card_decides(tmp_path: Path) -> None:
    both: dict[str, Any] = {"summarization": {}, "translation_en_to_de": {}}
    values: dict[str, Any] = {
        "architectures": ["T5ForConditionalGeneration"],
        "model_type": "t5",
        "task_specific_params": both,
    }
    with pytest.raises(ValueError, match=r"several families: summarization \(config.*; translation \(config") as caught:
        recognise(read_source(str(config(tmp_path / "m", **values))))
    assert str(caught.value).endswith("Say which with --family.")
    card = "---\nlicense: mit\npipeline_tag: summarization\n---\nA model."
    source = read_source(str(config(tmp_path / "m", card, **values)))
    assert recognise(source) == ("summarization", "its model card says pipeline_tag summarization")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"architectures": ["BertForMaskedLM"], "model_type": "bert"}, "its architecture is BertForMaskedLM"),
        ({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, "config.json says model_type 't5'"),
        ({"name": "x"}, "its config.json has neither model_type nor architectures"),
    ],
)
def test_an_unknown_folder_says_what_was_looked_at(tmp_path: Path, values: Any, said: str) -> None:
    with pytest.raises(ValueError, match="Nothing tells which family serves") as caught:
        recognise(read_source(str(config(tmp_path / "m", **values))))
    assert said in str(caught.value)
    assert "Say it with --family: " in str(caught.value)


def test_a_pickle_is_tabular_by_what_it_names_and_is_not_loaded(tmp_path: Path) -> None:
    joblib.dump(classifier(), tmp_path / "m.joblib", compress=3)
    source = read_source(str(tmp_path / "m.joblib"))
    assert recognise(source) == ("tabular", "it is a pickle that names joblib, numpy, sklearn")
    for protocol in range(6):
        (tmp_path / "m.pkl").write_bytes(pickle.dumps(classifier(), protocol))
        source = read_source(str(tmp_path / "m.pkl"))
        assert "sklearn.pipeline:Pipeline" in source.names, protocol
        assert recognise(source).family == "tabular"


def test_a_pickle_of_torch_is_not_taken_for_an_estimator(tmp_path: Path) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(b"\x80\x04\x8c\x05torch\x8c\x06Tensor\x93.")
    with pytest.raises(ValueError, match="it is a pickle that names torch"):
        recognise(read_source(str(path)))


@pytest.mark.parametrize(
    ("name", "names", "format_"),
    [
        ("m.mar", ("MAR-INF/MANIFEST.json", "handler.py"), "mar"),
        ("m.keras", ("config.json", "metadata.json", "model.weights.h5"), "keras"),
        ("m.pt2", ("m/archive_format", "m/models/model.json", "m/data/weights/x"), "torch_export"),
        ("m.pt", ("m/data.pkl", "m/constants.pkl", "m/code/__torch__.py", "m/version"), "torchscript"),
        ("m.pth", ("m/data.pkl", "m/version", "m/data/0"), "torch_pickle"),
        ("m.skops", ("schema.json", "1.npy"), "skops"),
        ("m.zip", ("readme.txt",), "unknown"),
    ],
)
def test_an_archive_is_told_by_what_it_lists(tmp_path: Path, name: str, names: tuple[str, ...], format_: str) -> None:
    assert read_source(str(archive(tmp_path / name, *names))).format == format_


@pytest.mark.slow
def test_what_torch_writes_is_told_apart(tmp_path: Path) -> None:
    import torch

    module = torch.nn.Linear(2, 1)
    with pytest.warns(DeprecationWarning, match="trace"):
        script = torch.jit.trace(module, torch.zeros(1, 2))  # type: ignore[no-untyped-call]
    torch.save(module.state_dict(), tmp_path / "new.pt")
    torch.save(module.state_dict(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    script.save(str(tmp_path / "script.pt"))
    torch.export.save(torch.export.export(module, (torch.zeros(1, 2),)), tmp_path / "export.pt2")
    found = {path.name: read_source(str(path)).format for path in tmp_path.iterdir()}
    assert found == {
        "new.pt": "torch_pickle",
        "old.pt": "torch_pickle",
        "script.pt": "torchscript",
        "export.pt2": "torch_export",
    }


def test_an_onnx_graph_by_its_first_bytes(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [value])
    (tmp_path / "m.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    assert read_source(str(tmp_path / "m.onnx")).format == "onnx"


def test_tensorflow_servings_folder_has_its_highest_version(tmp_path: Path) -> None:
    for version in ("1", "9", "10", "x"):
        (tmp_path / "m" / version).mkdir(parents=True)
        (tmp_path / "m" / version / "saved_model.pb").write_bytes(b"\x08\x01")
    source = read_source(str(tmp_path / "m"))
    assert (source.format, source.path) == ("saved_model", tmp_path / "m" / "10")
    assert source.location == str(tmp_path / "m" / "10")
    assert source.evidence == "it is TensorFlow Serving's, and 10 is the highest of its versions [1, 9, 10]"


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("empty.pkl", b"", "empty.pkl is empty. Copy it again."),
        ("cut.pt", b"PK\x03\x04\x14\x00\x00\x00", "cut.pt begins as a zip archive and is none"),
        ("cut.joblib", b"\x78\x9c\xff\xff\x02\x03", "cut.joblib is compressed, and cannot be decompressed"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=said):
        read_source(str(tmp_path / name))


def test_a_dill_is_told_from_an_estimator_and_the_way_out_named(tmp_path: Path) -> None:
    import dill

    class Wrapper:
        def predict(self, data: Any) -> Any:
            return data

    (tmp_path / "old.dill").write_bytes(dill.dumps(Wrapper()))
    with pytest.raises(ValueError, match="dumped whole, name it with --from-dill"):
        recognise(read_source(str(tmp_path / "old.dill")))


def test_unknown_bytes_are_shown(tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(b"GGUF\x03\x00\x00\x00rest")
    with pytest.raises(ValueError, match="its first bytes, 47 47 55 46 03 00 00 00, are those of no format"):
        recognise(read_source(str(tmp_path / "m.bin")))


def test_a_folder_of_nothing_known_lists_it(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ValueError, match=r"but notes\.txt\. Say it with --family"):
        recognise(read_source(str(tmp_path)))


def test_what_is_not_there_is_not_looked_for_elsewhere() -> None:
    for name in ("/no/such/model", "model.joblib"):
        with pytest.raises(FileNotFoundError, match="There is no file or folder"):
            read_source(name)


def test_a_zip_is_listed_and_never_unpacked(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("../evil", b"0" * 10_000_000)
    (tmp_path / "m.zip").write_bytes(buffer.getvalue())
    assert read_source(str(tmp_path / "m.zip")).format == "unknown"
    assert [path.name for path in tmp_path.iterdir()] == ["m.zip"]


class Hub(BaseHTTPRequestHandler):
    """Answers as the Hub does, of one model."""

    files: ClassVar[dict[str, bytes]] = {
        "config.json": b'{"architectures": ["BertForTokenClassification"], "model_type": "bert"}',
        "README.md": b"---\npipeline_tag: token-classification\n---\n",
    }

    def do_HEAD(self) -> None:
        self._answer(send=False)

    def do_GET(self) -> None:
        self._answer(send=True)

    def _answer(self, *, send: bool) -> None:
        repository, _, file = self.path.partition("/resolve/main/")
        data = self.files.get(file) if repository == "/team/ner" else None
        self.send_response(404 if data is None else 200)
        if repository != "/team/ner":
            self.send_header("X-Error-Code", "RepoNotFound")
        elif data is None:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("X-Repo-Commit", "c" * 40)
        self.send_header("ETag", f'"{hashlib.sha256(data or b"").hexdigest()}"')
        self.send_header("Content-Length", str(len(data or b"")))
        self.end_headers()
        if send and data:
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Silent."""


@pytest.mark.slow
def test_a_hub_id_is_recognised_by_its_documents_alone(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        code = (
            "from deploy.sources.recognition import read_source, recognise\n"
            "import sys\n"
            "try:\n"
            "    print(*recognise(read_source(sys.argv[1])))\n"
            "except OSError as error:\n"
            "    print(error)\n"
        )
        environment = clean_environment(HF_ENDPOINT=f"http://127.0.0.1:{server.server_port}", HF_HOME=str(tmp_path))
        said = [
            subprocess.run(
                [sys.executable, "-c", code, name],
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            for name in ("team/ner", "team/none")
        ]
        server.shutdown()
    assert said[0] == "token_classification config.json names the architecture BertForTokenClassification"
    assert said[1].startswith("team/none is no file or folder, and no model in the Hub: ")
