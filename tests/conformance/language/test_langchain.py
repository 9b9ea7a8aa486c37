"""``langchain-openai``, which many applications speak to models through."""

import asyncio
from typing import Any

import openai
import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from pydantic import BaseModel, SecretStr

from tests.conformance.place import Place

#: Its clients are kept for all calls, and must not outlive the loop that they began in.
LOOP = asyncio.Runner()

KEY = SecretStr("x")
CHAT = [SystemMessage("one two"), HumanMessage("hello")]


@pytest.fixture
def chat(place: Place) -> ChatOpenAI:
    return ChatOpenAI(
        model="writer", base_url=f"{place.url('text_generation')}/v1", api_key=KEY, max_completion_tokens=8
    )


@pytest.fixture
def text(place: Place) -> OpenAI:
    return OpenAI(model="writer", base_url=f"{place.url('text_generation')}/v1", api_key=KEY, max_tokens=8)


@pytest.fixture
def embeddings(place: Place) -> OpenAIEmbeddings:
    # Its own counting of tokens would fetch a vocabulary of OpenAI's.
    url = f"{place.url('feature_extraction')}/v1"
    return OpenAIEmbeddings(model="sentences", base_url=url, api_key=KEY, check_embedding_ctx_length=False)


def test_a_message(chat: ChatOpenAI) -> None:
    answer = chat.invoke("hello")
    assert isinstance(answer, AIMessage)
    assert answer.content
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_tokens"] <= 8
    assert answer.response_metadata["finish_reason"] in ("length", "stop")


def test_several_messages(chat: ChatOpenAI) -> None:
    assert chat.invoke([*CHAT, AIMessage("world"), HumanMessage("one")]).content


def test_messages_in_pieces(chat: ChatOpenAI) -> None:
    whole = None
    for piece in chat.stream(CHAT):
        whole = piece if whole is None else whole + piece
    assert whole is not None
    assert whole.content == chat.invoke(CHAT).content


def test_messages_in_pieces_count_their_tokens(chat: ChatOpenAI) -> None:
    used = [piece.usage_metadata for piece in chat.stream(CHAT, stream_usage=True) if piece.usage_metadata]
    assert sum(usage["output_tokens"] for usage in used) <= 8
    assert used


def test_a_batch(chat: ChatOpenAI) -> None:
    assert all(answer.content for answer in chat.batch(["hello", "one", "two"]))


def test_an_asynchronous_message(chat: ChatOpenAI) -> None:
    assert LOOP.run(chat.ainvoke(CHAT)).content


def test_asynchronous_pieces(chat: ChatOpenAI) -> None:
    async def run() -> list[Any]:
        return [piece async for piece in chat.astream(CHAT)]

    assert len(LOOP.run(run())) > 1


def test_a_message_ends_where_it_is_told(chat: ChatOpenAI) -> None:
    whole = str(chat.invoke(CHAT).content)
    assert len(str(chat.invoke(CHAT, stop=[whole[1]]).content)) < len(whole)


def test_log_probabilities(chat: ChatOpenAI) -> None:
    answer = chat.bind(logprobs=True).invoke(CHAT)
    assert all(one["logprob"] <= 0 for one in answer.response_metadata["logprobs"]["content"])


def test_a_chain(chat: ChatOpenAI) -> None:
    chain = chat | (lambda message: f"Said: {message.content}")
    assert len(chain.invoke("hello")) > len("Said: ")


def test_tools_are_a_bad_request(chat: ChatOpenAI) -> None:
    def weather(city: str) -> str:
        """Tells the weather of a city."""
        return city

    with pytest.raises(openai.BadRequestError, match="tools"):
        chat.bind_tools([weather]).invoke("hello")


def test_a_schema_of_the_answer_is_a_bad_request(chat: ChatOpenAI) -> None:
    class City(BaseModel):
        name: str

    with pytest.raises(openai.BadRequestError, match="response_format"):
        chat.with_structured_output(City, method="json_schema").invoke("hello")


def test_an_unknown_model_is_not_found(place: Place) -> None:
    chat = ChatOpenAI(model="nothing", base_url=f"{place.url('text_generation')}/v1", api_key=KEY)
    with pytest.raises(openai.NotFoundError):
        chat.invoke("hello")


def test_a_text(text: OpenAI) -> None:
    assert text.invoke("hello")


def test_a_text_in_pieces(text: OpenAI) -> None:
    assert "".join(text.stream("hello"))


def test_several_texts(text: OpenAI) -> None:
    answers = text.generate(["hello", "one two"])
    assert len(answers.generations) == 2
    assert answers.llm_output is not None
    assert answers.llm_output["token_usage"]["completion_tokens"] <= 16


def test_embeddings_of_documents(embeddings: OpenAIEmbeddings) -> None:
    found = embeddings.embed_documents(["anna", "berlin"])
    assert [len(vector) for vector in found] == [6, 6]


def test_an_embedding_of_a_query(embeddings: OpenAIEmbeddings) -> None:
    assert embeddings.embed_query("anna") == pytest.approx(embeddings.embed_documents(["anna"])[0], rel=1e-5)


def test_an_asynchronous_embedding(embeddings: OpenAIEmbeddings) -> None:
    assert len(LOOP.run(embeddings.aembed_query("anna"))) == 6
