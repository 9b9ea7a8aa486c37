"""What a function imports: while it waits, and to answer its first request from a bucket."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from deploy.publish import publish
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.families.feature_extraction import FeatureExtractionWrapper
from model_functions.families.onnx import OnnxWrapper
from model_functions.families.pytorch import PytorchWrapper
from model_functions.families.text_classification import TextClassificationWrapper
from model_functions.families.token_classification import TokenClassificationWrapper
from model_functions.repository import Repository
from model_functions.store import open_store
from model_functions.wrapper import ModelWrapper
from tests import tiny_graphs
from tests.fakes.bucket import FakeBucket
from tests.tiny_models import TEXT, sentence_folder, text_classifier_folder

ROOT = Path(__file__).parents[2]
ROW = [0.5, -1.0, 2.0]
FAMILIES = sorted(path.parent.name for path in (ROOT / "functions").glob("*/main.py"))

#: Belongs to a model, a bucket, or the gateway's calls; a function that waits for its first request needs none of it.
HEAVY = (
    "numpy",
    "dill",
    "cryptography.hazmat.primitives.serialization",
    "torch",
    "transformers",
    "tokenizers",
    "onnx",
    "model_functions.engines.continuation",
    "onnxruntime",
    "openvino",
    "PIL",
    "sklearn",
    "scipy",
    "pandas",
    "safetensors",
    "sentence_transformers",
    "joblib",
    "tensorflow",
    "keras",
    "model_functions.engines.tensorflow",
    "google.cloud.storage",
    "google.auth",
)

#: What Flask, signatures, dill and numpy bring: every family's.
#: functions-framework imports gunicorn a moment later.
BASE = {"blake3", "blinker", "click", "cryptography", "dill", "flask", "google", "gunicorn", "itsdangerous"}
BASE |= {"jinja2", "markupsafe", "model_functions", "numpy", "werkzeug"}
#: What torch brings of itself, the last row only where it happens to be installed.
TORCH = {"torch", "torchgen", "functorch", "sympy", "mpmath", "typing_extensions"}
TORCH |= {"tqdm", "packaging", "yaml", "psutil", "networkx", "filelock", "fsspec", "setuptools", "pkg_resources"}
#: What torch and transformers bring of themselves, the last two rows only where it happens to be installed.
TRANSFORMERS = {"torch", "transformers", "tokenizers", "safetensors", "huggingface_hub", "yaml", "regex", "filelock"}
TRANSFORMERS |= {"fsspec", "tqdm", "packaging", "sympy", "mpmath", "typing_extensions", "torchgen", "functorch"}
TRANSFORMERS |= {"httpx", "httpcore", "h11", "anyio", "certifi", "idna", "truststore", "psutil", "requests", "urllib3"}
TRANSFORMERS |= {"PIL", "httpx2", "httpcore2", "trio", "attr", "attrs", "outcome", "sniffio", "sortedcontainers"}
TRANSFORMERS |= {"colorama"}
#: The last row only where it happens to be installed.
SKLEARN = {"sklearn", "scipy", "joblib", "threadpoolctl", "narwhals"}
SKLEARN |= {"pandas", "dateutil", "charset_normalizer", "cloudpickle", "rich", "pygments"}

#: The top-level packages that a cold start may import, by model. Whoever makes one longer says why.
COLD = {
    "tiny_tagger": ("token_classification", BASE | {"onnxruntime", "tokenizers"}),
    "tiny_torch_tagger": ("token_classification", BASE | TRANSFORMERS | SKLEARN),
    "tiny_text_classifier": ("text_classification", BASE | {"onnxruntime", "tokenizers"}),
    "tiny_encoder": ("feature_extraction", BASE | {"onnxruntime", "tokenizers"}),
    "tiny_translator": ("translation", BASE | {"onnxruntime", "tokenizers"}),
    "tiny_eye": ("image_classification", BASE | {"onnxruntime", "PIL"}),
    "tiny_writer": ("text_generation", BASE | TRANSFORMERS | SKLEARN),
    "tiny_summarizer": ("summarization", BASE | TRANSFORMERS | SKLEARN),
    "tiny_classifier": ("tabular", BASE | SKLEARN),
    "tiny_graph": ("onnx", BASE | {"onnxruntime"}),
    "tiny_module": ("pytorch", BASE | {"onnxruntime"}),
    "tiny_torch_module": ("pytorch", BASE | TORCH),
}


def imported(family: str, code: str, **environment: str) -> set[str]:
    """What a process has imported that imports the family's main module and runs the code."""
    path = f"{ROOT / 'functions' / family}:{ROOT / 'shared'}"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, main\n{code}\nprint('\\n'.join(['modules:', *sys.modules]))"],
        env={"PYTHONPATH": path, "MODEL_STORE": "gs://models"} | environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.partition("modules:\n")[2].split())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_waiting_function_has_imported_nothing_heavy(family: str) -> None:
    modules = imported(family, "")
    assert not modules & set(HEAVY)
    assert family == "gateway" or "urllib3" not in modules
    assert not {name for name in modules if name.startswith("model_functions.http.protocols.")}


