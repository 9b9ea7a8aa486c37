"""The fast lane answers as the model does, starts without its framework, or is not taken."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deploy import fast_lane, lanes
from deploy.fast_lane import build
from deploy.lanes import graphs
from deploy.proving.predictions import close
from deploy.publish import publish
from model_functions.artifact import stream
from model_functions.artifact.manifest import EngineRecord
from model_functions.artifact.signing_key import SigningKey
from model_functions.engines.transformers import TransformersTagger
from model_functions.families.tabular import TabularWrapper
from model_functions.families.token_classification import TokenClassificationWrapper
from model_functions.repository import Repository
from tests.cold_start import modules_of_warmup
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


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_graph_predicts_what_torch_does(tagger: TokenClassificationWrapper, engine: str, precision: str) -> None:
    lane = build(tagger, engine, precision, [TEXT])
    assert lane.record == EngineRecord(engine, precision, lanes.TOLERANCE[precision])
    assert lane.note.startswith(f"{engine} in {precision}: differs from torch by ")
    for parameters in ({}, {"aggregation_strategy": "none"}, {"aggregation_strategy": "average"}):
        for data in (*TEXTS, TEXTS):
            expected, found = tagger.predict(data, parameters), lane.wrapper.predict(data, parameters)
            assert close(expected, found, lane.record.tolerance)


def test_float16_halves_what_is_stored(tagger: TokenClassificationWrapper) -> None:
    sizes = {p: len(stream.dump(build(tagger, "auto", p, [TEXT]).wrapper).weights) for p in fast_lane.PRECISIONS[1:]}
    assert sizes["fp16"] < 0.7 * sizes["fp32"]


def test_in_float16_what_is_only_looked_up_stays_halved_in_memory(tagger: TokenClassificationWrapper) -> None:
    weights = build(tagger, "onnxruntime", "fp16", [TEXT]).wrapper.engine.graph.weights  # type: ignore[attr-defined]
    halved = {name for name, array in weights.items() if array.dtype == np.float16}
    assert halved == {name for name in weights if "embeddings" in name}


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
    def garbled(model: Any, *, half: bool) -> Any:
        graph = graphs.onnxruntime_graph(model, half=half)
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
