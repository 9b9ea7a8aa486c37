"""Classifiers and sentence encoders in the fast lane: the same answers from a graph, pairs and cut texts too."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from deploy import lanes
from deploy.fast_lane import build
from deploy.lanes import encoding, texts_of
from model_functions import processor
from model_functions.artifact import stream
from model_functions.errors import InvalidInput
from model_functions.families.feature_extraction import FeatureExtractionWrapper
from model_functions.families.text_classification import TextClassificationWrapper
from model_functions.predictions import close
from model_functions.rows import Rows
from tests import tiny_models
from tests.tiny_models import TEXT

pytestmark = pytest.mark.slow

TEXTS = ["anna", TEXT, "the report says sales rose", "hello world"]
PAIR = {"text": "anna lives in berlin", "text_pair": "anna works"}
RANK = {"query": "anna works", "documents": ["sales fell", "anna works", "anna lives"]}


@pytest.fixture(scope="module")
def nli(tmp_path_factory: pytest.TempPathFactory) -> TextClassificationWrapper:
    labels = ("contradiction", "neutral", "entailment")
    source = tiny_models.text_classifier_folder(tmp_path_factory.mktemp("nli"), labels, spread=0.1)
    return TextClassificationWrapper.from_source(str(source))


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> FeatureExtractionWrapper:
    source = tiny_models.sentence_folder(tmp_path_factory.mktemp("sentences"), spread=0.1)
    return FeatureExtractionWrapper.from_source(str(source))


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_a_classifiers_graph_answers_as_torch_does(nli: TextClassificationWrapper, engine: str, precision: str) -> None:
    lane = build(nli, engine, precision, [TEXT, PAIR])
    assert lane.record.name == engine
    asked: list[tuple[Any, dict[str, Any]]] = [(data, {}) for data in (*TEXTS, PAIR, [*TEXTS, PAIR])]
    asked += [(TEXTS[0], {"candidate_labels": ["paris", "berlin"], "multi_label": True})]
    asked += [(PAIR, {"function_to_apply": "none", "top_k": 1})]
    for data, parameters in asked:
        found = lane.wrapper.predict(data, parameters)
        assert close(nli.predict(data, parameters), found, lane.record.tolerance)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_an_encoders_graph_answers_as_torch_does(embedder: FeatureExtractionWrapper, engine: str) -> None:
    lane = build(embedder, engine, "fp32", ["anna works", RANK])
    similar = {"source_sentence": "anna", "sentences": ["berlin", "sales"]}
    for data, parameters in (
        (TEXTS, {"truncate": True}),
        ("hello " * 50, {"truncate": True}),
        ("anna", {"prompt_name": "query", "normalize": False}),
        (RANK, {}),
        (similar, {"similarity": "manhattan"}),
    ):
        found = lane.wrapper.predict(data, parameters)
        assert close(embedder.predict(data, parameters), found, 1e-3)


def test_a_truncating_request_leaves_the_next_one_whole(embedder: FeatureExtractionWrapper) -> None:
    fast = build(embedder, "auto", "fp32", ["anna works"]).wrapper
    fast.predict("hello " * 50, {"truncate": True})
    with pytest.raises(InvalidInput, match="the model reads 8"):
        fast.predict("hello " * 50)


def test_the_stream_is_always_the_same(embedder: FeatureExtractionWrapper, tmp_path: Path) -> None:
    again = FeatureExtractionWrapper.from_source(str(tiny_models.sentence_folder(tmp_path / "again", spread=0.1)))
    again.predict("hello " * 50, {"truncate": True})
    one, other = (stream.dump(build(wrapper, "auto", "fp32", ["anna"]).wrapper) for wrapper in (embedder, again))
    assert one == other


def test_texts_are_found_however_deep() -> None:
    assert list(texts_of(["a", ["b", 5], {"query": "c", "documents": ["d"]}, None])) == ["a", "b", "c", "d"]


@pytest.mark.skipif(not processor.computes("bf16"), reason="this processor has no bf16")
def test_in_bf16_the_scores_are_nearer_than_the_outputs_must_be(
    nli: TextClassificationWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert build(nli, "openvino", "auto", [TEXT]).faster
    monkeypatch.setitem(lanes.ANSWERED, "bf16", 1e-9)
    lane = build(nli, "openvino", "auto", [TEXT])
    assert (lane.record.precision, lane.faster) == ("fp32", ())
    told = r"not in bf16: its answers differ by \d\.\de-0\d of the largest, and 1e-09 is accepted"
    assert re.fullmatch(told, lane.note.splitlines()[1])


@pytest.mark.parametrize("applied", ["softmax", "sigmoid", "none"])
def test_what_a_classifier_answers_is_compared(nli: TextClassificationWrapper, applied: str) -> None:
    own = SimpleNamespace(function_to_apply=applied)
    logits = np.array([[1.0, -2.0, 0.5]], np.float32)
    expected = nli.postprocess(
        Rows([], [None], [logits[0]]), {"function_to_apply": applied, "top_k": 3} | {"candidate_labels": None}
    )
    answered = encoding._scores(own, logits)[0].tolist()
    assert sorted(answered) == sorted(label["score"] for label in expected[0])
