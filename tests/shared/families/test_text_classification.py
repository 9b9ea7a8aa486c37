import math
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from deploy.publish import publish
from model_functions.artifact.signing_key import SigningKey
from model_functions.engines.scores import sigmoid
from model_functions.errors import InvalidInput
from model_functions.families.text_classification import TextClassificationWrapper
from model_functions.http.function import FamilyFunction
from model_functions.repository import Repository
from model_functions.settings import Settings
from model_functions.store.folder import FolderStore
from tests import tiny_models
from tests.shared.http.requests import body, get, message, post
from tests.tiny_models import TEXT

PAIR = {"text": "anna lives in berlin", "text_pair": "anna works in paris"}
LINE = "anna lives in berlin"
NLI_LABELS = ("CONTRADICTION", "neutral", "entailment")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.text_classifier_folder(tmp_path_factory.mktemp("classifier"))


@pytest.fixture(scope="module")
def classifier(folder: Path) -> TextClassificationWrapper:
    return TextClassificationWrapper.from_source(str(folder))


@pytest.fixture(scope="module")
def nli_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.text_classifier_folder(tmp_path_factory.mktemp("nli"), NLI_LABELS)


@pytest.fixture(scope="module")
def nli(nli_folder: Path) -> TextClassificationWrapper:
    return TextClassificationWrapper.from_source(str(nli_folder))


def close(answer: Any) -> Any:
    """The answer, with its numbers as they may differ by rounding."""
    if isinstance(answer, float):
        return pytest.approx(answer, abs=1e-5)
    if isinstance(answer, dict):
        return {key: close(value) for key, value in answer.items()}
    return [close(value) for value in answer] if isinstance(answer, list) else answer


@pytest.mark.parametrize(
    ("labels", "settings", "default"),
    [
        (("bad", "so-so", "good"), {}, "softmax"),
        (("bad", "good"), {"problem_type": "multi_label_classification"}, "sigmoid"),
        (("relevance",), {}, "sigmoid"),
        (("stars",), {"problem_type": "regression"}, "none"),
        (("length", "width"), {"problem_type": "regression"}, "none"),
    ],
)
@pytest.mark.parametrize("asked", [None, "softmax", "sigmoid", "none"])
def test_labels_are_those_of_the_reference_pipeline(
    tmp_path: Path, labels: tuple[str, ...], settings: dict[str, Any], default: str, asked: str | None
) -> None:
    from transformers import pipeline

    source = str(tiny_models.text_classifier_folder(tmp_path, labels, **settings))
    wrapper, reference = TextClassificationWrapper.from_source(source), pipeline("text-classification", source)
    assert wrapper.parameters["function_to_apply"].default == default
    chosen = {} if asked is None else {"function_to_apply": asked}
    for data in (TEXT, "berlin", PAIR, {"text": "berlin"}):
        assert wrapper.predict(data, chosen) == close(reference(data, top_k=None, **chosen))
        assert wrapper.predict(data, chosen | {"top_k": 1}) == close(reference(data, top_k=1, **chosen))


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("candidates", [["paris"], ["sales", "anna", "berlin", "hello world"]])
def test_candidate_labels_are_judged_as_by_the_reference_pipeline(
    nli: TextClassificationWrapper, nli_folder: Path, candidates: list[str], multi_label: bool
) -> None:
    from transformers import pipeline

    reference = pipeline("zero-shot-classification", str(nli_folder))
    for more in ({}, {"hypothesis_template": "hello {}: hello"}):
        parameters: dict[str, Any] = {"candidate_labels": candidates, "multi_label": multi_label} | more
        expected = [reference(text, **parameters) for text in (LINE, "hello")]
        assert nli.predict([LINE, "hello"], parameters) == close(expected)


def test_more_candidates_than_the_model_reads_at_once(nli: TextClassificationWrapper) -> None:
    candidates = [f"{first} {second}" for first in "abcdefgh" for second in "abcde"]
    texts = ["hello", "anna fell"]
    answers = nli.predict(texts, {"candidate_labels": candidates, "multi_label": True})
    for text, answer in zip(texts, answers, strict=True):
        assert answer["sequence"] == text
        assert sorted(answer["labels"]) == candidates
        for label in (candidates[0], candidates[39]):
            [alone] = nli.predict(text, {"candidate_labels": [label]})["scores"]
            assert answer["scores"][answer["labels"].index(label)] == pytest.approx(alone, abs=1e-5)
    top = nli.predict("hello", {"candidate_labels": candidates, "top_k": 3})
    assert len(top["labels"]) == len(top["scores"]) == 3
    assert top["scores"] == sorted(top["scores"], reverse=True)


