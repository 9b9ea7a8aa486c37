"""The models that the clients ask: tiny, real, one at least for each family that a client has a word for."""

from pathlib import Path
from typing import Any

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

#: The same writer, whose store the fakes slow down or shut: a model is cold once.
WRITERS = ("writer", "slow_writer", "shut_writer")

ROW = dict(zip(tiny_models.COLUMNS, (0.5, 1.0, 2.0), strict=True))


def publish_all(repository: Repository, key: SigningKey, folder: Path) -> None:
    for name, wrapper, examples in _models(folder):
        # What their graphs take to export is of no use here.
        engine = "torch" if wrapper.family in ("summarization", "translation") else "auto"
        publish(wrapper, name=name, examples=examples, repository=repository, key=key, engine=engine)


def _models(folder: Path) -> list[tuple[str, ModelWrapper, list[Any]]]:
    generator = tiny_models.generator_folder(folder / "generator")
    # A story of thousands of steps is what somebody may hang up in the middle of.
    stories = tiny_models.llama_folder(folder / "writer", positions=4100)
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
        *((name, writer, ["hello world"]) for name in WRITERS),
        ("eye", eye, [eye.default_example]),
        ("sizes", TabularWrapper.from_estimator(tiny_models.classifier(), ROW), [ROW]),
        ("linear", OnnxWrapper.from_source(str(tiny_graphs.linear(folder / "linear.onnx"))), [[[0.5, 1.0, 2.0]]]),
        ("picture", OnnxWrapper.from_source(str(tiny_graphs.picture(folder / "picture.onnx"))), [_GREY]),
        ("sums", OnnxWrapper.from_source(str(tiny_graphs.weighted_sums(folder / "sums.onnx"))), [_SUMS]),
    ]


_GREY = [[[1.0, 1.0, 0.0, 0.0]] * 4]
_SUMS = {"values": [1.0, 2.0], "weights": [3.0, -4.0]}


def _read(wrapper_class: type[ModelWrapper], folder: Path) -> ModelWrapper:
    return wrapper_class.from_source(str(folder))
