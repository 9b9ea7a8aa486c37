import base64
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.publish import publish
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.errors import DeadlineExceeded, ModelError, Overloaded
from model_functions.families.feature_extraction import FeatureExtractionWrapper
from model_functions.http.function import FamilyFunction
from model_functions.http.message import Response
from model_functions.http.protocols import openai, openai_fields
from model_functions.http.protocols.openai_logprobs import Logprobs
from model_functions.inputs import TextInput
from model_functions.phases import Phases
from model_functions.repository import Repository
from model_functions.settings import Settings
from model_functions.store.folder import FolderStore
from tests import tiny_models
from tests.shared.http.requests import body, post, request

CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def embedding(
    tmp_path_factory: pytest.TempPathFactory, key: SigningKey, trust: Trust, trust_file: Path
) -> FamilyFunction:
    folder = tmp_path_factory.mktemp("embedding")
    wrapper = FeatureExtractionWrapper.from_source(str(tiny_models.sentence_folder(folder / "model")))
    repository = Repository(FolderStore(folder / "store"), trust)
    publish(wrapper, name="tiny_embedder", examples=["hello"], repository=repository, key=key, engine="torch")
    environment = {"MODEL_STORE": str(folder / "store"), "MODEL_TRUST": str(trust_file)}
    return FamilyFunction(FeatureExtractionWrapper, Settings.from_environment(environment))


def chat(function: FamilyFunction, **fields: Any) -> Any:
    response = function.handle(post({"model": "tiny_writer", "messages": HELLO} | fields, CHAT))
    assert response.status == 200, response.body
    return body(response)


def completed(function: FamilyFunction, prompt: Any, **fields: Any) -> Any:
    response = function.handle(post({"model": "tiny_writer", "prompt": prompt} | fields, COMPLETIONS))
    assert response.status == 200, response.body
    return body(response)


def predicted(function: FamilyFunction, data: Any, **parameters: Any) -> Any:
    return body(function.handle(post({"data": data, "parameters": parameters})))["body"]


def refused(response: Response, status: int = 400) -> dict[str, Any]:
    assert response.status == status
    error: dict[str, Any] = body(response)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert response.headers["X-Error-Code"] == error["code"]
    return error


def streamed(response: Response) -> Iterator[Any]:
    """The events before the last, which says that it is the last."""
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.chunks is not None
    *events, last = response.chunks
    assert last == b"data: [DONE]\n\n"
    for event in events:
        yield json.loads(event.decode().removeprefix("data: "))


# Chats


def test_a_chat_is_answered_as_predict_answers_it(writing: FamilyFunction) -> None:
    found = chat(writing, max_tokens=20)
    expected = predicted(writing, HELLO, max_new_tokens=20)
    [choice] = found["choices"]
    assert choice["message"] == {"role": "assistant", "content": expected["generated_text"], "refusal": None}
    assert (choice["index"], choice["finish_reason"], choice["logprobs"]) == (0, expected["finish_reason"], None)
    read, written = expected["prompt_tokens"], expected["generated_tokens"]
    assert found["usage"] == {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    assert (found["object"], found["model"]) == ("chat.completion", "tiny_writer")
    assert found["id"].startswith("chatcmpl-")
    assert isinstance(found["created"], int)
    assert found["system_fingerprint"].startswith("fp_")


@pytest.mark.parametrize("model", [None, "", "dummy", "tgi", "tiny_writer"])
def test_a_client_that_knows_no_name_gets_the_default_model(writing: FamilyFunction, model: str | None) -> None:
    assert chat(writing, model=model)["model"] == "tiny_writer"


def test_the_model_may_stand_in_the_path(writing: FamilyFunction) -> None:
    path = "/models/tiny_writer"
    asked = {"model": "another", "messages": HELLO}
    assert body(writing.handle(post(asked, path + CHAT)))["model"] == "tiny_writer"
    assert refused(writing.handle(post(asked, "/models/another" + CHAT)), 404)["code"] == "model_not_found"
    assert refused(writing.handle(post(asked, CHAT)), 404)["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("messages", "same"),
    [
        ([{"role": "developer", "content": "one"}, *HELLO], [{"role": "system", "content": "one"}, *HELLO]),
        ([{"role": "system", "content": ""}, *HELLO], HELLO),
        (
            [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "one"}]}],
            [{"role": "user", "content": "a\none"}],
        ),
        ([HELLO[0] | {"name": "Anna"}], HELLO),
        (
            [*HELLO, {"role": "assistant", "content": "one", "refusal": None, "tool_calls": []}, *HELLO],
            [*HELLO, {"role": "assistant", "content": "one"}, *HELLO],
        ),
    ],
    ids=str,
)
def test_messages_are_read_as_the_model_has_learnt_them(writing: FamilyFunction, messages: Any, same: Any) -> None:
    content = chat(writing, messages=messages, max_tokens=20)["choices"][0]["message"]["content"]
    assert content == predicted(writing, same, max_new_tokens=20)["generated_text"]


