"""A model of each family, for who asks whatever the functions' descriptions allow.

A text's tokens cannot be told in JSON Schema, so no text may have more characters than the model has tokens.
"""

from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper

from deploy.publish import publish
from model_functions.artifact.signing_key import SigningKey
from model_functions.families.feature_extraction import FeatureExtractionWrapper
from model_functions.families.image_classification import ImageClassificationWrapper
from model_functions.families.onnx import OnnxWrapper
from model_functions.families.pytorch import PytorchWrapper
from model_functions.families.summarization import SummarizationWrapper
from model_functions.families.tabular import TabularWrapper
from model_functions.families.text_classification import TextClassificationWrapper
from model_functions.families.text_generation import TextGenerationWrapper
from model_functions.families.token_classification import TokenClassificationWrapper
from model_functions.families.translation import TranslationWrapper
from model_functions.repository import Repository
from model_functions.wrapper import ModelWrapper
from tests import tiny_graphs, tiny_models

_TEXT = "anna lives in berlin"
_CHAT = [{"role": "user", "content": "hello"}]
_SHORT: dict[str, Any] = {"max_characters": 20}
#: No parameter can contradict another.
_BOUNDS = {"max_new_tokens": (1, 4), "min_new_tokens": (0, 1), "num_beams": (1, 1), "num_return_sequences": (1, 1)}
_LENGTHS: dict[str, Any] = {"defaults": {"max_new_tokens": 4, "num_beams": 1}, "bounds": _BOUNDS}

#: The functions of the models.
FAMILIES = (
    *("token_classification", "text_classification", "translation", "summarization", "text_generation"),
    *("feature_extraction", "image_classification", "tabular", "onnx", "pytorch"),
)


def publish_all(repository: Repository, key: SigningKey, folder: Path, families: tuple[str, ...] = FAMILIES) -> None:
    """Publishes a model of each family, named as it."""
    for family in families:
        wrapper, examples, engine = _MAKERS[family](folder / family)
        publish(
            wrapper,
            name=f"{family}_model",
            examples=examples,
            repository=repository,
            key=key,
            description=f"For {family}.",
            engine=engine,
        )


Made = tuple[ModelWrapper, list[Any], str]


def _tagger(folder: Path) -> Made:
    wrapper = TokenClassificationWrapper.from_source(str(tiny_models.tagger_folder(folder)), **_SHORT)
    return wrapper, [_TEXT, [_TEXT, "paris"]], "onnxruntime"


def _classifier(folder: Path) -> Made:
    """Not one of entailment: what its template must hold depends on whether it is asked with candidate labels."""
    wrapper = TextClassificationWrapper.from_source(str(tiny_models.text_classifier_folder(folder)), max_characters=12)
    return wrapper, ["anna works", {"text": "anna works", "text_pair": "in paris"}], "onnxruntime"


def _translator(folder: Path) -> Made:
    wrapper = TranslationWrapper.from_source(str(tiny_models.marian_folder(folder)), **_SHORT, **_LENGTHS)
    return wrapper, [_TEXT], "torch"


def _summarizer(folder: Path) -> Made:
    wrapper = SummarizationWrapper.from_source(str(tiny_models.generator_folder(folder)), **_SHORT, **_LENGTHS)
    return wrapper, [_TEXT], "torch"


def _writer(folder: Path) -> Made:
    tiny_models.llama_folder(folder, positions=4100)
    wrapper = TextGenerationWrapper.from_source(str(folder), max_characters=200, **_LENGTHS)
    return wrapper, ["hello world", _CHAT], "torch"


def _sentences(folder: Path) -> Made:
    wrapper = FeatureExtractionWrapper.from_source(str(tiny_models.sentence_folder(folder)), max_characters=5)
    return wrapper, ["anna", {"query": "anna", "documents": ["sales", "anna"]}], "onnxruntime"


def _eye(folder: Path) -> Made:
    wrapper = ImageClassificationWrapper.from_source(str(tiny_models.image_folder(folder)))
    return wrapper, [wrapper.default_example], "onnxruntime"


def _sizes(folder: Path) -> Made:
    """It takes whatever number JSON has: a model's own arithmetic ends earlier."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    clip = FunctionTransformer(np.clip, kw_args={"a_min": -1e6, "a_max": 1e6}, feature_names_out="one-to-one")
    rows = np.random.default_rng(0).normal(size=(50, 3))
    estimator = make_pipeline(clip, LogisticRegression()).fit(rows, np.where(rows.sum(axis=1) > 0, "large", "small"))
    row = dict.fromkeys(tiny_models.COLUMNS, 0.5)
    columns = list(tiny_models.COLUMNS)
    return TabularWrapper.from_estimator(estimator, [0.5, 1.0, 2.0], columns=columns), [row, [0.5, 1.0, 2.0]], "auto"


def _sums(folder: Path) -> Made:
    """Whose numbers stay finite, whichever it is sent."""
    folder.mkdir(parents=True)
    weights = {
        "low": np.array(-1e3, np.float32),
        "high": np.array(1e3, np.float32),
        "w": np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Clip", ["features", "low", "high"], ["clipped"]),
        helper.make_node("MatMul", ["clipped", "w"], ["scores"]),
    ]
    inputs, outputs = tiny_graphs.tensor("features", ["n", 3]), tiny_graphs.tensor("scores", ["n", 2])
    path = tiny_graphs.save(folder / "sums.onnx", nodes, [inputs], [outputs], weights)
    return OnnxWrapper.from_source(str(path)), [[0.5, -1.0, 2.0]], "auto"


def module(folder: Path) -> Made:
    """Which torch's own engine reads from a file."""
    import torch

    torch.manual_seed(0)
    folder.mkdir(parents=True)
    example = (torch.zeros(2, 3),)
    rows = torch.export.Dim("rows")
    model = torch.nn.Sequential(torch.nn.Hardtanh(-1e3, 1e3), torch.nn.Linear(3, 2))
    torch.export.save(torch.export.export(model, example, dynamic_shapes=[{0: rows}]), folder / "m.pt2")
    return PytorchWrapper.from_source(str(folder / "m.pt2"), trusted=True), [[0.5, -1.0, 2.0]], "auto"


_MAKERS = {
    "token_classification": _tagger,
    "text_classification": _classifier,
    "translation": _translator,
    "summarization": _summarizer,
    "text_generation": _writer,
    "feature_extraction": _sentences,
    "image_classification": _eye,
    "tabular": _sizes,
    "onnx": _sums,
    "pytorch": module,
}
