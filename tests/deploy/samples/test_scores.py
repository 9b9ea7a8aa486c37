"""The sample models, truly trained: their scores, and what a person would try first."""

import base64
import io
import subprocess
import sys
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont, ImageOps

from deploy.environments import satisfied
from deploy.project import ROOT
from deploy.samples import load_sample, sample_names
from deploy.samples.digits import split
from deploy.samples.training import BUILD, ensure_trained
from model_functions.wrapper import ModelWrapper
from tests.deploy.samples.drawings import STROKES, drawing

pytestmark = pytest.mark.slow

WRAPPERS: dict[str, ModelWrapper] = {}

#: What every sample must reach on held-out data, whatever its script demands.
PROMISED = {
    "digits_model": 0.96,
    "digits_onnx": 0.96,
    "digits_pytorch": 0.96,
    "digits_tensorflow": 0.96,
    "entity_match_model": 0.9,
    "russian_translation_model": 0.98,
    "sentence_model": 0.9,
    "sentiment_model": 0.9,
    "story_model": 3,
    "summarize_data_model": 0.85,
    "wine_model": 0.94,
}


@pytest.fixture(scope="module", autouse=True)
def trained() -> None:
    """All samples, trained first where that is needed, each where its family runs."""
    subprocess.run([sys.executable, "-m", "deploy", "train", "--no-publish"], cwd=ROOT, check=True)


def wrapper(name: str) -> ModelWrapper:
    if name not in WRAPPERS:
        WRAPPERS[name] = load_sample(name).wrapper(BUILD / name)
    return WRAPPERS[name]


def test_every_sample_promises_something() -> None:
    assert PROMISED.keys() == set(sample_names())


@pytest.mark.parametrize("name", sample_names())
def test_the_held_out_score_is_reached(name: str) -> None:
    score = ensure_trained(name, BUILD / name)
    assert score.minimum >= PROMISED[name]
    assert score.value >= score.minimum


@pytest.mark.parametrize("name", [name for name in sample_names() if satisfied(load_sample(name).FAMILY)])
def test_every_example_is_answered(name: str) -> None:
    examples = load_sample(name).EXAMPLES
    assert len(wrapper(name).predict(examples)) == len(examples)


@pytest.mark.parametrize(
    ("english", "russian"),
    [
        ("zero", "ноль"),
        ("twenty-one", "двадцать один"),
        ("Forty Two", "сорок два"),
        ("one hundred and eleven", "сто одиннадцать"),
        ("nine hundred ninety", "девятьсот девяносто"),
        ("two thousand", "две тысячи"),
        ("five thousand three hundred and eight", "пять тысяч триста восемь"),
        ("nine thousand nine hundred ninety-nine", "девять тысяч девятьсот девяносто девять"),
    ],
)
def test_numbers_are_translated(english: str, russian: str) -> None:
    assert wrapper("russian_translation_model").predict(english) == {"translation_text": russian}


@pytest.mark.parametrize(
    ("text", "entities"),
    [
        ("Angela Merkel met Barack Obama in Berlin.", ["Angela Merkel PER", "Barack Obama PER", "Berlin LOC"]),
        ("Microsoft opened an office in Paris.", ["Microsoft ORG", "Paris LOC"]),
        ("The United Nations sent Maria Lopez to Kenya.", ["United Nations ORG", "Maria Lopez PER", "Kenya LOC"]),
        ("Yesterday Tom flew to Rome.", ["Tom PER", "Rome LOC"]),
        ("I like tea in the morning.", []),
        ("It rained all day.", []),
    ],
)
def test_names_are_found(text: str, entities: list[str]) -> None:
    found = wrapper("entity_match_model").predict(text)
    assert [f"{entity['word']} {entity['entity_group']}" for entity in found] == entities


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("The staff was friendly.", "positive"),
        ("The staff was not friendly.", "negative"),
        ("The room was dirty, but the food was wonderful.", "positive"),
        ("The food was wonderful, but the room was dirty.", "negative"),
        ("The room was dirty and nobody apologised.", "negative"),
        ("I love it.", "positive"),
        ("This is terrible.", "negative"),
        ("Not bad at all.", "positive"),
        ("Not good at all.", "negative"),
        ("The food was cold, but the service saved it.", "positive"),
        ("I have never been so disappointed.", "negative"),
        ("I would not recommend this to anyone.", "negative"),
        ("I would recommend this to everyone.", "positive"),
        ("Best purchase ever!", "positive"),
        ("What a waste of money.", "negative"),
        ("The movie was boring and far too long.", "negative"),
        ("Thank you, everything was perfect.", "positive"),
    ],
)
def test_praise_is_told_from_complaint(text: str, label: str) -> None:
    assert wrapper("sentiment_model").predict(text)[0]["label"] == label


def test_the_document_that_says_the_same_comes_first() -> None:
    ranked = wrapper("sentence_model").predict(load_sample("sentence_model").EXAMPLES[0])
    assert ranked[0]["document"] == "The lad photographed the boat on the beach."


def test_a_summary_keeps_names_and_numbers() -> None:
    report = load_sample("summarize_data_model").EXAMPLES[0]
    summary = wrapper("summarize_data_model").predict(report)["summary_text"]
    assert len(summary) < len(report)
    for fact in ("Nordwind Software", "1250 lamps", "May", "12 percent", "Vienna"):
        assert fact in summary


@pytest.mark.parametrize("name", ["digits_onnx", "digits_pytorch"])
def test_held_out_digits_are_told(name: str) -> None:
    _, held_out = split()
    answers = wrapper(name).predict(held_out.images.tolist(), {"top_k": 1})
    right = [answer[0]["label"] == str(label) for answer, label in zip(answers, held_out.labels, strict=True)]
    assert sum(right) / len(right) >= 0.96


@pytest.mark.parametrize(
    "paper",
    [{}, {"pen": 10}, {"pen": 30}, {"zoom": 0.6, "right": 30, "down": -30}, {"zoom": 1.1}, {"size": 64, "pen": 5}],
    ids=str,
)
def test_drawn_digits_are_read(paper: dict[str, Any]) -> None:
    answers = wrapper("digits_model").predict([drawing(digit, **paper) for digit in STROKES])
    assert "".join(answer[0]["label"] for answer in answers) == "0123456789"


def test_printed_and_inverted_digits_are_read() -> None:
    read = ["", ""]
    for digit in "0123456789":
        paper = Image.new("L", (200, 200), 255)
        ImageDraw.Draw(paper).text((100, 100), digit, fill=0, font=ImageFont.load_default(150), anchor="mm")
        for place, image in enumerate((paper, ImageOps.invert(paper))):
            file = io.BytesIO()
            image.save(file, "PNG")
            read[place] += wrapper("digits_model").predict(base64.b64encode(file.getvalue()).decode())[0]["label"]
    # A printed digit is no handwriting: one of ten may be mistaken.
    assert [sum(map(str.__eq__, found, "0123456789")) >= 9 for found in read] == [True, True], read


def test_wines_are_told_apart() -> None:
    answers = wrapper("wine_model").predict(load_sample("wine_model").EXAMPLES[:3])
    assert [answer["prediction"] for answer in answers] == ["class_0", "class_1", "class_1"]
    assert all(sum(answer["probabilities"].values()) == pytest.approx(1) for answer in answers)