def test_temperature_decides_whether_answers_are_drawn(writing: FamilyFunction) -> None:
    greedy = predicted(writing, HELLO, max_new_tokens=20)["generated_text"]
    for cold in (0, 0.0, 0.0005):
        assert chat(writing, max_tokens=20, temperature=cold)["choices"][0]["message"]["content"] == greedy
    several = chat(writing, max_tokens=20, temperature=1.7, n=3, seed=-4)["choices"]
    drawn = {"do_sample": True, "temperature": 1.7, "num_return_sequences": 3, "seed": 2**63 - 4}
    expected = predicted(writing, HELLO, max_new_tokens=20, **drawn)
    assert [one["message"]["content"] for one in several] == [one["generated_text"] for one in expected]
    assert [one["index"] for one in several] == [0, 1, 2]


@pytest.mark.parametrize("stop", ["e", ["e"], ["never", "e"]], ids=str)
def test_a_stop_sequence_may_stand_alone(writing: FamilyFunction, stop: Any) -> None:
    asked = {"max_tokens": 60, "temperature": 1.5, "seed": 3}
    whole = chat(writing, **asked)["choices"][0]["message"]["content"]
    assert "e" in whole
    [choice] = chat(writing, **asked, stop=stop)["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (whole.partition("e")[0], "stop")


def test_a_models_shortest_answer_gives_way_to_a_shorter_one(writing: FamilyFunction) -> None:
    assert chat(writing, max_completion_tokens=2)["usage"]["completion_tokens"] <= 2
    asked = post({"messages": HELLO, "max_tokens": 2, "min_new_tokens": 5}, CHAT)
    assert (
        refused(writing.handle(asked))["message"] == '"min_new_tokens" is 5 and "max_tokens" 2. Give at most as many.'
    )


def test_who_says_nothing_gets_what_the_model_has_room_for(writing: FamilyFunction) -> None:
    # 128 positions, of which the model would fill 16 with an answer.
    long = completed(writing, "hello " * 116)
    assert long["usage"] == {"prompt_tokens": 118, "completion_tokens": 10, "total_tokens": 128}
    assert list(streamed(writing.handle(post({"prompt": "hello " * 116, "stream": True}, COMPLETIONS))))
    [found] = body(writing.handle(post({"inputs": "hello " * 116}, "/")))
    assert found["generated_text"] == long["choices"][0]["text"]
    for prompt in ("hello " * 126, ["one", "hello " * 126]):
        assert "the model reads 128" in refused(writing.handle(post({"prompt": prompt}, COMPLETIONS)))["message"]
    asked = post({"prompt": "hello " * 116, "max_tokens": 16}, COMPLETIONS)
    assert "the model reads 128" in refused(writing.handle(asked))["message"]


def test_parameters_of_the_model_may_stand_beside_the_apis(writing: FamilyFunction) -> None:
    [choice] = chat(writing, max_tokens=20, repetition_penalty=3.0)["choices"]
    expected = predicted(writing, HELLO, max_new_tokens=20, repetition_penalty=3.0)["generated_text"]
    assert choice["message"]["content"] == expected != predicted(writing, HELLO, max_new_tokens=20)["generated_text"]


def test_fields_without_effect_are_let_pass(writing: FamilyFunction) -> None:
    harmless = dict.fromkeys(openai_fields.WITHOUT_EFFECT, "x")
    silent: dict[str, Any] = {
        "tools": [],
        "tool_choice": "auto",
        "response_format": {"type": "text"},
        "logit_bias": {},
        "stop": None,
    }
    zero = {"presence_penalty": 0, "frequency_penalty": 0.0, "n": 1, "modalities": ["text"], "top_p": 1}
    plain, found = chat(writing, max_tokens=20), chat(writing, max_tokens=20, **harmless, **silent, **zero)
    assert found["choices"] == plain["choices"]


def test_penalties_are_the_models(writing: FamilyFunction) -> None:
    [choice] = chat(writing, max_tokens=20, presence_penalty=2, frequency_penalty=1)["choices"]
    expected = predicted(writing, HELLO, max_new_tokens=20, presence_penalty=2, frequency_penalty=1)["generated_text"]
    assert choice["message"]["content"] == expected


# Streams


@pytest.mark.parametrize("fields", [{}, {"temperature": 1.5, "n": 3, "seed": 1}, {"stop": ["e", "<"]}], ids=str)
def test_chunks_make_up_the_answer(writing: FamilyFunction, fields: dict[str, Any]) -> None:
    fields |= {"messages": HELLO, "max_tokens": 20}
    whole = body(writing.handle(post(fields, CHAT)))
    response = writing.handle(post(fields | {"stream": True, "stream_options": {"include_usage": True}}, CHAT))
    *chunks, last = streamed(response)
    assert (last["choices"], last["usage"]) == ([], whole["usage"])
    assert all(chunk["usage"] is None for chunk in chunks)
    assert {chunk["object"] for chunk in (*chunks, last)} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in (*chunks, last)}) == 1
    for expected in whole["choices"]:
        own = [chunk["choices"][0] for chunk in chunks if chunk["choices"][0]["index"] == expected["index"]]
        assert "".join(one["delta"].get("content", "") for one in own) == expected["message"]["content"]
        assert [one["delta"].get("role") for one in own] == ["assistant"] + [None] * (len(own) - 1)
        reasons = [one["finish_reason"] for one in own]
        assert reasons == [None] * (len(own) - 1) + [expected["finish_reason"]]