def test_only_a_model_of_entailment_takes_candidate_labels(
    nli: TextClassificationWrapper, classifier: TextClassificationWrapper
) -> None:
    assert {"candidate_labels", "hypothesis_template", "multi_label"} <= set(nli.parameters)
    assert list(classifier.parameters) == ["top_k", "function_to_apply"]
    assert (nli.input.kind, classifier.input.kind) == ("pair", "text")


def test_contradiction_is_found_wherever_it_stands(tmp_path: Path) -> None:
    source = tiny_models.text_classifier_folder(tmp_path, ("neutral", "entailment", "contradiction"))
    wrapper = TextClassificationWrapper.from_source(str(source))
    [score] = wrapper.predict("hello", {"candidate_labels": ["paris"]})["scores"]
    pair = {"text": "hello", "text_pair": "This example is paris."}
    logits = {row["label"]: row["score"] for row in wrapper.predict(pair, {"function_to_apply": "none"})}
    assert score == pytest.approx(1 / (1 + math.exp(logits["contradiction"] - logits["entailment"])), abs=1e-5)


def test_a_batch_of_texts_and_pairs_gives_what_each_gives_alone(classifier: TextClassificationWrapper) -> None:
    items = [TEXT, PAIR, {"text": "berlin"}, "one two three", {"text": "paris", "text_pair": "rose"}] * 9
    items = items[:32]
    for item, answer in zip(items, classifier.predict(items), strict=True):
        assert answer == close(classifier.predict(item))
    assert classifier.predict({"text": "berlin", "text_pair": None}) == close(classifier.predict("berlin"))


def test_sigmoid_does_not_overflow() -> None:
    found = sigmoid(np.array([-1000, -1, 0, 1, 1000], dtype=np.float32))
    assert found == pytest.approx([0, 1 / (1 + math.e), 0.5, math.e / (1 + math.e), 1])


