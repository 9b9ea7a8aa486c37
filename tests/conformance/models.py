"""The models that the clients ask: tiny, real, one at least for each family that a client has a word for."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from deploy.publish import publish
from model_functions.artifact.signing_key import SigningKey
from model_functions.families.feature_extraction import FeatureExtractionWrapper
from model_functions.families.image_classification import ImageClassificationWrapper
from model_functions.families.onnx import OnnxWrapper
from model_functions.families.summarization import SummarizationWrapper
from model_functions.families.tabular import TabularWrapper
from model_functions.families.text_classification import TextClassificationWrapper
from model_functions.families.text_generation import TextGenerationWrapper
from model_functions.families.token_classification import TokenClassificationWrapper
from model_functions.families.translation import TranslationWrapper
from model_functions.repository import Repository
from model_functions.wrapper import ModelWrapper
from tests import tiny_graphs, tiny_models
from tests.tiny_models import TEXT

ROW = dict(zip(tiny_models.COLUMNS, (0.5, 1.0, 2.0), strict=True))


def publish_all(repository: Repository, key: SigningKey, folder: Path) -> None:
    for name, wrapper, examples in _models(folder):
        # What their graphs take to export is of no use here.
        engine = "torch" if wrapper.family in ("summarization", "translation") else "auto"
        publish(wrapper, name=name, examples=examples, repository=repository, key=key, engine=engine)


def _models(folder: Path) -> list[tuple[str, ModelWrapper, list[Any]]]:
    generator = tiny_models.generator_folder(folder / "generator")
    # A story of thousands of steps is what somebody may hang up in the middle of.
    stories = _endless(tiny_models.llama_folder(folder / "writer", positions=4100))
    writer = TextGenerationWrapper.from_source(str(stories), defaults={"max_new_tokens": 16})
    entailment = tiny_models.text_classifier_folder(folder / "nli", ("contradiction", "neutral", "entailment"))
    lengths = {"min_new_tokens": 4, "max_new_tokens": 8}
    eye = ImageClassificationWrapper.from_source(str(tiny_models.image_folder(folder / "eye")))
    return [
        ("tagger", _read(TokenClassificationWrapper, tiny_models.tagger_folder(folder / "tagger")), [TEXT]),
        ("sentiment", _read(TextClassificationWrapper, tiny_models.text_classifier_folder(folder / "mood")), [TEXT]),
        ("entailment", _read(TextClassificationWrapper, entailment), [TEXT]),
        ("sentences", _read(FeatureExtractionWrapper, tiny_models.sentence_folder(folder / "sentences")), ["anna"]),
        ("summarizer", SummarizationWrapper.from_source(str(generator), defaults=lengths), [TEXT]),
        ("translator", TranslationWrapper.from_source(str(generator), defaults=lengths), [TEXT]),
        ("writer", writer, ["hello world"]),
        ("eye", eye, [eye.default_example]),
        ("sizes", TabularWrapper.from_estimator(tiny_models.classifier(), ROW), [ROW]),
        ("flats", _flats(), [FLAT]),
        ("linear", OnnxWrapper.from_source(str(tiny_graphs.linear(folder / "linear.onnx"))), [[[0.5, 1.0, 2.0]]]),
        ("picture", OnnxWrapper.from_source(str(tiny_graphs.picture(folder / "picture.onnx"))), [_GREY]),
        ("sums", OnnxWrapper.from_source(str(tiny_graphs.weighted_sums(folder / "sums.onnx"))), [_SUMS]),
        ("half_plus_two", OnnxWrapper.from_source(str(_half_plus_two(folder / "half.onnx"))), [1.0]),
        ("types", OnnxWrapper.from_source(str(_types(folder / "types.onnx"))), [_TYPES]),
    ]


_GREY = [[[1.0, 1.0, 0.0, 0.0]] * 4]
_SUMS = {"values": [1.0, 2.0], "weights": [3.0, -4.0]}

_NUMBERS = ("UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FLOAT16", "FLOAT", "DOUBLE")
_TYPES = {"bool": [True], "string": ["a"], **{name.lower(): [1] for name in _NUMBERS}}


def _endless(folder: Path) -> Path:
    """The same writer, which never ends by itself what it writes."""
    path = folder / "generation_config.json"
    config = json.loads(path.read_text())
    ends = config.pop("eos_token_id")
    path.write_text(json.dumps(config | {"suppress_tokens": [*config["suppress_tokens"], *ends]}))
    return folder


def _half_plus_two(path: Path) -> Path:
    """The model of TensorFlow Serving's documentation."""
    nodes = [helper.make_node("Mul", ["x", "half"], ["z"]), helper.make_node("Add", ["z", "two"], ["y"])]
    weights = {"half": np.array(0.5, np.float32), "two": np.array(2, np.float32)}
    return tiny_graphs.save(path, nodes, [tiny_graphs.tensor("x", ["n"])], [tiny_graphs.tensor("y", ["n"])], weights)


def _types(path: Path) -> Path:
    """Gives every tensor back, one of each type, as ``same_int8`` for ``int8``."""
    kinds = [(name.lower(), TensorProto.DataType.Value(name)) for name in ("BOOL", "STRING", *_NUMBERS)]
    nodes = [helper.make_node("Identity", [name], [f"same_{name}"]) for name, _ in kinds]
    inputs = [tiny_graphs.tensor(name, ["n", "m"], kind) for name, kind in kinds]
    outputs = [tiny_graphs.tensor(f"same_{name}", ["n", "m"], kind) for name, kind in kinds]
    return tiny_graphs.save(path, nodes, inputs, outputs)


FLAT = {"city": "Berlin", "rooms": 2.5, "balcony": True}


def _flats() -> TabularWrapper:
    """Columns of every kind, which may be missing."""
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    rows = np.array([["Berlin", 2.5, True], ["Rome", 1.0, False]] * 5, dtype=object)
    encoder = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), [0]), remainder="drop")
    estimator = make_pipeline(encoder, LogisticRegression()).fit(rows, ["dear", "cheap"] * 5)
    return TabularWrapper.from_estimator(estimator, list(FLAT.values()), columns=list(FLAT))


def _read(wrapper_class: type[ModelWrapper], folder: Path) -> ModelWrapper:
    return wrapper_class.from_source(str(folder))