def test_usage_is_told_to_who_asks(writing: FamilyFunction) -> None:
    for options in (None, {}, {"include_usage": False}):
        fields = {"messages": HELLO, "stream": True, "max_tokens": 3, "stream_options": options}
        chunks = list(streamed(writing.handle(post(fields, CHAT))))
        assert not any("usage" in chunk for chunk in chunks)
        assert all(len(chunk["choices"]) == 1 for chunk in chunks)


def test_texts_are_streamed_side_by_side(writing: FamilyFunction) -> None:
    fields = {"prompt": ["hello", "one two"], "n": 2, "temperature": 1.4, "seed": 2, "max_tokens": 20}
    whole = body(writing.handle(post(fields, COMPLETIONS)))["choices"]
    assert [one["index"] for one in whole] == [0, 1, 2, 3]
    chunks = list(streamed(writing.handle(post(fields | {"stream": True}, COMPLETIONS))))
    for expected in whole:
        own = [chunk["choices"][0] for chunk in chunks if chunk["choices"][0]["index"] == expected["index"]]
        assert "".join(one["text"] for one in own) == expected["text"]
        assert own[-1]["finish_reason"] == expected["finish_reason"]


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (CHAT, {"messages": HELLO}),
        (COMPLETIONS, {"prompt": "hello world"}),
        ("/models/tiny_writer", {"inputs": "hello world"}),
    ],
)
def test_the_first_byte_is_the_first_tokens_and_who_hangs_up_is_in_no_further_step(
    writing: FamilyFunction, monkeypatch: pytest.MonkeyPatch, path: str, fields: dict[str, Any]
) -> None:
    with writing.cache().use("tiny_writer", Phases()) as model:
        wrapper: Any = model.wrapper
    steps, forward = [], wrapper.engine.model.forward

    def counted(**inputs: Any) -> Any:
        steps.append(inputs["input_ids"].shape)
        return forward(**inputs)

    monkeypatch.setattr(wrapper.engine.model, "forward", counted)
    long = {"max_new_tokens": 60, "min_new_tokens": 60}
    own = {"parameters": long} if "inputs" in fields else {"max_tokens": 60, "min_new_tokens": 60}
    response = writing.handle(post(fields | {"stream": True} | own, path))
    assert response.chunks is not None
    assert len(steps) == 1, "an answer of which there is nothing yet has begun"
    assert next(response.chunks).startswith(b"data: {")
    next(response.chunks)
    assert len(steps) == 2
    response.chunks.close()
    assert len(steps) == 2
    assert writing.queue.is_idle
    assert writing.cache()._entries["tiny_writer"].users == 0


