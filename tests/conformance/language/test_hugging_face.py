"""``huggingface_hub.InferenceClient`` with a model's address for its model."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import AsyncInferenceClient, InferenceClient
from huggingface_hub.errors import BadRequestError, HfHubHTTPError, TextGenerationError, ValidationError

from tests.conformance.pictures import PNG
from tests.conformance.place import Place

CHAT = [{"role": "user", "content": "hello"}]
TEXT = "anna lives in berlin"


def address(place: Place, family: str, model: str) -> str:
    return f"{place.url(family)}/models/{model}"


def at(place: Place, family: str, model: str) -> InferenceClient:
    return InferenceClient(model=address(place, family, model), timeout=60)


def asked(place: Place, family: str, model: str, ask: Callable[[AsyncInferenceClient], Awaitable[Any]]) -> Any:
    """What the coroutine finds with an asynchronous client of its own."""

    async def run() -> Any:
        async with AsyncInferenceClient(model=address(place, family, model), timeout=60) as client:
            return await ask(client)

    return asyncio.run(run())


@pytest.fixture
def writer(place: Place) -> InferenceClient:
    return at(place, "text_generation", "writer")


@pytest.fixture
def sentiment(place: Place) -> InferenceClient:
    return at(place, "text_classification", "sentiment")


@pytest.fixture
def entailment(place: Place) -> InferenceClient:
    return at(place, "text_classification", "entailment")


@pytest.fixture
def tagger(place: Place) -> InferenceClient:
    return at(place, "token_classification", "tagger")


@pytest.fixture
def sentences(place: Place) -> InferenceClient:
    return at(place, "feature_extraction", "sentences")


@pytest.fixture
def eye(place: Place) -> InferenceClient:
    return at(place, "image_classification", "eye")


def test_text_classification(sentiment: InferenceClient) -> None:
    found = sentiment.text_classification(TEXT)
    assert {one.label for one in found} == {"bad", "so-so", "good"}
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert sum(one.score for one in found) == pytest.approx(1, abs=1e-3)


def test_text_classification_of_the_best_labels(sentiment: InferenceClient) -> None:
    assert len(sentiment.text_classification(TEXT, top_k=2)) == 2


def test_text_classification_with_another_function(sentiment: InferenceClient) -> None:
    found = sentiment.text_classification(TEXT, function_to_apply="sigmoid")
    assert sum(one.score for one in found) != pytest.approx(1, abs=1e-3)


def test_zero_shot_classification(entailment: InferenceClient) -> None:
    found = entailment.zero_shot_classification(TEXT, ["one", "two", "three"])
    assert {one.label for one in found} == {"one", "two", "three"}
    assert sum(one.score for one in found) == pytest.approx(1, abs=1e-3)


def test_zero_shot_classification_of_many_labels(entailment: InferenceClient) -> None:
    found = entailment.zero_shot_classification(TEXT, ["one", "two"], multi_label=True, hypothesis_template="in {}")
    assert all(0 <= one.score <= 1 for one in found)


def test_token_classification(tagger: InferenceClient) -> None:
    for entity in tagger.token_classification(TEXT):
        assert entity.word
        assert 0 <= entity.score <= 1
        assert entity.start is not None
        assert entity.end is not None
        assert entity.entity_group or entity.entity


def test_token_classification_without_aggregation(tagger: InferenceClient) -> None:
    assert all(entity.entity for entity in tagger.token_classification(TEXT, aggregation_strategy="none"))


def test_token_classification_without_some_labels(tagger: InferenceClient) -> None:
    found = tagger.token_classification(TEXT, ignore_labels=["O", "PER"])
    assert all(entity.entity_group not in ("O", "PER") for entity in found)


def test_summarization(place: Place) -> None:
    assert at(place, "summarization", "summarizer").summarization(TEXT).summary_text


def test_summarization_with_parameters(place: Place) -> None:
    client = at(place, "summarization", "summarizer")
    assert client.summarization(TEXT, generate_parameters={"num_beams": 2}).summary_text


def test_translation(place: Place) -> None:
    assert at(place, "translation", "translator").translation(TEXT).translation_text


def test_feature_extraction(sentences: InferenceClient) -> None:
    found = sentences.feature_extraction("anna")
    assert found.dtype == np.float32
    assert found.shape[-1] == 6


def test_feature_extraction_of_several(sentences: InferenceClient) -> None:
    assert sentences.feature_extraction(["anna", "berlin"]).shape == (2, 6)


def test_feature_extraction_with_parameters(sentences: InferenceClient) -> None:
    found = sentences.feature_extraction("anna " * 50, normalize=True, truncate=True)
    assert np.linalg.norm(found) == pytest.approx(1, rel=1e-3)


def test_feature_extraction_with_a_prompt(sentences: InferenceClient) -> None:
    plain, prompted = sentences.feature_extraction("anna"), sentences.feature_extraction("anna", prompt_name="query")
    assert not np.allclose(plain, prompted)


def test_sentence_similarity(sentences: InferenceClient) -> None:
    found = sentences.sentence_similarity("anna", ["berlin", "anna"])
    assert len(found) == 2
    assert found[1] > found[0]


def test_tabular_classification(place: Place) -> None:
    table = {"length": [3, -3], "width": [3, -3], "weight": [3, -3]}
    assert at(place, "tabular", "sizes").tabular_classification(table) == ["large", "small"]


def test_image_classification_of_bytes(eye: InferenceClient) -> None:
    assert {one.label for one in eye.image_classification(PNG)} == {"cat", "dog", "bird"}


def test_image_classification_of_a_file(eye: InferenceClient, tmp_path: Path) -> None:
    (tmp_path / "white.png").write_bytes(PNG)
    assert len(eye.image_classification(tmp_path / "white.png")) == 3


def test_image_classification_with_parameters(eye: InferenceClient) -> None:
    assert len(eye.image_classification(PNG, top_k=1)) == 1


def test_text_generation(writer: InferenceClient) -> None:
    assert writer.text_generation("hello", max_new_tokens=8)


def test_text_generation_with_its_prompt(writer: InferenceClient) -> None:
    assert writer.text_generation("hello", max_new_tokens=4, return_full_text=True).startswith("hello")


def test_text_generation_with_a_seed(writer: InferenceClient) -> None:
    said = [writer.text_generation("hello", max_new_tokens=8, do_sample=True, seed=4) for _ in range(2)]
    assert said[0] == said[1]


def test_text_generation_ends_where_it_is_told(writer: InferenceClient) -> None:
    whole = writer.text_generation("hello", max_new_tokens=24)
    stop = whole[len(whole) // 2]
    assert len(writer.text_generation("hello", max_new_tokens=24, stop=[stop])) < len(whole)


def test_text_generation_with_details(writer: InferenceClient) -> None:
    answer = writer.text_generation("hello", max_new_tokens=6, details=True)
    assert answer.details is not None
    assert answer.details.finish_reason in ("length", "eos_token", "stop_sequence")
    assert answer.details.generated_tokens == len(answer.details.tokens) <= 6
    assert all(token.logprob <= 0 for token in answer.details.tokens)


def test_text_generation_in_pieces(writer: InferenceClient) -> None:
    whole = writer.text_generation("hello", max_new_tokens=12)
    assert "".join(writer.text_generation("hello", max_new_tokens=12, stream=True)).strip() == whole.strip()


def test_text_generation_in_pieces_with_details(writer: InferenceClient) -> None:
    pieces = list(writer.text_generation("hello", max_new_tokens=12, stream=True, details=True))
    assert all(piece.token.logprob <= 0 for piece in pieces)
    assert pieces[-1].generated_text is not None
    assert pieces[-1].details is not None
    assert pieces[-1].details.finish_reason in ("length", "eos_token", "stop_sequence")
    assert all(piece.details is None for piece in pieces[:-1])


def test_chat_completion(writer: InferenceClient) -> None:
    answer = writer.chat_completion(CHAT, max_tokens=6)
    assert answer.choices[0].message.content
    assert answer.usage.completion_tokens <= 6


def test_chat_completion_in_pieces(writer: InferenceClient) -> None:
    whole = writer.chat_completion(CHAT, max_tokens=12).choices[0].message.content
    pieces = list(writer.chat_completion(CHAT, max_tokens=12, stream=True))
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices) == whole


def test_chat_completion_by_openai_s_names(writer: InferenceClient) -> None:
    answer = writer.chat.completions.create(messages=CHAT, max_tokens=4, seed=1, temperature=0.5, logprobs=True)
    assert answer.choices[0].logprobs.content


def test_chat_completion_with_a_schema_is_refused(writer: InferenceClient) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    with pytest.raises(BadRequestError, match="response_format"):
        writer.chat_completion(CHAT, response_format=schema)


def test_health(place: Place) -> None:
    url = address(place, "text_classification", "sentiment")
    assert InferenceClient(provider="hf-inference", model=url).health_check()


def test_endpoint_info(place: Place) -> None:
    url = address(place, "text_classification", "sentiment")
    info = InferenceClient(provider="hf-inference", model=url).get_endpoint_info()
    assert info["model_id"] == "sentiment"
    assert info["model_sha"]


def test_an_unknown_model_is_not_found(place: Place) -> None:
    with pytest.raises(HfHubHTTPError) as caught:
        at(place, "text_classification", "nothing").text_classification(TEXT)
    assert caught.value.response is not None
    assert caught.value.response.status_code == 404


def test_no_text_is_refused(sentiment: InferenceClient) -> None:
    with pytest.raises(HfHubHTTPError, match="empty"):
        sentiment.text_classification("")


def test_another_task_is_refused(sentiment: InferenceClient) -> None:
    with pytest.raises(HfHubHTTPError):
        sentiment.zero_shot_classification(TEXT, ["one", "two"])


def test_no_image_is_refused(eye: InferenceClient) -> None:
    with pytest.raises(HfHubHTTPError):
        eye.image_classification(b"no image at all")


def test_a_table_without_a_column_is_refused(place: Place) -> None:
    with pytest.raises(HfHubHTTPError):
        at(place, "tabular", "sizes").tabular_classification({"length": [3]})


@pytest.mark.parametrize("asking", [{"max_new_tokens": 0}, {"temperature": -1.0}, {"top_p": 3.0}], ids=str)
def test_a_wrong_parameter_is_a_validation_error(writer: InferenceClient, asking: dict[str, Any]) -> None:
    with pytest.raises((ValidationError, BadRequestError)):
        writer.text_generation("hello", **asking)


def test_a_wrong_parameter_is_no_stream(writer: InferenceClient) -> None:
    with pytest.raises((TextGenerationError, BadRequestError)):
        list(writer.text_generation("hello", max_new_tokens=0, stream=True))


def test_asynchronous_text_classification(place: Place) -> None:
    found = asked(place, "text_classification", "sentiment", lambda client: client.text_classification(TEXT))
    assert len(found) == 3


def test_asynchronous_token_classification(place: Place) -> None:
    asked(place, "token_classification", "tagger", lambda client: client.token_classification(TEXT))


def test_asynchronous_feature_extraction(place: Place) -> None:
    found = asked(place, "feature_extraction", "sentences", lambda client: client.feature_extraction(["anna", "one"]))
    assert found.shape == (2, 6)


def test_asynchronous_text_generation(place: Place) -> None:
    assert asked(place, "text_generation", "writer", lambda client: client.text_generation("hello", max_new_tokens=4))


def test_asynchronous_text_generation_in_pieces(place: Place) -> None:
    async def ask(client: AsyncInferenceClient) -> list[str]:
        return [piece async for piece in await client.text_generation("hello", max_new_tokens=8, stream=True)]

    assert asked(place, "text_generation", "writer", ask)


def test_asynchronous_chat_completion(place: Place) -> None:
    answer = asked(place, "text_generation", "writer", lambda client: client.chat_completion(CHAT, max_tokens=4))
    assert answer.choices[0].message.content


def test_asynchronous_image_classification(place: Place) -> None:
    assert len(asked(place, "image_classification", "eye", lambda client: client.image_classification(PNG))) == 3


def test_an_unknown_model_is_not_found_asynchronously(place: Place) -> None:
    with pytest.raises(HfHubHTTPError):
        asked(place, "text_classification", "nothing", lambda client: client.text_classification(TEXT))
