"""The models of the browser's tests: tiny, real, one a task, and one that is hostile."""

from pathlib import Path
from typing import Any

import numpy as np

from deploy.publish import publish
from model_functions.artifact.signing_key import SigningKey
from model_functions.families.feature_extraction import FeatureExtractionWrapper
from model_functions.families.summarization import SummarizationWrapper
from model_functions.families.tabular import TabularWrapper
from model_functions.families.text_classification import TextClassificationWrapper
from model_functions.families.token_classification import TokenClassificationWrapper
from model_functions.families.translation import TranslationWrapper
from model_functions.repository import Repository
from model_functions.wrapper import ModelWrapper
from tests import tiny_models

#: Runs when it is taken for markup.
HOSTILE = '<img src=x onerror="hostile=1">'

#: Two code units in JavaScript and one code point in Python stand before the words.
EMOJI_TEXT = "😀 " + tiny_models.TEXT

PAIR = {"text": "anna lives in berlin", "text_pair": "anna works in paris"}
RANK = {"query": "anna works", "documents": ["sales fell", "anna works", "anna lives"]}
SIMILAR = {"source_sentence": "anna", "sentences": ["sales", "anna"]}

#: Those that import torch before they answer.
TRANSFORMERS_MODELS = ("entity_model", "translation_model", "summary_model")


def publish_all(repository: Repository, key: SigningKey, folder: Path) -> None:
    """Publishes every model of the tests as ``prod``."""
    tagger, generator = tiny_models.tagger_folder(folder / "tagger"), tiny_models.generator_folder(folder / "generator")
    texts = [tiny_models.TEXT, EMOJI_TEXT]
    rows = [{"length": 1.5, "width": 2, "weight": 0.5}, [-1.5, -2, -0.5]]
    nli = tiny_models.text_classifier_folder(folder / "nli", ("contradiction", "neutral", "entailment"))
    sentences = tiny_models.sentence_folder(folder / "sentences")
    # Words that end the sentence early would leave nothing to look at.
    lengths = {"min_new_tokens": 4, "max_new_tokens": 8}
    models: list[tuple[str, ModelWrapper, list[Any], str]] = [
        ("entity_model", TokenClassificationWrapper.from_source(str(tagger)), texts, "Finds entities."),
        ("translation_model", TranslationWrapper.from_source(str(generator), defaults=lengths), texts, "Translates."),
        ("summary_model", SummarizationWrapper.from_source(str(generator), defaults=lengths), texts, "Sums up."),
        ("nli_model", TextClassificationWrapper.from_source(str(nli)), [tiny_models.TEXT, PAIR], "Compares."),
        ("vector_model", FeatureExtractionWrapper.from_source(str(sentences)), [["anna", "sales"], RANK, SIMILAR], "."),
        ("size_model", _sizes(), rows, "Tells small from large."),
        ("untouched_model", _sizes(), rows, "Nobody has asked it before."),
        ("hostile_model", _hostile(), [[HOSTILE, 1.5, True], ["blue", None, False]], f"Says {HOSTILE}."),
    ]
    for name, wrapper, examples, description in models:
        publish(wrapper, name=name, examples=examples, repository=repository, key=key, description=description)


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