def test_what_fails_in_the_middle_is_told_in_its_shape(
    writing: FamilyFunction, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writing.cache().use("tiny_writer", Phases()) as model:
        wrapper: Any = model.wrapper
    forward, steps = wrapper.engine.model.forward, []

    def stumbling(**inputs: Any) -> Any:
        steps.append(1)
        if len(steps) == 3:
            raise DeadlineExceeded("The request's time is over.")
        return forward(**inputs)

    monkeypatch.setattr(wrapper.engine.model, "forward", stumbling)
    response = writing.handle(post({"messages": HELLO, "stream": True, "max_tokens": 20}, CHAT))
    assert response.chunks is not None
    *_, last = response.chunks
    kind, data = last.decode().splitlines()[:2]
    assert kind == "event: error"
    assert json.loads(data.removeprefix("data: "))["error"]["code"] == "deadline_exceeded"


# Log probabilities


@pytest.mark.parametrize("fields", [{}, {"temperature": 1.8, "seed": 3, "stop": ["e", "o"]}], ids=str)
def test_a_chats_tokens_make_up_its_text(writing: FamilyFunction, fields: dict[str, Any]) -> None:
    fields |= {"messages": HELLO, "max_tokens": 30, "logprobs": True, "top_logprobs": 3}
    [choice] = body(writing.handle(post(fields, CHAT)))["choices"]
    tokens, text = choice["logprobs"]["content"], choice["message"]["content"]
    assert bytes(byte for token in tokens for byte in token["bytes"]).decode().startswith(text)
    assert len("".join(token["token"] for token in tokens[:-1])) <= len(text)
    for token in tokens:
        assert set(token) == {"token", "logprob", "bytes", "top_logprobs"}
        assert len(token["top_logprobs"]) == 3
        assert all(set(other) == {"token", "logprob", "bytes"} for other in token["top_logprobs"])
    chunks = list(streamed(writing.handle(post(fields | {"stream": True}, CHAT))))
    told = [token for chunk in chunks for token in chunk["choices"][0]["logprobs"]["content"]]
    assert told == tokens


def test_alternatives_are_told_only_when_asked_for(writing: FamilyFunction) -> None:
    [choice] = chat(writing, max_tokens=4, logprobs=True)["choices"]
    assert [token["top_logprobs"] for token in choice["logprobs"]["content"]] == [[]] * 4
    assert chat(writing, max_tokens=4, logprobs=False)["choices"][0]["logprobs"] is None


def test_a_completions_tokens_say_where_they_begin(writing: FamilyFunction) -> None:
    [choice] = completed(writing, "hello world", max_tokens=20, logprobs=2)["choices"]
    found, text = choice["logprobs"], choice["text"]
    assert "".join(found["tokens"]) == text
    for token, logprob, top, offset in zip(*found.values(), strict=True):
        assert text.startswith(token, offset)
        assert top[token] == logprob
        assert 1 <= len(top) <= 3


def test_tokens_behind_a_stop_sequence_are_left_out() -> None:
    tokens = [{"text": text, "special": text == "</s>"} for text in ("one", "", " two", " three", "</s>")]
    told = Logprobs().take("one two", {"tokens": tokens, "stop_sequence": " thr"})
    assert told == [(0, tokens[0]), (3, tokens[1]), (3, tokens[2])]
    in_pieces = Logprobs()
    assert in_pieces.take("one", {"tokens": tokens[:2]}) == [(0, tokens[0]), (3, tokens[1])]
    assert in_pieces.take(" t", {"tokens": tokens[2:4], "stop_sequence": "wo"}) == [(3, tokens[2])]


# Completions


def test_prompts_are_texts_or_tokens_one_or_many(writing: FamilyFunction) -> None:
    [one] = completed(writing, "hello world", max_tokens=20)["choices"]
    with writing.cache().use("tiny_writer", Phases()) as model:
        numbers = model.wrapper.engine.numbers("hello world", special=True)  # type: ignore[attr-defined]
    for prompt in ("hello world", ["hello world"], numbers, [numbers], [numbers, "one"]):
        assert completed(writing, prompt, max_tokens=20)["choices"][0] == one
    many = completed(writing, ["hello world", "one two"], max_tokens=20)
    assert [choice["index"] for choice in many["choices"]] == [0, 1]
    expected = predicted(writing, ["hello world", "one two"], max_new_tokens=20)
    assert many["usage"]["prompt_tokens"] == sum(one["prompt_tokens"] for one in expected)
    assert many["usage"]["completion_tokens"] == sum(one["generated_tokens"] for one in expected)


def test_the_prompt_is_echoed(writing: FamilyFunction) -> None:
    [plain], [echoed] = (completed(writing, "hello  world", echo=echo)["choices"] for echo in (False, True))
    assert echoed["text"] == "hello  world" + plain["text"]


# Embeddings


def test_vectors_come_as_numbers_or_in_base64(embedding: FamilyFunction) -> None:
    texts = ["hello", "one two"]
    expected = predicted(embedding, texts)
    found = body(embedding.handle(post({"model": "tiny_embedder", "input": texts}, EMBEDDINGS)))
    assert (found["object"], found["model"]) == ("list", "tiny_embedder")
    assert [one["index"] for one in found["data"]] == [0, 1]
    assert [one["embedding"] for one in found["data"]] == expected
    packed = body(embedding.handle(post({"input": texts, "encoding_format": "base64"}, EMBEDDINGS)))
    numbers = [struct.unpack("<6f", base64.b64decode(one["embedding"])) for one in packed["data"]]
    assert [list(vector) for vector in numbers] == expected
    assert found["usage"] == packed["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
    alone = body(embedding.handle(post({"input": "hello", "dimensions": 6, "user": "x"}, EMBEDDINGS)))
    assert alone["data"][0]["embedding"] == pytest.approx(expected[0], abs=1e-6)


# What is refused


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        (
            {"tools": [{"type": "function"}]},
            "tools",
            '"tools" is not supported: models here call no tools. Leave it out.',
        ),
        (
            {"tool_choice": "required"},
            "tool_choice",
            '"tool_choice" is not supported: models here call no tools. Leave it out.',
        ),
        (
            {"response_format": {"type": "json_object", "value": {}}},
            "response_format",
            '"response_format" is not supported: models here answer in plain text, and nothing holds them to a schema. '
            "Leave it out.",
        ),
        (
            {"logit_bias": {"5": 1}},
            "logit_bias",
            '"logit_bias" is not supported: the probabilities of single tokens cannot be changed here. Leave it out.',
        ),
        ({"stream_options": 1}, "stream_options", '"stream_options" is a number. Send {"include_usage": true}.'),
        (
            {"stream_options": {"include_usage": "x"}},
            "include_usage",
            '"include_usage" is a string. Send true or false.',
        ),
        ({"messages": None}, "messages", '"messages" is null. Send a list of messages.'),
        ({"messages": []}, "messages", '"messages" is an empty list. Send a list of messages.'),
        ({"messages": ["x"]}, "messages[0]", 'messages[0] is a string. Send {"role": ROLE, "content": TEXT}.'),
        (
            {"messages": [{"content": "x"}]},
            "messages[0].role",
            'messages[0].role is null. Send "system", "user" or "assistant".',
        ),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "messages[0].content is null. Send a text."),
        (
            {"messages": [{"role": "user", "content": ""}]},
            "messages[0].content",
            "messages[0].content is an empty text. Send at least one character.",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages[0].content[0]",
            'messages[0].content[0] is "image_url", and models here read text. Send {"type": "text", "text": TEXT}.',
        ),
        (
            {"messages": [{"role": "tool", "content": "x"}]},
            "messages[0].role",
            "messages[0] is the answer of a tool, and models here call none. Leave it out.",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{}]}]},
            "messages[0].tool_calls",
            "messages[0] has tool_calls, and models here read and write text alone.",
        ),
        (
            {"messages": [{"role": "pirate", "content": "x"}]},
            "messages",
            "The model's chat template refuses messages: Roles are system, user and assistant, not pirate.",
        ),
        (
            {"n": 2},
            "n",
            '"n" is 2, and all answers would be the same. Give a "temperature" above 0, or no "n".',
        ),
        ({"n": "2"}, "n", '"n" is "2". Send an integer.'),
        ({"n": 0}, "n", '"n": 0 is out of bounds. Give an integer from 1 to 8.'),
        ({"max_tokens": 0}, "max_tokens", '"max_tokens": 0 is out of bounds. Give an integer from 1 to 127.'),
        ({"max_tokens": "9"}, "max_tokens", '"max_tokens": "9" is no integer. Give an integer from 1 to 127.'),
        (
            {"max_tokens": 126},
            "messages",
            "The prompt has 32 tokens, and with 126 new ones that is 158; the model reads 128. "
            'Send "max_tokens" of at most 96.',
        ),
        (
            {"temperature": -1},
            "temperature",
            '"temperature": -1 is out of bounds. Give a number from 0.001 to 5.',
        ),
        ({"seed": 1.5}, "seed", '"seed" is 1.5. Send an integer.'),
        (
            {"top_logprobs": 2},
            "top_logprobs",
            '"top_logprobs" needs "logprobs" to be true. Set it, or leave both out.',
        ),
        ({"logprobs": 1}, "logprobs", '"logprobs" is a number. Send true or false.'),
        (
            {"logprobs": True, "top_logprobs": 21},
            "top_logprobs",
            '"top_logprobs" is 21. Send an integer from 0 to 20.',
        ),
        ({"stream": "yes"}, "stream", '"stream" is a string. Send true or false.'),
        ({"model": 5}, "model", '"model" is a number. Send the model\'s name as a string.'),
        ({"max_new_tokens": 5}, "max_tokens", 'max_new_tokens is called "max_tokens" here. Send that.'),
        (
            {"presence_penalty": 3},
            "presence_penalty",
            '"presence_penalty": 3 is out of bounds. Give a number from -2 to 2.',
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_wrong_chat_is_refused_in_its_words(
    writing: FamilyFunction, fields: dict[str, Any], param: str, message: str, stream: bool
) -> None:
    error = refused(writing.handle(post({"messages": HELLO, "stream": stream} | fields, CHAT)))
    assert error == {"message": message, "type": "invalid_request_error", "param": param, "code": "invalid_input"}


def test_a_field_that_nobody_knows_is_refused(writing: FamilyFunction) -> None:
    error = refused(writing.handle(post({"messages": HELLO, "temprature": 1}, CHAT)))
    assert error["param"] == "temprature"
    assert error["message"].startswith('"temprature" is no parameter of this model. Its parameters: max_new_tokens, ')


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"prompt": None}, "prompt", 'The request has no "prompt". Send a text, or a list of texts.'),
        ({"prompt": ""}, "prompt", "prompt is an empty text. Send at least one character."),
        ({"prompt": []}, "prompt", "prompt is an empty list. Send at least one item."),
        ({"prompt": [[5], [5, -1]]}, "prompt[1][1]", "prompt[1][1] is -1. Tokens are integers from 0."),
        ({"prompt": HELLO}, "prompt", '"prompt" is a list of messages. POST them to /v1/chat/completions.'),
        (
            {"suffix": "x"},
            "suffix",
            '"suffix" is not supported: models here write what follows, and not what stands between. Leave it out.',
        ),
        ({"best_of": 3}, "best_of", 'As many answers are written as are told. Leave "best_of" out.'),
        (
            {"echo": True, "logprobs": 1},
            "logprobs",
            'The probabilities of the prompt\'s own tokens are not told. Leave "echo" or "logprobs" out.',
        ),
        ({"logprobs": True}, "logprobs", '"logprobs" is true. Send an integer.'),
        ({"echo": "yes"}, "echo", '"echo" is a string. Send true or false.'),
    ],
    ids=str,
)
def test_a_wrong_completion_is_refused(
    writing: FamilyFunction, fields: dict[str, Any], param: str, message: str
) -> None:
    error = refused(writing.handle(post({"prompt": "hello"} | fields, COMPLETIONS)))
    assert (error["param"], error["message"]) == (param, message)


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"input": None}, "input", 'The request has no "input". Send a text, or a list of texts.'),
        ({"input": ""}, "input", "input is an empty text. Send at least one word."),
        ({"input": []}, "input", "input is an empty list. Send at least one item."),
        ({"input": {"query": "a"}}, "input", '"input" is an object. Send texts.'),
        ({"input": ["a", None]}, "input", '"input"[1] is null. Send texts.'),
        (
            {"input": [[1, 2]]},
            "input",
            '"input" has tokens, and each model has tokens of its own. Send texts '
            "(LangChain: check_embedding_ctx_length=False).",
        ),
        ({"encoding_format": "hex"}, "encoding_format", '"encoding_format" is "hex". Send "float" or "base64".'),
        (
            {"dimensions": 3},
            "dimensions",
            '"dimensions" is 3, and the vectors of tiny_embedder have 6. Leave it out.',
        ),
    ],
    ids=str,
)
def test_a_wrong_embedding_is_refused(
    embedding: FamilyFunction, fields: dict[str, Any], param: str, message: str
) -> None:
    error = refused(embedding.handle(post({"input": "hello"} | fields, EMBEDDINGS)))
    assert (error["param"], error["message"]) == (param, message)


