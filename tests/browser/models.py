"""The models of the browser's tests: tiny, real, one a task, and one that is hostile."""

import base64
from pathlib import Path
from typing import Any

import numpy as np

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

#: Runs when it is taken for markup.
HOSTILE = '<img src=x onerror="hostile=1">'

#: Two code units in JavaScript and one code point in Python stand before the words.
EMOJI_TEXT = "😀 " + tiny_models.TEXT

#: Its left half is drawn on.
PICTURE = [[1.0, 1.0, 0.0, 0.0]] * 4
_PICTURE = base64.b64encode(tiny_models.picture(grey=True)).decode()
_OTHER_PICTURE = base64.b64encode(tiny_models.picture(20, 20, kind="JPEG")).decode()

CHAT = [{"role": "system", "content": "one two"}, {"role": "user", "content": "hello"}]
PAIR = {"text": "anna lives in berlin", "text_pair": "anna works in paris"}
RANK = {"query": "anna works", "documents": ["sales fell", "anna works", "anna lives"]}
SIMILAR = {"source_sentence": "anna", "sentences": ["sales", "anna"]}

MODELS = ["entity_model", "hostile_model", "image_model", "nli_model", "picture_model", "size_model", "summary_model"]
MODELS += ["sums_model", "translation_model", "untouched_model", "vector_model", "writing_model"]

#: Those that import torch before they answer. What lanes there are is no matter of the page: to look for the fastest,
#: all of them would be made.
TRANSFORMERS_MODELS = ("translation_model", "summary_model", "writing_model")
#: The others that could run by torch too, and have one graph made.
_GRAPH_MODELS = ("entity_model", "nli_model", "vector_model", "image_model")
_ENGINES = dict.fromkeys(TRANSFORMERS_MODELS, "torch") | dict.fromkeys(_GRAPH_MODELS, "onnxruntime")


def publish_all(repository: Repository, key: SigningKey, folder: Path) -> None:
    """Publishes every model of the tests as ``prod``."""
    tagger, generator = tiny_models.tagger_folder(folder / "tagger"), tiny_models.generator_folder(folder / "generator")
    texts = [tiny_models.TEXT, EMOJI_TEXT]
    letters = tiny_models.llama_folder(folder / "writer", positions=4100)
    writer = TextGenerationWrapper.from_source(str(letters), defaults={"min_new_tokens": 8, "max_new_tokens": 8})
    rows = [{"length": 1.5, "width": 2, "weight": 0.5}, [-1.5, -2, -0.5]]
    nli = tiny_models.text_classifier_folder(folder / "nli", ("contradiction", "neutral", "entailment"))
    sentences = tiny_models.sentence_folder(folder / "sentences")
    # Words that end the sentence early would leave nothing to look at.
    lengths = {"min_new_tokens": 4, "max_new_tokens": 8}
    models: list[tuple[str, ModelWrapper, list[Any], str]] = [
        ("entity_model", TokenClassificationWrapper.from_source(str(tagger)), texts, "Finds entities."),
        ("translation_model", TranslationWrapper.from_source(str(generator), defaults=lengths), texts, "Translates."),
        ("summary_model", SummarizationWrapper.from_source(str(generator), defaults=lengths), texts, "Sums up."),
        ("writing_model", writer, [tiny_models.TEXT, CHAT], "Goes on with a text."),
        ("nli_model", TextClassificationWrapper.from_source(str(nli)), [tiny_models.TEXT, PAIR], "Compares."),
        ("vector_model", FeatureExtractionWrapper.from_source(str(sentences)), [["anna", "sales"], RANK, SIMILAR], "."),
        ("size_model", _sizes(), rows, "Tells small from large."),
        ("image_model", _eye(folder / "eye"), [_PICTURE, _OTHER_PICTURE], "Sees cats, dogs and birds."),
        ("untouched_model", _sizes(), rows, "Nobody has asked it before."),
        ("hostile_model", _hostile(), [[HOSTILE, 1.5, True], ["blue", None, False]], f"Says {HOSTILE}."),
    ]
    pictures = OnnxWrapper.from_source(str(tiny_graphs.picture(folder / "picture.onnx")))
    sums = OnnxWrapper.from_source(str(tiny_graphs.weighted_sums(folder / "sums.onnx")))
    models += [
        ("picture_model", pictures, [PICTURE, np.eye(4).tolist()], "Tells what a picture shows."),
        ("sums_model", sums, [{"values": [1, 2], "weights": [3, -4]}], "Sums up."),
    ]
    for name, wrapper, examples, description in models:
        engine = _ENGINES.get(name, "auto")
        publish(
            wrapper,
            name=name,
            examples=examples,
            repository=repository,
            key=key,
            description=description,
            engine=engine,
        )


def _eye(folder: Path) -> ImageClassificationWrapper:
    """Of grey images, small enough for the page's pad."""
    return ImageClassificationWrapper.from_source(str(tiny_models.image_folder(folder, channels=1)))


def _sizes() -> TabularWrapper:
    return TabularWrapper.from_estimator(tiny_models.classifier(), [1.5, 2.0, 0.5], columns=list(tiny_models.COLUMNS))


def _hostile() -> TabularWrapper:
    """Columns of every type, each of which may be missing; its first column, first value and label are markup."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    rows = np.array([[HOSTILE, 1.5, True], ["blue", 2.5, False]] * 5, dtype=object)
    estimator = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    estimator.fit(rows, [f"label {HOSTILE}", "harmless"] * 5)
    columns = [f"colour {HOSTILE}", "height", "is_ripe"]
    return TabularWrapper.from_estimator(estimator, list(rows[0]), columns=columns)
