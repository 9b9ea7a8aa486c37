"""The fast lane of image classifiers labels as they do, and starts without their framework."""

import base64
from pathlib import Path
from typing import Any

import pytest

from deploy.fast_lane import build
from deploy.publish import publish
from model_functions.artifact import stream
from model_functions.artifact.manifest import EngineRecord
from model_functions.artifact.signing_key import SigningKey
from model_functions.families.image_classification import GREY_SQUARE, ImageClassificationWrapper
from model_functions.predictions import close
from model_functions.repository import Repository
from tests import tiny_models
from tests.cold_start import modules_of_warmup

pytestmark = pytest.mark.slow

PICTURE = base64.b64encode(tiny_models.picture()).decode()


@pytest.fixture(scope="module", params=["ResNet", "ConvNext", "ViT", "Swin"])
def classifier(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ImageClassificationWrapper:
    folder = tiny_models.image_folder(tmp_path_factory.mktemp(request.param), request.param)
    return ImageClassificationWrapper.from_source(str(folder))


@pytest.fixture(scope="module")
def module() -> ImageClassificationWrapper:
    """A torch module of grey images, without a class of its own."""
    import torch

    torch.manual_seed(1)
    layers = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), torch.nn.Linear(4 * 14 * 14, 3))
    labels = ["a", "b", "c"]
    return ImageClassificationWrapper.from_module(layers, labels, size=(16, 16), mean=[0.5], std=[0.5])


def test_a_graph_labels_as_torch_does(classifier: ImageClassificationWrapper) -> None:
    lane = build(classifier, "auto", "fp32", [PICTURE])
    assert lane.record == EngineRecord("onnxruntime", "fp32", 1e-4)
    for data in (PICTURE, GREY_SQUARE, [PICTURE, GREY_SQUARE, PICTURE]):
        assert close(classifier.predict(data), lane.wrapper.predict(data), 1e-4)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_module_has_a_lane_on_both_engines(module: ImageClassificationWrapper, engine: str) -> None:
    lane = build(module, engine, "auto", [[PICTURE, GREY_SQUARE]])
    assert lane.record.name == engine
    for one in (lane, *lane.faster):
        assert one.note.startswith(f"{engine} in ")
        assert close(module.predict(PICTURE), one.wrapper.predict(PICTURE), one.record.tolerance)


def test_the_stream_of_a_graph_is_always_the_same(module: ImageClassificationWrapper) -> None:
    one, other = (stream.dump(build(module, "auto", "auto", [PICTURE]).wrapper) for _ in range(2))
    assert one == other


def test_a_graph_that_answers_otherwise_is_not_taken(
    module: ImageClassificationWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deploy.lanes import graphs

    def garbled(model: Any, precision: str) -> Any:
        graph = graphs.onnxruntime_graph(model, half=precision == "fp16")
        return type(graph)(graph.model, {name: array * array.dtype.type(1.01) for name, array in graph.weights.items()})

    monkeypatch.setitem(graphs.BUILDERS, "onnxruntime", garbled)
    lane = build(module, "auto", "auto", [PICTURE])
    assert lane.wrapper is module
    assert lane.note.startswith("no fast lane: fp16: its outputs differ by ")


def test_a_cold_start_imports_neither_torch_nor_transformers(
    module: ImageClassificationWrapper, repository: Repository, key: SigningKey, trust_file: Path
) -> None:
    published = publish(module, name="tiny", examples=[PICTURE], repository=repository, key=key)
    assert "pillow" in published.manifest.packages
    wrapper = "model_functions.families.image_classification:ImageClassificationWrapper"
    modules = modules_of_warmup(wrapper, repository, trust_file)
    assert {"onnxruntime", "PIL"} <= modules
    assert not {"torch", "transformers", "onnx", "pandas", "sklearn", "scipy"} & modules
