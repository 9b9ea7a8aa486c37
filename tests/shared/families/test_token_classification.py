import warnings
from pathlib import Path
from typing import Any

import pytest

from model_functions.errors import InvalidInput
from model_functions.families.token_classification import TokenClassificationWrapper
from tests.tiny_models import TEXT

STRATEGIES = ("none", "simple", "first", "average", "max")


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("text", [TEXT, "Berlin", "the report: Paris fell, Anna rose.  'hello'"])
def test_entities_are_those_of_the_reference_pipeline(
    tagger: TokenClassificationWrapper, tagger_folder: Path, strategy: str, text: str
) -> None:
    from transformers import pipeline

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the pipeline warns of tokenizers without subwords
        reference = pipeline("token-classification", str(tagger_folder), aggregation_strategy=strategy)(text)
    found = tagger.predict(text, {"aggregation_strategy": strategy})
    assert [essence(entity) for entity in found] == [essence(entity) for entity in reference]


def essence(entity: dict[str, Any]) -> tuple[Any, ...]:
    label = entity.get("entity_group") or entity["entity"]
    return label, entity["start"], entity["end"], pytest.approx(float(entity["score"]), abs=1e-5)


def test_a_word_is_cut_out_of_the_text_itself(tagger: TokenClassificationWrapper) -> None:
    text = "Anna  lives in\tBerlin — Paris"
    entities = tagger.predict(text)
    assert entities
    assert all(entity["word"] == text[entity["start"] : entity["end"]] for entity in entities)


def test_a_batch_gives_what_each_text_gives_alone(tagger: TokenClassificationWrapper) -> None:
    texts = ["Berlin", TEXT, "Anna works", "one two three : hello"]
    for alone, together in zip(map(tagger.predict, texts), tagger.predict(texts), strict=True):
        assert [essence(entity) for entity in together] == [essence(entity) for entity in alone]


def test_the_threshold_leaves_out_the_doubtful(tagger: TokenClassificationWrapper) -> None:
    scores = sorted(entity["score"] for entity in tagger.predict(TEXT))
    middle = scores[len(scores) // 2]
    assert len(tagger.predict(TEXT, {"threshold": middle})) == len([score for score in scores if score >= middle])
    assert tagger.predict(TEXT, {"threshold": 1}) == []


def test_a_text_of_too_many_tokens_is_refused_and_not_cut(tagger: TokenClassificationWrapper) -> None:
    with pytest.raises(InvalidInput) as caught:
        tagger.predict(["hello", "hello " * 40])
    assert caught.value.message == "The text has 41 tokens; the model reads 32. Send it in parts."
    assert caught.value.path == "data[1]"


def test_a_publisher_may_lower_the_limits(tagger_folder: Path) -> None:
    wrapper = TokenClassificationWrapper.from_source(str(tagger_folder), max_tokens=4, max_characters=20)
    with pytest.raises(InvalidInput, match="the model reads 4"):
        wrapper.predict("one two three one")
    with pytest.raises(InvalidInput, match="the limit is 20"):
        wrapper.predict("x" * 21)


def test_a_tokenizer_without_places_is_refused_at_once(tagger: TokenClassificationWrapper) -> None:
    from model_functions.engines.transformers import TransformersTagger

    class SlowTokenizer:
        is_fast = False

    with pytest.raises(ValueError, match="SlowTokenizer does not say where its tokens stand"):
        TransformersTagger(tagger.engine.model, SlowTokenizer())  # type: ignore[attr-defined]