def test_a_decoder_without_padding_classifies_batches(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2ForSequenceClassification

    tokens = tiny_models.tokenizer()
    tokens.pad_token = None
    config = GPT2Config(
        vocab_size=len(tiny_models.VOCABULARY), n_embd=16, n_layer=1, n_head=2, n_positions=32, num_labels=3
    )
    GPT2ForSequenceClassification(config).save_pretrained(tmp_path)
    tokens.save_pretrained(tmp_path)
    wrapper = TextClassificationWrapper.from_source(str(tmp_path))
    texts = ["anna", TEXT, "sales rose"]
    assert wrapper.predict(texts) == close([wrapper.predict(text) for text in texts])


def test_a_model_without_a_trained_head_is_refused(tmp_path: Path) -> None:
    source = tiny_models.encoder_folder(tmp_path)
    with pytest.raises(ValueError, match=r"has no weights for .*BertForSequenceClassification\. Choose the family"):
        TextClassificationWrapper.from_source(str(source))


@pytest.fixture(scope="module")
def function(
    tmp_path_factory: pytest.TempPathFactory,
    trust: Any,
    trust_file: Path,
    key: SigningKey,
    classifier: TextClassificationWrapper,
    nli: TextClassificationWrapper,
) -> FamilyFunction:
    store = tmp_path_factory.mktemp("store")
    repository = Repository(FolderStore(store), trust)
    for name, wrapper in (("mood", classifier), ("nli", nli)):
        publish(wrapper, name=name, examples=[TEXT], repository=repository, key=key, engine="torch")
    settings = Settings.from_environment({"MODEL_STORE": str(store), "MODEL_TRUST": str(trust_file)})
    return FamilyFunction(TextClassificationWrapper, settings)


LABELS = {"candidate_labels": ["a", "b"]}


@pytest.mark.parametrize(
    ("model", "data", "parameters", "text"),
    [
        ("mood", 5, {}, 'data is a number. Send a string, {"text": …, "text_pair": …}, or a list of them.'),
        ("mood", None, {}, "data is null. Send a string"),
        ("mood", "", {}, "data is an empty text. Send at least one word."),
        ("mood", [], {}, "data is an empty list. Send at least one item."),
        ("mood", ["a"] * 33, {}, "data has 33 items; the limit is 32. Send fewer per request."),
        ("mood", ["a", ["b"]], {}, "data[1] is a list. Send a string"),
        ("mood", {"text_pair": "b"}, {}, 'data has no "text". A pair is {"text": …, "text_pair": …}.'),
        ("mood", [{"text": "a", "pair": "b"}], {}, 'data[0] has "pair". A pair is {"text": …, "text_pair": …}.'),
        ("mood", {"text": "a", "text_pair": 5}, {}, "data.text_pair is a number. Send a string"),
        ("mood", {"text": " ", "text_pair": "b"}, {}, "data.text is an empty text. Send at least one word."),
        ("mood", "x" * 10_001, {}, "data has 10001 characters; the limit is 10000. Send it in parts."),
        ("mood", "hello " * 40, {}, "The text has 42 tokens; the model reads 32. Send it in parts."),
        (
            "mood",
            {"text": "hello " * 20, "text_pair": "hello " * 20},
            {},
            "The text has 43 tokens; the model reads 32. Send it in parts.",
        ),
        ("mood", "a", {"top_k": 0}, '"top_k": 0 is out of bounds. Give an integer from 1 to 10000.'),
        ("mood", "a", {"top_k": 1.5}, '"top_k": 1.5 is no integer. Give an integer from 1 to 10000.'),
        (
            "mood",
            "a",
            {"function_to_apply": "tanh"},
            '"function_to_apply": "tanh" is none of softmax, sigmoid, none. Give one of softmax, sigmoid, none.',
        ),
        (
            "mood",
            "a",
            LABELS,
            '"candidate_labels" is no parameter of this model. Its parameters: top_k, function_to_apply.',
        ),
        ("nli", "a", {"candidate_labels": "a,b"}, '"candidate_labels": "a,b" is no list of strings. Give a list of'),
        ("nli", "a", {"candidate_labels": []}, '"candidate_labels": a list of 0 is out of bounds. Give a list of'),
        ("nli", "a", {"candidate_labels": ["a", 5]}, '"candidate_labels": 5 is no string. Give a list of'),
        ("nli", "a", {"candidate_labels": ["a"] * 65}, '"candidate_labels": a list of 65 is out of bounds.'),
        ("nli", "a", {"candidate_labels": ["a", " "]}, "parameters.candidate_labels[1] is an empty text."),
        ("nli", "a", {"candidate_labels": ["a", "b", "a"]}, 'parameters.candidate_labels[2] says "a" again. Send each'),
        (
            "nli",
            "a",
            LABELS | {"hypothesis_template": "no place"},
            '"hypothesis_template" has no {} for the label. Write it as "This example is {}.".',
        ),
        (
            "nli",
            ["a", PAIR],
            LABELS,
            "data[1] is a pair, and candidate_labels judge one text. Send the text alone.",
        ),
        ("nli", "a", LABELS | {"multi_label": 1}, '"multi_label": 1 is no boolean. Give true or false.'),
    ],
)
def test_a_wrong_request_is_a_422_that_says_why(
    function: FamilyFunction, model: str, data: Any, parameters: dict[str, Any], text: str
) -> None:
    response = function.handle(post({"model_name": model, "data": data, "parameters": parameters}))
    assert (response.status, response.headers["X-Error-Code"]) == (422, "invalid_input")
    assert message(response).startswith(text)


def test_a_text_that_is_too_long_is_named_by_its_place(nli: TextClassificationWrapper) -> None:
    for parameters in ({}, LABELS):
        with pytest.raises(InvalidInput) as caught:
            nli.predict(["hello", "hello " * 40], parameters)
        assert caught.value.path == "data[1]"


def test_the_schema_accepts_what_the_function_does(function: FamilyFunction) -> None:
    [record] = [model for model in function.models() if model["model_name"] == "nli"]
    for data in (TEXT, PAIR, {"text": "a"}, [TEXT, PAIR]):
        jsonschema.validate(data, record["data"])
    for wrong in (5, {}, {"text": "a", "x": "b"}, [], [5]):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, record["data"])
    jsonschema.validate(["a"], record["parameters"]["candidate_labels"])


def test_a_query_string_asks_for_candidate_labels(function: FamilyFunction) -> None:
    response = function.handle(get('/predict?model_name=nli&data=hello&candidate_labels=["paris","anna"]'))
    assert sorted(body(response)["body"]["labels"]) == ["anna", "paris"]