@pytest.fixture(scope="module")
def bucket(
    graph_store_folder: Path,
    tagger: TokenClassificationWrapper,
    trust: Trust,
    key: SigningKey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[FakeBucket]:
    """The common store in a bucket, and in it the models that it lacks."""
    folder = tmp_path_factory.mktemp("sources")
    linear = PytorchWrapper.from_module(torch.nn.Linear(3, 2), ROW)
    lacking: list[tuple[str, ModelWrapper, Any, str]] = [
        ("tiny_torch_tagger", tagger, TEXT, "torch"),
        ("tiny_graph", OnnxWrapper.from_source(str(tiny_graphs.linear(folder / "m.onnx"))), ROW, "auto"),
        ("tiny_module", linear, ROW, "onnxruntime"),
        ("tiny_torch_module", linear, ROW, "torch"),
        (
            "tiny_text_classifier",
            TextClassificationWrapper.from_source(str(text_classifier_folder(folder / "classifier"))),
            TEXT,
            "onnxruntime",
        ),
        (
            "tiny_encoder",
            FeatureExtractionWrapper.from_source(str(sentence_folder(folder / "encoder"))),
            "anna",
            "onnxruntime",
        ),
    ]
    with FakeBucket("models") as bucket, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", bucket.url)
        for path in graph_store_folder.rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                bucket.put(path.relative_to(graph_store_folder).as_posix(), path.read_bytes())
        repository = Repository(open_store("gs://models"), trust)
        for name, wrapper, example, engine in lacking:
            publish(wrapper, name=name, examples=[example], repository=repository, key=key, engine=engine)
        yield bucket


@pytest.mark.slow
@pytest.mark.parametrize("model", COLD)
def test_a_cold_start_imports_what_its_model_needs(model: str, bucket: FakeBucket, trust_file: Path) -> None:
    family, allowed = COLD[model]
    code = (
        "import functions_framework\n"
        "framework = set(sys.modules)\n"
        "client = functions_framework.create_app('predict', main.__file__).test_client()\n"
        f"assert client.post('/warmup', json={{'model_name': '{model}'}}).status_code == 200\n"
        "for name in framework: sys.modules.pop(name)\n"
    )
    modules = imported(family, code, STORAGE_EMULATOR_HOST=bucket.url, MODEL_TRUST=str(trust_file), PATH=sys.prefix)
    tops = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names
    found = {name for name in tops if not name.startswith("_")} - {"main", "cython_runtime"}
    assert found <= allowed, f"{model} imports {sorted(found - allowed)} too"
    assert not {"google.cloud.storage", "google.auth"} & modules
    assert not {name for name in modules if name.startswith("model_functions.http.protocols.")}