def test_a_family_answers_what_it_can(writing: FamilyFunction, embedding: FamilyFunction) -> None:
    for function, path in ((writing, EMBEDDINGS), (embedding, CHAT), (embedding, COMPLETIONS)):
        error = refused(function.handle(post({}, path)), 404)
        assert (error["type"], error["code"]) == ("invalid_request_error", "not_found")
        assert error["message"].startswith(f"{function.family} models do not answer {path}.")


def test_bodies_and_paths_are_refused_in_its_shape(writing: FamilyFunction) -> None:
    assert refused(writing.handle(request(b"{", target=CHAT)))["code"] == "invalid_json"
    assert refused(writing.handle(post([], CHAT)))["message"].startswith("The body is a list. Send an object: ")
    assert refused(writing.handle(post({}, "/v1/responses")), 404)["code"] == "not_found"
    assert refused(writing.handle(request(method="GET", target=CHAT)), 405)["code"] == "method_not_allowed"


def test_its_clients_learn_when_to_ask_again() -> None:
    asked = request(target=CHAT)
    busy = openai.refuse(Overloaded("Too many wait.", retry_after=4), asked)
    assert (busy.headers["Retry-After"], busy.headers["Retry-After-Ms"]) == ("4", "4000")
    assert "X-Should-Retry" not in busy.headers
    assert body(busy)["error"]["type"] == "server_error"
    broken = openai.refuse(ModelError("It raised."), asked)
    assert broken.headers["X-Should-Retry"] == "false"


