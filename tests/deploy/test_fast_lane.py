"""The fast lane answers as the model does, starts without its framework, or is not taken."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from deploy import fast_lane, lanes
from deploy.fast_lane import build
from deploy.lanes import graphs
from deploy.publish import publish
from model_functions import processor
from model_functions.artifact import stream
from model_functions.artifact.manifest import WEIGHTS_FILE, WRAPPER_FILE, EngineRecord
from model_functions.artifact.signing_key import SigningKey
from model_functions.engines.transformers import TransformersTagger
from model_functions.families.tabular import TabularWrapper
from model_functions.families.token_classification import TokenClassificationWrapper
from model_functions.predictions import close
from model_functions.repository import Repository
from tests.cold_start import ROOT, modules_of_warmup
from tests.tiny_models import TEXT, tagger_folder

pytestmark = pytest.mark.slow

TEXTS = [TEXT, "anna", "the report says sales rose in Berlin", "hello world, hello"]


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> TokenClassificationWrapper:
    """Wide enough that its weights leave the stream, and calm enough for half precision."""
    folder = tagger_folder(tmp_path_factory.mktemp("tagger"), width=64, spread=0.1)
    return TokenClassificationWrapper.from_source(str(folder))


@pytest.fixture(scope="module", params=["onnxruntime", "openvino"])
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


#: An engine and the precision that is asked for, and what becomes of it: the faster lanes, and the one for all.
CHOICES = {
    ("onnxruntime", "auto"): ["fp16"],
    ("onnxruntime", "fp32"): ["fp32"],
    ("openvino", "auto"): ["bf16", "fp32"],
    ("openvino", "fp32"): ["fp32"],
    ("openvino", "bf16"): ["bf16", "fp16"],
    ("openvino", "int8"): ["int8", "int8-weights"],
}


@pytest.mark.parametrize(("engine", "precision"), CHOICES)
def test_every_lane_predicts_what_torch_does(tagger: TokenClassificationWrapper, engine: str, precision: str) -> None:
    expected = CHOICES[engine, precision]
    if not all(map(processor.computes, expected)):
        pytest.skip(f"this processor does not compute in {expected[0]}")
    lane = build(tagger, engine, precision, [TEXT])
    found = [*lane.faster, lane]
    assert [one.record for one in found] == [EngineRecord(engine, word, lanes.TOLERANCE[word]) for word in expected]
    told = lane.note.splitlines()
    assert [line.partition(":")[0] for line in told] == [f"{engine} in {word}" for word in expected]
    for one in found:
        for parameters in ({}, {"aggregation_strategy": "none"}, {"aggregation_strategy": "average"}):
            for data in (*TEXTS, TEXTS):
                answer = one.wrapper.predict(data, parameters)
                assert close(tagger.predict(data, parameters), answer, one.record.tolerance)


def test_large_models_are_openvinos(tagger: TokenClassificationWrapper, monkeypatch: pytest.MonkeyPatch) -> None:
    assert build(tagger, "auto", "auto", [TEXT]).record.name == "onnxruntime"
    monkeypatch.setattr(fast_lane, "LARGE", 2**16)
    assert build(tagger, "auto", "auto", [TEXT]).record.name == "openvino"


def test_rows_that_are_looked_up_make_no_model_large() -> None:
    table = helper.make_tensor("table", TensorProto.FLOAT, [100, 4], [0.0] * 400)
    weights = helper.make_tensor("weights", TensorProto.FLOAT, [4, 2], [0.0] * 8)
    nodes = [
        helper.make_node("Gather", ["table", "x"], ["rows"]),
        helper.make_node("MatMul", ["rows", "weights"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "g", [], [], [table, weights])
    assert graphs.multiplied_bytes(helper.make_model(graph)) == 4 * 8


def test_what_this_processor_cannot_compute_is_not_published(
    tagger: TokenClassificationWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    lane = build(tagger, "openvino", "auto", [TEXT])
    assert (lane.record.precision, lane.faster) == ("fp32", ())
    assert lane.note.splitlines()[1] == (
        "not in bf16: this machine's processor does not compute in bf16, so it cannot be compared here"
    )
    with pytest.raises(ValueError, match=r"cannot be served in int8: .* does not compute in int8.* --precision fp32\."):
        build(tagger, "auto", "int8", [TEXT])


@pytest.mark.skipif(not processor.computes("int8"), reason="this processor has no int8")
def test_a_precision_that_is_too_far_says_by_how_much(
    tagger: TokenClassificationWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(lanes.TOLERANCE, "int8", 1e-9)
    reason = (
        r"in int8: int8: its outputs differ by \d\.\de-0\d of the largest, and 1e-09 is accepted\. Leave --precision"
    )
    with pytest.raises(ValueError, match=reason):
        build(tagger, "auto", "int8", [TEXT])


def test_only_openvino_computes_otherwise(tagger: TokenClassificationWrapper, classifier: TabularWrapper) -> None:
    with pytest.raises(ValueError, match=r"onnxruntime does not compute in bf16, and openvino does\. Leave --eng"):
        build(tagger, "onnxruntime", "bf16", [TEXT])
    with pytest.raises(ValueError, match="torch computes as the model was made, not in int8"):
        build(tagger, "torch", "int8", [TEXT])
    with pytest.raises(ValueError, match="sklearn computes as the model was made, not in bf16"):
        build(classifier, "auto", "bf16", [[0.5, 0.5, 0.5]])


def test_auto_halves_what_is_stored(tagger: TokenClassificationWrapper) -> None:
    sizes = {p: len(stream.dump(build(tagger, "onnxruntime", p, [TEXT]).wrapper).weights) for p in ("auto", "fp32")}
    assert sizes["auto"] < 0.7 * sizes["fp32"]


def test_in_fp16_what_is_only_looked_up_stays_halved_in_memory(tagger: TokenClassificationWrapper) -> None:
    weights = build(tagger, "onnxruntime", "auto", [TEXT]).wrapper.engine.graph.weights  # type: ignore[attr-defined]
    halved = {name for name, array in weights.items() if array.dtype == np.float16}
    assert halved == {name for name in weights if "embeddings" in name}


@pytest.mark.skipif(not processor.computes("int8"), reason="this processor has no int8")
def test_int8_weights_are_stored_once_for_all_processors(
    tagger: TokenClassificationWrapper, repository: Repository, key: SigningKey
) -> None:
    int8, whole = (
        publish(
            tagger, name=p, examples=[TEXT], repository=repository, key=key, engine="openvino", precision=p
        ).manifest
        for p in ("int8", "fp32")
    )
    assert [lane.engine.precision for lane in int8.lanes] == ["int8", "int8-weights"]
    assert {lane.weights for lane in int8.lanes} == {WEIGHTS_FILE}
    assert int8.files[WEIGHTS_FILE].size < 0.7 * whole.files[WEIGHTS_FILE].size
    assert int8.files_here() == ["int8/wrapper.dill", WEIGHTS_FILE]


#: Asks the function for a prediction, in a process whose processor may be masked.
ASK = """
import io
import json
from model_functions.families.token_classification import TokenClassificationWrapper
from model_functions.http.function import FamilyFunction
from model_functions.http.message import Request
from model_functions.phases import Phases
from model_functions.settings import Settings
from model_functions.store.folder import FolderStore
read = set()
opened = FolderStore.open
FolderStore.open = lambda self, name: read.add(name.partition("revisions/")[2].partition("/")[2]) or opened(self, name)
function = FamilyFunction(TokenClassificationWrapper, Settings.from_environment())
data = json.dumps({"data": TEXT, "parameters": {"aggregation_strategy": "none"}}).encode()
headers = {"content-type": "application/json", "content-length": str(len(data))}
response = function.handle(Request("POST", "/predict", [], headers, read=io.BytesIO(data).read))
model = function.cache().use("tiny", Phases()).__enter__()
engine = model.wrapper.engine
logits = engine.logits(engine.encode([TEXT])).tolist()
print(json.dumps([response.status, dict(response.headers), logits, sorted(read)]))
"""


@pytest.mark.skipif(not processor.computes("bf16"), reason="this processor has no bf16")
@pytest.mark.parametrize(("mask", "precision"), [("", "bf16"), ("AVX2", "fp32"), ("AVX512_CORE_VNNI", "fp32")])
def test_the_instances_processor_decides(
    tagger: TokenClassificationWrapper,
    repository: Repository,
    key: SigningKey,
    trust_file: Path,
    mask: str,
    precision: str,
) -> None:
    publish(tagger, name="tiny", examples=[TEXT], repository=repository, key=key, engine="openvino")
    environment = {"MODEL_STORE": str(repository.store.root), "MODEL_TRUST": str(trust_file)}  # type: ignore[attr-defined]
    done = subprocess.run(
        [sys.executable, "-c", f"TEXT = {TEXT!r}\n{ASK}"],
        env=os.environ | environment | {"PYTHONPATH": str(ROOT / "shared"), "ONEDNN_MAX_CPU_ISA": mask},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    status, headers, logits, read = json.loads(done.stdout.splitlines()[-1])
    assert (status, headers["X-Model-Engine"], headers["X-Model-Precision"]) == (200, "openvino", precision), (
        done.stdout
    )
    own: Any = tagger.engine
    expected = own.logits(own.encode([TEXT]))
    difference = lanes.apart(expected, np.array(logits, np.float32))
    assert difference <= lanes.TOLERANCE[precision]
    # In bf16 it cannot be as equal as in fp32: it was really computed.
    assert (difference > lanes.TOLERANCE["fp32"]) == (precision == "bf16")
    folder = "bf16/" if precision == "bf16" else ""
    assert read == [f"{folder}{WEIGHTS_FILE}", f"{folder}{WRAPPER_FILE}"]


def test_the_stream_of_a_graph_is_small_and_always_the_same(tagger: TokenClassificationWrapper, engine: str) -> None:
    own: Any = tagger.engine
    again = TokenClassificationWrapper(TransformersTagger(copy.deepcopy(own.model), own.tokenizer))
    one, other = (stream.dump(build(wrapper, engine, "fp32", [TEXT]).wrapper) for wrapper in (tagger, again))
    assert one == other
    assert len(one.stream) < 40 * 1024


def test_auto_falls_back_to_single_precision_where_half_is_too_far(
    tagger: TokenClassificationWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(lanes.TOLERANCE, "fp16", 1e-9)
    assert build(tagger, "auto", "auto", [TEXT]).record == EngineRecord("onnxruntime", "fp32", 1e-4)


def test_auto_stays_with_torch_when_the_graph_answers_otherwise(
    tagger: TokenClassificationWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def garbled(model: Any, precision: str) -> Any:
        graph = graphs.onnxruntime_graph(model, half=precision == "fp16")
        return type(graph)(graph.model, {name: array * np.float32(1.01) for name, array in graph.weights.items()})

    monkeypatch.setitem(graphs.BUILDERS, "onnxruntime", garbled)
    lane = build(tagger, "auto", "auto", [TEXT])
    assert lane.wrapper is tagger
    assert lane.record.name == "torch"
    assert lane.note.startswith("no fast lane: fp16: its outputs differ by ")
    with pytest.raises(ValueError, match=r"onnxruntime cannot serve this model: .* Publish with --engine torch\."):
        build(tagger, "onnxruntime", "auto", [TEXT])


def test_auto_stays_with_torch_when_there_is_no_exporter(
    tagger: TokenClassificationWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: Any) -> Any:
        raise RuntimeError("Unsupported operator\nand a hundred lines more")

    monkeypatch.setattr(graphs, "export", fails)
    lane = build(tagger, "auto", "auto", [TEXT])
    assert (lane.wrapper, lane.note) == (tagger, "no fast lane: RuntimeError: Unsupported operator")


def test_what_has_no_graph_keeps_its_engine(classifier: TabularWrapper) -> None:
    assert build(classifier, "auto", "auto", [[0.5, 0.5, 0.5]]).record == EngineRecord("sklearn")
    with pytest.raises(ValueError, match=r"no graph of tabular models for openvino\. Leave --engine out\."):
        build(classifier, "openvino", "auto", [[0.5, 0.5, 0.5]])


def test_a_cold_start_imports_neither_torch_nor_transformers(
    tagger: TokenClassificationWrapper, repository: Repository, key: SigningKey, trust_file: Path, engine: str
) -> None:
    publish(tagger, name="tiny", examples=[TEXT], repository=repository, key=key, engine=engine)
    wrapper = "model_functions.families.token_classification:TokenClassificationWrapper"
    modules = modules_of_warmup(wrapper, repository, trust_file)
    assert {engine, "tokenizers"} <= modules
    assert not {"torch", "transformers", "onnx", "pandas", "sklearn", "scipy"} & modules
