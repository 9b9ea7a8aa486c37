"""``openai``, the client that most others are built on."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.conformance.place import Place

CHAT: Any = [{"role": "system", "content": "one two"}, {"role": "user", "content": "hello"}]
REFUSED = (openai.BadRequestError, openai.UnprocessableEntityError)


@pytest.fixture
def writer(place: Place) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{place.url('text_generation')}/v1", api_key="x") as client:
        yield client


@pytest.fixture
def sentences(place: Place) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{place.url('feature_extraction')}/v1", api_key="x") as client:
        yield client


def asked(place: Place, family: str, ask: Callable[[AsyncOpenAI], Awaitable[Any]]) -> Any:
    """What the coroutine finds with an asynchronous client of its own."""

    async def run() -> Any:
        async with AsyncOpenAI(base_url=f"{place.url(family)}/v1", api_key="x") as client:
            return await ask(client)

    return asyncio.run(run())


# Chat.


def test_a_chat(writer: OpenAI) -> None:
    answer = writer.chat.completions.create(model="writer", messages=CHAT, max_tokens=8)
    [choice] = answer.choices
    assert (answer.object, answer.model, choice.index, choice.message.role) == (
        "chat.completion",
        "writer",
        0,
        "assistant",
    )
    assert choice.finish_reason in ("length", "stop")
    assert choice.message.content
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 8
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.id
    assert answer.created > 1_700_000_000


def test_the_same_seed_says_the_same(writer: OpenAI) -> None:
    def said(seed: int) -> Any:
        drawn = writer.chat.completions.create(model="writer", messages=CHAT, max_tokens=12, temperature=1.5, seed=seed)
        return drawn.choices[0].message.content

    assert said(3) == said(3)
    assert len({said(seed) for seed in range(4)}) > 1


def test_no_temperature_is_greedy(writer: OpenAI) -> None:
    said = {
        writer.chat.completions.create(model="writer", messages=CHAT, max_tokens=8, temperature=0)
        .choices[0]
        .message.content
        for _ in range(2)
    }
    assert len(said) == 1


def test_the_newer_name_of_the_length(writer: OpenAI) -> None:
    answer = writer.chat.completions.create(model="writer", messages=CHAT, max_completion_tokens=4)
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 4


def test_a_chat_ends_where_it_is_told(writer: OpenAI) -> None:
    whole = writer.chat.completions.create(model="writer", messages=CHAT, max_tokens=24).choices[0].message.content
    assert whole
    stop = whole[len(whole) // 2]
    answer = writer.chat.completions.create(model="writer", messages=CHAT, max_tokens=24, stop=[stop])
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.content == whole[: whole.index(stop)]


def test_a_message_of_parts(writer: OpenAI) -> None:
    parts: Any = [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]
    whole: Any = [{"role": "user", "content": "hello"}]
    said = [
        writer.chat.completions.create(model="writer", messages=chat, max_tokens=8).choices[0].message.content
        for chat in (parts, whole)
    ]
    assert said[0] == said[1]


def test_a_chat_with_log_probabilities(writer: OpenAI) -> None:
    answer = writer.chat.completions.create(model="writer", messages=CHAT, max_tokens=4, logprobs=True, top_logprobs=2)
    found = answer.choices[0].logprobs
    assert found is not None
    assert found.content
    for token in found.content:
        assert token.logprob <= 0
        assert len(token.top_logprobs) == 2
        assert token.top_logprobs[0].logprob >= token.top_logprobs[1].logprob
        assert token.bytes is None or bytes(token.bytes).decode(errors="replace") == token.token


def test_an_answer_as_plain_text(writer: OpenAI) -> None:
    answer = writer.chat.completions.create(
        model="writer", messages=CHAT, max_tokens=4, response_format={"type": "text"}, user="a", n=1
    )
    assert answer.choices[0].message.content


def test_a_chat_in_pieces(writer: OpenAI) -> None:
    whole = writer.chat.completions.create(model="writer", messages=CHAT, max_tokens=12)
    chunks = list(writer.chat.completions.create(model="writer", messages=CHAT, max_tokens=12, stream=True))
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason
    assert all(chunk.choices[0].finish_reason is None for chunk in chunks[:-1])


def test_a_chat_in_pieces_counts_its_tokens_at_the_end(writer: OpenAI) -> None:
    chunks = list(
        writer.chat.completions.create(
            model="writer", messages=CHAT, max_tokens=12, stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens <= 12
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_a_chat_in_pieces_with_log_probabilities(writer: OpenAI) -> None:
    chunks = list(
        writer.chat.completions.create(model="writer", messages=CHAT, max_tokens=6, stream=True, logprobs=True)
    )
    told = [one for chunk in chunks if chunk.choices[0].logprobs for one in chunk.choices[0].logprobs.content or []]
    assert told
    assert all(one.logprob <= 0 for one in told)


def test_the_client_s_own_reader_of_events(writer: OpenAI) -> None:
    with writer.chat.completions.stream(model="writer", messages=CHAT, max_tokens=8) as stream:
        kinds = {event.type for event in stream}
        answer = stream.current_completion_snapshot
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert answer.choices[0].message.content


def test_the_raw_answer_has_our_headers(writer: OpenAI) -> None:
    raw = writer.chat.completions.with_raw_response.create(model="writer", messages=CHAT, max_tokens=2)
    assert raw.headers["x-model-revision"]
    assert raw.headers["x-request-id"] == raw.parse()._request_id


def test_a_streamed_answer_has_our_headers(writer: OpenAI) -> None:
    with writer.chat.completions.with_streaming_response.create(
        model="writer", messages=CHAT, max_tokens=4, stream=True
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"


def test_an_asynchronous_chat(place: Place) -> None:
    answer = asked(
        place,
        "text_generation",
        lambda client: client.chat.completions.create(model="writer", messages=CHAT, max_tokens=4),
    )
    assert answer.choices[0].message.content


def test_an_asynchronous_chat_in_pieces(place: Place) -> None:
    async def ask(client: AsyncOpenAI) -> list[str]:
        chunks: AsyncIterator[Any] = await client.chat.completions.create(
            model="writer", messages=CHAT, max_tokens=8, stream=True
        )
        return [chunk.choices[0].delta.content or "" async for chunk in chunks]

    assert "".join(asked(place, "text_generation", ask))


def test_several_chats_at_once(place: Place) -> None:
    async def ask(client: AsyncOpenAI) -> list[Any]:
        calls = (
            client.chat.completions.create(model="writer", messages=CHAT, max_tokens=8, seed=seed) for seed in range(6)
        )
        return list(await asyncio.gather(*calls))

    assert all(answer.choices[0].message.content for answer in asked(place, "text_generation", ask))


def test_an_unknown_model_is_not_found(writer: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        writer.chat.completions.create(model="nothing", messages=CHAT)
    assert caught.value.code == "model_not_found"
    assert caught.value.type
    assert "nothing" in caught.value.message
    assert caught.value.request_id


@pytest.mark.parametrize(
    "asking",
    [
        {"messages": []},
        {"messages": [{"role": "robot", "content": "hello"}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]},
        {"temperature": -1},
        {"temperature": "warm"},
        {"max_tokens": 0},
        {"max_tokens": 1_000_000},
        {"top_p": 2},
        {"n": 1000},
        {"stop": [1]},
        {"top_logprobs": 100, "logprobs": True},
    ],
    ids=str,
)
def test_what_is_wrong_is_a_bad_request(writer: OpenAI, asking: dict[str, Any]) -> None:
    with pytest.raises(REFUSED) as caught:
        writer.chat.completions.create(**{"model": "writer", "messages": CHAT} | asking)
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["message"]
    assert caught.value.type == "invalid_request_error"
    assert caught.value.param or asking.get("messages") is not None


def test_tools_are_a_bad_request(writer: OpenAI) -> None:
    tools: Any = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
    with pytest.raises(openai.BadRequestError, match="tools"):
        writer.chat.completions.create(model="writer", messages=CHAT, tools=tools)


def test_a_schema_of_the_answer_is_a_bad_request(writer: OpenAI) -> None:
    schema: Any = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    with pytest.raises(openai.BadRequestError, match="response_format"):
        writer.chat.completions.create(model="writer", messages=CHAT, response_format=schema)


def test_what_is_wrong_is_no_stream(writer: OpenAI) -> None:
    with pytest.raises(REFUSED):
        writer.chat.completions.create(model="writer", messages=[], stream=True)


def test_a_model_that_does_not_chat_is_said(place: Place) -> None:
    with (
        OpenAI(base_url=f"{place.url('text_classification')}/v1", api_key="x") as client,
        pytest.raises(openai.APIStatusError) as caught,
    ):
        client.chat.completions.create(model="sentiment", messages=CHAT)
    assert caught.value.status_code in (400, 404)


def test_the_newer_api_is_not_found(writer: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        writer.responses.create(model="writer", input="hello")


# Completions of a text.


def test_a_text(writer: OpenAI) -> None:
    answer = writer.completions.create(model="writer", prompt="hello world", max_tokens=8)
    assert (answer.object, answer.choices[0].index) == ("text_completion", 0)
    assert answer.choices[0].text
    assert answer.choices[0].finish_reason in ("length", "stop")
    assert answer.usage is not None


def test_several_texts(writer: OpenAI) -> None:
    answer = writer.completions.create(model="writer", prompt=["hello", "one two"], max_tokens=4)
    assert [choice.index for choice in answer.choices] == [0, 1]


def test_a_text_as_tokens(writer: OpenAI) -> None:
    answer = writer.completions.create(model="writer", prompt=[1, 261, 262], max_tokens=4)
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 3


def test_several_texts_as_tokens(writer: OpenAI) -> None:
    answer = writer.completions.create(model="writer", prompt=[[1, 261], [1, 262, 263]], max_tokens=4)
    assert len(answer.choices) == 2


def test_a_text_in_pieces(writer: OpenAI) -> None:
    whole = writer.completions.create(model="writer", prompt="hello", max_tokens=12)
    chunks = list(writer.completions.create(model="writer", prompt="hello", max_tokens=12, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason


def test_a_text_with_log_probabilities(writer: OpenAI) -> None:
    answer = writer.completions.create(model="writer", prompt="hello", max_tokens=4, logprobs=2)
    found = answer.choices[0].logprobs
    assert found is not None
    assert found.tokens
    assert found.token_logprobs
    assert found.text_offset
    assert found.top_logprobs
    assert len(found.tokens) == len(found.token_logprobs) == len(found.text_offset) == len(found.top_logprobs)
    assert all(value <= 0 for value in found.token_logprobs if value is not None)


def test_a_text_ends_where_it_is_told(writer: OpenAI) -> None:
    whole = writer.completions.create(model="writer", prompt="hello", max_tokens=24).choices[0].text
    stop = whole[len(whole) // 2]
    answer = writer.completions.create(model="writer", prompt="hello", max_tokens=24, stop=stop)
    assert answer.choices[0].text == whole[: whole.index(stop)]


@pytest.mark.parametrize(
    "asking", [{"prompt": ""}, {"prompt": [9_999_999]}, {"suffix": "end"}, {"best_of": 100}], ids=str
)
def test_a_wrong_text_is_a_bad_request(writer: OpenAI, asking: dict[str, Any]) -> None:
    with pytest.raises(REFUSED):
        writer.completions.create(**{"model": "writer", "prompt": "hello"} | asking)


def test_an_unknown_model_writes_nothing(writer: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        writer.completions.create(model="nothing", prompt="hello")


# Embeddings.


def test_an_embedding(sentences: OpenAI) -> None:
    answer = sentences.embeddings.create(model="sentences", input="anna")
    assert (answer.object, len(answer.data), answer.data[0].index) == ("list", 1, 0)
    assert len(answer.data[0].embedding) == 6
    assert answer.usage.total_tokens == answer.usage.prompt_tokens > 0


def test_embeddings_are_the_same_as_numbers_and_as_bytes(sentences: OpenAI) -> None:
    as_bytes = sentences.embeddings.create(model="sentences", input="anna").data[0].embedding
    as_numbers = sentences.embeddings.create(model="sentences", input="anna", encoding_format="float").data[0].embedding
    assert as_bytes == pytest.approx(as_numbers, rel=1e-6)


def test_embeddings_come_in_order(sentences: OpenAI) -> None:
    answer = sentences.embeddings.create(model="sentences", input=["anna", "berlin", "anna"])
    assert [one.index for one in answer.data] == [0, 1, 2]
    assert answer.data[0].embedding == pytest.approx(answer.data[2].embedding, rel=1e-5)
    assert answer.data[0].embedding != pytest.approx(answer.data[1].embedding, rel=1e-2)


def test_the_raw_embedding_is_text(sentences: OpenAI) -> None:
    raw = sentences.embeddings.create(model="sentences", input="anna", encoding_format="base64")
    assert isinstance(raw.data[0].embedding, str)


def test_asynchronous_embeddings(place: Place) -> None:
    answer = asked(
        place, "feature_extraction", lambda client: client.embeddings.create(model="sentences", input=["anna"])
    )
    assert len(answer.data[0].embedding) == 6


@pytest.mark.parametrize("given", ["", [], [""], ["anna " * 100]], ids=["empty", "none", "an-empty-one", "too-long"])
def test_a_wrong_embedding_is_a_bad_request(sentences: OpenAI, given: Any) -> None:
    with pytest.raises(REFUSED):
        sentences.embeddings.create(model="sentences", input=given)


def test_an_unknown_model_embeds_nothing(sentences: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        sentences.embeddings.create(model="nothing", input="anna")


# Models.


def test_models_are_listed(writer: OpenAI) -> None:
    models = {model.id: model for model in writer.models.list()}
    assert models["writer"].object == "model"
    assert models["writer"].owned_by


def test_a_model_is_told(writer: OpenAI) -> None:
    assert writer.models.retrieve("writer").id == "writer"


def test_an_unknown_model_is_not_told(writer: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        writer.models.retrieve("nothing")


def test_asynchronous_models(place: Place) -> None:
    async def ask(client: AsyncOpenAI) -> set[str]:
        return {model.id async for model in client.models.list()}

    assert "sentences" in asked(place, "feature_extraction", ask)


def test_pieces_are_many(writer: OpenAI) -> None:
    """A stream that somebody collects would come as one."""
    stream = writer.chat.completions.create(
        model="writer", messages=CHAT, max_tokens=64, stream=True, temperature=1, seed=1
    )
    assert len(list(itertools.islice(stream, 5))) == 5