def test_a_wrapper_of_somebodys_own_answers_only_what_it_can(
    tmp_path: Path, key: SigningKey, trust: Trust, trust_file: Path
) -> None:
    """A function serves also what is of its family for the packages that it needs."""
    from model_functions.families.text_generation import TextGenerationWrapper
    from tests.shared.http.test_streaming import Counting

    repository = Repository(FolderStore(tmp_path / "store"), trust)
    publish(Counting(TextInput()), name="count", examples=["3"], repository=repository, key=key)
    environment = {"MODEL_STORE": str(tmp_path / "store"), "MODEL_TRUST": str(trust_file)}
    function = FamilyFunction(TextGenerationWrapper, Settings.from_environment(environment))
    error = refused(function.handle(post({"prompt": "3"}, COMPLETIONS)), 404)
    assert error["message"] == "count does not answer /v1/completions. GET /docs lists what there is."
    assert body(function.handle(post({"inputs": "3"}, "/"))) == 3
    response = function.handle(post({"inputs": "2", "stream": True}, "/"))
    assert response.chunks is not None
    assert [json.loads(chunk.decode().removeprefix("data: ")) for chunk in response.chunks] == [
        {"text": "0 ü\n"},
        {"text": "1 ü\n"},
    ]


def test_only_an_empty_list_stops_nowhere(writing: FamilyFunction) -> None:
    for stop, status in (([], 200), (False, 400), ({}, 400)):
        asked = post({"model": "tiny_writer", "prompt": "hello", "stop": stop}, "/v1/completions")
        assert writing.handle(asked).status == status
