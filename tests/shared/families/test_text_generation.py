"""Text generation: what transformers' ``generate`` writes, told whole or in pieces."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy import fast_lane
from deploy.publish import publish
from model_functions.artifact import stream
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.engines.continuation import Answer
from model_functions.errors import InvalidInput
from model_functions.families.text_generation import TextGenerationWrapper
from model_functions.http.function import FamilyFunction
from model_functions.repository import Repository
from model_functions.settings import Settings
from model_functions.store.folder import FolderStore
from tests import tiny_models
from tests.shared.http.requests import accepted, body, get, post

TEXTS = ["hello world", "one", "a lives in one, two. hello", "😀 д"]
CHAT = [{"role": "system", "content": "hello"}, {"role": "user", "content": " one two "}]
SEARCHES: tuple[dict[str, Any], ...] = (
    {},
    {"repetition_penalty": 1.5, "no_repeat_ngram_size": 2, "min_new_tokens": 15},
    {"num_beams": 3, "num_return_sequences": 2, "length_penalty": 2.0},
    {"num_beams": 4, "early_stopping": True, "repetition_penalty": 1.3},
)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> TextGenerationWrapper:
    return TextGenerationWrapper.from_source(str(tiny_models.llama_folder(tmp_path_factory.mktemp("llama"))))


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> TextGenerationWrapper:
    """It writes bytes, hardly any of which make a character, and has no chat template."""
    return TextGenerationWrapper.from_source(str(tiny_models.gpt2_folder(tmp_path_factory.mktemp("gpt2"))))


def in_fast_lane(wrapper: TextGenerationWrapper) -> Any:
    """The wrapper with a graph, and the model that the graph was made of for ``generated`` to ask."""
    fast: Any = fast_lane.build(wrapper, "openvino", "fp32", ["hello world"]).wrapper
    fast.engine.model, fast.engine.tokens = wrapper.engine.model, wrapper.engine.tokenizer  # type: ignore[attr-defined]
    return fast


@pytest.fixture(scope="module")
def fast_llama(llama: TextGenerationWrapper) -> Any:
    return in_fast_lane(llama)


@pytest.fixture(scope="module")
def fast_gpt2(gpt2: TextGenerationWrapper) -> Any:
    return in_fast_lane(gpt2)


FAST = [pytest.param(name, marks=pytest.mark.slow) for name in ("fast_llama", "fast_gpt2")]


@pytest.fixture(params=["llama", "gpt2", *FAST])
def wrapper(request: pytest.FixtureRequest) -> TextGenerationWrapper:
    found: TextGenerationWrapper = request.getfixturevalue(request.param)
    return found


def generated(wrapper: Any, text: str, **options: Any) -> list[str]:
    """What ``generate`` appends to the text."""
    engine = wrapper.engine
    model, tokenizer = engine.model, getattr(engine, "tokens", engine.tokenizer)
    inputs = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
    options = {"max_new_tokens": 20, "do_sample": False, "pad_token_id": 0} | options
    sequences = model.generate(**inputs, **options)
    decoded = tokenizer.batch_decode(sequences, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    before = tokenizer.decode(inputs["input_ids"][0], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert all(found.startswith(before) for found in decoded)
    return [found.removeprefix(before) for found in decoded]


def texts(prediction: Any) -> list[str]:
    return [one["generated_text"] for one in ([prediction] if isinstance(prediction, dict) else prediction)]


@pytest.mark.parametrize("parameters", SEARCHES, ids=str)
def test_answers_are_those_of_generate(wrapper: TextGenerationWrapper, parameters: dict[str, Any]) -> None:
    for text in TEXTS:
        found = texts(wrapper.predict(text, {"max_new_tokens": 20} | parameters))
        assert found == generated(wrapper, text, **parameters), text


@pytest.mark.parametrize(
    "parameters",
    [
        *SEARCHES,
        {"do_sample": True, "seed": 5, "num_return_sequences": 3, "temperature": 2.0},
        {"do_sample": True, "seed": 0, "top_k": 5, "top_p": 0.8, "min_p": 0.1, "no_repeat_ngram_size": 3},
        {"do_sample": True, "seed": 0, "typical_p": 0.6},
        {"do_sample": True, "seed": 2, "num_beams": 2},
        {"stop": ["a", "o", "e"]},
    ],
    ids=str,
)
def test_a_prompt_is_answered_alike_alone_and_among_others(
    wrapper: TextGenerationWrapper, parameters: dict[str, Any]
) -> None:
    parameters = {"max_new_tokens": 20} | parameters
    together = wrapper.predict(TEXTS, parameters)
    assert together == [wrapper.predict(text, parameters) for text in TEXTS]
    assert wrapper.predict(TEXTS[::-1], parameters) == together[::-1]


def test_a_seed_repeats_a_draw_and_its_first_answer_is_that_of_one_alone(llama: TextGenerationWrapper) -> None:
    draw = {"do_sample": True, "seed": 7, "max_new_tokens": 12, "temperature": 2.0}
    several = llama.predict("hello", draw | {"num_return_sequences": 4})
    assert several == llama.predict("hello", draw | {"num_return_sequences": 4})
    assert several[0] == llama.predict("hello", draw)
    assert len(set(texts(several))) > 1
    assert len({texts(llama.predict("hello", draw | {"seed": seed}))[0] for seed in range(6)}) > 1
    unseeded = draw | {"seed": None}
    assert len({texts(llama.predict("hello", unseeded))[0] for _ in range(6)}) > 1


def test_a_draw_follows_the_models_probabilities(llama: TextGenerationWrapper) -> None:
    import numpy as np

    engine: Any = llama.engine
    prompt = engine.numbers("hello", special=True)
    scores = engine.read([prompt]).step(np.array([prompt[-1:]]))[0].astype(np.float64)
    scores[list(engine.rules.banned)] = -np.inf
    shares = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    likeliest = int(shares.argmax())
    draw = {"do_sample": True, "max_new_tokens": 1, "num_return_sequences": 8, "top_k": 0}
    found = [one for seed in range(50) for one in llama.predict("hello", draw | {"seed": seed})]
    wanted = engine.text([*prompt, likeliest]).removeprefix(engine.text(prompt))
    share = sum(one["generated_text"] == wanted for one in found) / len(found)
    assert share == pytest.approx(shares[likeliest], abs=0.1)


def test_the_answer_says_why_it_ended_and_what_it_took(llama: TextGenerationWrapper) -> None:
    cut = llama.predict("hello world", {"max_new_tokens": 3, "min_new_tokens": 3})
    assert (cut["finish_reason"], cut["prompt_tokens"], cut["generated_tokens"]) == ("length", 3, 3)
    ended = next(
        found
        for seed in range(50)
        if (found := llama.predict("hello", {"do_sample": True, "seed": seed}))["finish_reason"] == "stop"
    )
    assert ended.keys() == {"generated_text", "finish_reason", "prompt_tokens", "generated_tokens"}
    assert "<" not in ended["generated_text"] or "</s>" not in ended["generated_text"]


def test_a_stop_sequence_ends_the_answer_before_it(llama: TextGenerationWrapper) -> None:
    whole = llama.predict("hello world", {"max_new_tokens": 30, "min_new_tokens": 30})["generated_text"]
    for start in range(1, len(whole) - 4):
        stop = whole[start : start + 4]
        found = llama.predict("hello world", {"max_new_tokens": 30, "min_new_tokens": 30, "stop": ["never", stop]})
        assert found["generated_text"] == whole[: whole.index(stop)]
        assert (found["finish_reason"], found["stop_sequence"]) == ("stop", stop)
        assert found["generated_tokens"] <= 30


def test_generation_truly_ends_with_a_stop_sequence(llama: TextGenerationWrapper, monkeypatch: Any) -> None:
    whole = llama.predict("hello world", {"max_new_tokens": 60, "min_new_tokens": 60})
    steps = []
    engine: Any = llama.engine
    forward = engine.model.forward

    def counted(**inputs: Any) -> Any:
        steps.append(inputs["input_ids"].shape)
        return forward(**inputs)

    monkeypatch.setattr(engine.model, "forward", counted)
    found = llama.predict(
        "hello world", {"max_new_tokens": 60, "min_new_tokens": 60, "stop": [whole["generated_text"][4:7]]}
    )
    assert len(steps) == found["generated_tokens"] < 20


def test_beams_end_at_a_stop_sequence_too(llama: TextGenerationWrapper) -> None:
    parameters = {"num_beams": 3, "num_return_sequences": 3, "max_new_tokens": 12}
    for found in llama.predict("hello world", parameters | {"stop": ["e", "w"]}):
        assert not {"e", "w"} & set(found["generated_text"])
        assert found["finish_reason"] == ("stop" if "stop_sequence" in found else found["finish_reason"])


def test_a_special_token_can_be_a_stop_sequence(gpt2: TextGenerationWrapper, llama: TextGenerationWrapper) -> None:
    draw = {"do_sample": True, "num_return_sequences": 8, "temperature": 3.0, "seed": 1, "max_new_tokens": 60}
    ended = [one for one in llama.predict("hello", draw | {"stop": ["<end>"]}) if one["finish_reason"] == "stop"]
    assert {one.get("stop_sequence") for one in ended} >= {"<end>"}
    assert not any("<end>" in one["generated_text"] for one in ended)


def test_the_prompt_can_be_told_before_its_answer(llama: TextGenerationWrapper) -> None:
    answer, full = (llama.predict("hello  world", {"return_full_text": full}) for full in (False, True))
    assert full == answer | {"generated_text": "hello  world" + answer["generated_text"]}


# Tokens


@pytest.mark.parametrize("draw", [{}, {"do_sample": True, "seed": 3, "temperature": 0.5, "top_k": 3}], ids=str)
def test_tokens_are_told_with_the_models_own_probabilities(
    wrapper: TextGenerationWrapper, draw: dict[str, Any]
) -> None:
    import torch

    parameters = {"max_new_tokens": 12, "min_new_tokens": 12, "repetition_penalty": 1.3} | draw
    plain = wrapper.predict("hello world", parameters)
    found = wrapper.predict("hello world", parameters | {"logprobs": 3})
    tokens = found.pop("tokens")
    assert found == plain
    engine: Any = wrapper.engine
    prompt, answer = engine.numbers("hello world", special=True), [token["id"] for token in tokens]
    assert "".join(token["text"] for token in tokens if not token["special"]) == found["generated_text"]
    with torch.no_grad():
        logits = engine.model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    expected = logits.double().log_softmax(-1)
    for token, own in zip(tokens, expected, strict=True):
        assert token["logprob"] == pytest.approx(float(own[token["id"]]), abs=2e-4)
        best = own.topk(3)
        assert [other["logprob"] for other in token["top"]] == pytest.approx(best.values.tolist(), abs=2e-4)
        assert [other["logprob"] for other in token["top"]] == pytest.approx(
            [float(own[other["id"]]) for other in token["top"]], abs=2e-4
        )
        assert token["special"] == (token["id"] in engine.specials())
        [own_text] = {other["text"] for other in token["top"] if other["id"] == token["id"]} or {token["text"]}
        assert own_text == token["text"]


def test_tokens_cost_nothing_where_nobody_asks(llama: TextGenerationWrapper, monkeypatch: Any) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("nobody asked")

    monkeypatch.setattr("model_functions.engines.choice.likelihood", never)
    assert "tokens" not in llama.predict("hello")
    with pytest.raises(AssertionError, match="nobody asked"):
        llama.predict("hello", {"logprobs": 0})


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), stop=st.lists(st.text("helo w", min_size=1, max_size=3), max_size=2))
@pytest.mark.parametrize("name", ["llama", *FAST])
def test_pieces_bring_every_token_once(name: str, request: pytest.FixtureRequest, seed: int, stop: list[str]) -> None:
    wrapper: TextGenerationWrapper = request.getfixturevalue(name)
    parameters = {"do_sample": True, "temperature": 2.0, "max_new_tokens": 12, "seed": seed, "stop": stop}
    pieces, answer = told(wrapper, "hello", parameters | {"logprobs": 2})
    tokens = [token for piece in pieces for token in piece["tokens"]]
    assert tokens == answer["tokens"]
    assert len(tokens) == answer["generated_tokens"]
    text = "".join(token["text"] for token in tokens if not token["special"])
    assert text.startswith(answer["generated_text"])
    assert answer["generated_text"] == text or "stop_sequence" in answer
    assert all(len(token["top"]) == 2 for token in tokens)


def test_a_special_token_is_told_by_its_name(llama: TextGenerationWrapper) -> None:
    draw = {"do_sample": True, "num_return_sequences": 8, "temperature": 3.0, "max_new_tokens": 60, "logprobs": 20}
    ended = [
        one
        for seed in range(8)
        for one in llama.predict("hello", draw | {"seed": seed})
        if one["finish_reason"] == "stop"
    ]
    assert ended
    for one in ended:
        *before, last = one["tokens"]
        assert last["special"]
        assert last["text"] in ("</s>", "<end>")
        assert "</s>" not in "".join(token["text"] for token in before)


@pytest.mark.parametrize("penalties", [{"presence_penalty": 1.5}, {"frequency_penalty": 0.7}], ids=str)
def test_tokens_of_the_answer_are_penalised(wrapper: TextGenerationWrapper, penalties: dict[str, Any]) -> None:
    from collections import Counter

    import torch

    engine: Any = wrapper.engine
    sequence, expected = engine.numbers("hello hello", special=True), list[int]()
    for _ in range(12):
        with torch.no_grad():
            scores = engine.model(torch.tensor([sequence + expected])).logits[0, -1]
        for token, count in Counter(expected).items():
            scores[token] -= penalties.get("presence_penalty", 0) + count * penalties.get("frequency_penalty", 0)
        scores[list(engine.rules.ends)] = -torch.inf
        scores[list(engine.rules.banned)] = -torch.inf
        expected.append(int(scores.argmax()))
    parameters = {"max_new_tokens": 12, "min_new_tokens": 12, "logprobs": 0, "repetition_penalty": 1.0}
    found = wrapper.predict("hello hello", parameters | penalties)["tokens"]
    assert [token["id"] for token in found] == expected
    assert [token["id"] for token in wrapper.predict("hello hello", parameters)["tokens"]] != expected


def test_an_impossible_token_has_a_number_that_json_has(llama: TextGenerationWrapper) -> None:
    import numpy as np

    from model_functions.engines.likelihood import likelihood

    scores = np.array([0.0, -np.inf, 1.0], dtype=np.float32)
    found = likelihood(scores, 1, 3)
    assert found.logprob == -9999
    assert [token for token, _ in found.top] == [2, 0, 1]
    assert found.top[0][1] == pytest.approx(-0.3132617)


@pytest.mark.parametrize(("name", "value"), [("logprobs", 0), ("presence_penalty", 1), ("frequency_penalty", 0.5)])
def test_beams_are_compared_as_wholes(llama: TextGenerationWrapper, name: str, value: float) -> None:
    with pytest.raises(InvalidInput) as caught:
        llama.predict("hello", {"num_beams": 2, name: value})
    assert caught.value.message == (
        f'"num_beams" is 2, and beams are compared as wholes. Set it to 1, or leave "{name}" out.'
    )


NEW = ("logprobs", "presence_penalty", "frequency_penalty")


def test_a_wrapper_from_before_a_parameter_goes_on_without_it(llama: TextGenerationWrapper) -> None:
    import copy

    old = copy.copy(llama)
    old.parameters = {name: p for name, p in llama.parameters.items() if name not in NEW}
    assert old.predict("hello") == llama.predict("hello")
    assert told(old, "hello", {}) == told(llama, "hello", {})


def test_a_prompt_may_be_its_tokens(wrapper: TextGenerationWrapper) -> None:
    numbers = wrapper.engine.numbers("hello world", special=True)
    expected = wrapper.predict("hello world")
    assert wrapper.predict(numbers) == expected
    assert wrapper.predict([numbers, "hello world"]) == [expected, expected]
    full = wrapper.predict(numbers, {"return_full_text": True})["generated_text"]
    assert full == wrapper.engine.text(numbers) + expected["generated_text"]


# Chats


def test_a_chat_is_written_as_transformers_does(llama: TextGenerationWrapper) -> None:
    engine: Any = llama.engine
    for chat in (CHAT, CHAT[1:], [*CHAT, {"role": "assistant", "content": "two"}, CHAT[1]]):
        expected = engine.tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
        rendered = engine.chat.render(chat, "data")
        assert rendered == engine.tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        assert engine.numbers(rendered, special=False) == expected
        assert llama.predict(chat, {"max_new_tokens": 4})["prompt_tokens"] == len(expected)


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}{{ m['role'] | upper }}: {{ m.content | tojson }}\n{% endfor %}{{ eos_token }}",
        "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{{ ns.n }}{{ m.content }}"
        "{% if loop.last %}{% break %}{% endif %}{% endfor %}",
        "{%- for m in messages -%}\n  {% generation %}{{ m.content }}{% endgeneration %}\n{%- endfor %}"
        "{{ dict(a=1).a }}",
    ],
)
def test_templates_do_all_that_transformers_lets_them(llama: TextGenerationWrapper, template: str) -> None:
    from model_functions.engines.chat import ChatTemplate

    tokenizer = llama.engine.tokenizer  # type: ignore[attr-defined]
    expected = tokenizer.apply_chat_template(CHAT, chat_template=template, add_generation_prompt=True, tokenize=False)
    assert ChatTemplate(template, {"eos_token": "</s>", "bos_token": "<s>"}).render(CHAT, "data") == expected


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ namespace(__class__=1) }}",
        "{% set ns = namespace() %}{% set ns.__init__ = 1 %}",
        "{{ dict.__class__.__init__.__globals__ }}",
        "{{ messages.append(1) }}",
    ],
)
def test_a_template_stays_in_its_sandbox(template: str) -> None:
    from model_functions.engines.chat import ChatTemplate

    with pytest.raises(InvalidInput, match="The model's chat template refuses data: "):
        ChatTemplate(template, {}).render(CHAT, "data")


def test_one_chat_is_told_from_many(llama: TextGenerationWrapper) -> None:
    one = llama.predict(CHAT)
    assert isinstance(one, dict)
    assert llama.predict([CHAT]) == [one]
    assert llama.predict([CHAT, "hello", CHAT[1:]]) == [one, llama.predict("hello"), llama.predict(CHAT[1:])]


# Streams


def told(wrapper: TextGenerationWrapper, data: Any, parameters: dict[str, Any]) -> tuple[list[dict[str, Any]], Any]:
    """The pieces, and what comes at their end."""
    pieces, found = wrapper.stream(data, parameters), []
    while True:
        try:
            found.append(next(pieces))
        except StopIteration as end:
            return found, end.value


def put_together(pieces: list[dict[str, Any]]) -> dict[tuple[int, int], str]:
    joined: dict[tuple[int, int], str] = {}
    for piece in pieces:
        place = piece.get("index", 0), piece.get("sequence", 0)
        joined[place] = joined.get(place, "") + piece["text"]
    return joined


@settings(max_examples=25, deadline=None)
@given(
    data=st.one_of(st.sampled_from(TEXTS), st.just(TEXTS[:2]), st.text(min_size=1, max_size=6)),
    seed=st.integers(0, 1000),
    stop=st.lists(st.text("helo wrd😀�", min_size=1, max_size=3), max_size=3),
    count=st.integers(1, 2),
    full=st.booleans(),
)
@pytest.mark.parametrize("name", ["llama", "gpt2", *FAST])
def test_pieces_make_up_the_unstreamed_answer(
    name: str, request: pytest.FixtureRequest, data: Any, seed: int, stop: list[str], count: int, full: bool
) -> None:
    wrapper: TextGenerationWrapper = request.getfixturevalue(name)
    parameters = {"do_sample": True, "temperature": 2.0, "max_new_tokens": 12, "seed": seed, "stop": stop}
    parameters |= {"num_return_sequences": count, "return_full_text": full}
    expected = wrapper.predict(data, parameters)
    pieces, answer = told(wrapper, data, parameters)
    assert answer == expected
    items = expected if isinstance(data, list) else [expected]
    rows = {(i, j): one for i, item in enumerate(items) for j, one in enumerate(item if count > 1 else [item])}
    assert put_together(pieces) == {place: one["generated_text"] for place, one in rows.items()}
    ends = [piece for piece in pieces if "finish_reason" in piece]
    assert len(ends) == len(rows)
    assert all("index" in piece for piece in pieces) == isinstance(data, list)


def test_a_character_comes_whole(llama: TextGenerationWrapper) -> None:
    text = "hello 日本 ça 🎉 one"
    engine: Any = llama.engine
    prompt = engine.numbers("a", special=True)
    tokens = engine.numbers("a" + text, special=False)[len(engine.numbers("a", special=False)) :]
    assert len(tokens) > len(text)
    answer = Answer(engine, prompt, {}, [], len(tokens))
    pieces = [answer.add(token) for token in tokens]
    assert "".join(pieces) == answer.text == text
    assert not any("�" in piece for piece in pieces)
    assert len([piece for piece in pieces if piece]) > 8, "what is certain is told at once"


def test_a_broken_character_takes_nothing_with_it(llama: TextGenerationWrapper) -> None:
    engine: Any = llama.engine
    euro = [4 + byte for byte in "€".encode()]
    tokens = [*euro, euro[0], *engine.numbers("one", special=False), *euro[:2]]
    answer = Answer(engine, engine.numbers("a", special=True), {}, [], len(tokens))
    pieces = [answer.add(token) for token in tokens]
    assert "".join(pieces) == answer.text == "€� one��"


def test_beginnings_of_a_stop_sequence_are_held_back(llama: TextGenerationWrapper) -> None:
    engine: Any = llama.engine
    prompt = engine.numbers("a", special=True)

    def pieces(text: str, stops: list[str]) -> list[str]:
        tokens = engine.numbers("a" + text, special=False)[1:]
        answer = Answer(engine, prompt, {}, stops, len(tokens))
        return [answer.add(token) for token in tokens if answer.finish_reason is None]

    assert pieces("xyxyz", ["xyz"]) == ["", "", "xy", "", ""]
    assert pieces("xyxyx", ["xyz"]) == ["", "", "xy", "", "xyx"]
    assert pieces("xyz", ["zz", "yz", "q"]) == ["x", "", ""]


def test_beams_cannot_be_streamed(llama: TextGenerationWrapper) -> None:
    with pytest.raises(InvalidInput) as caught:
        next(llama.stream("hello", {"num_beams": 2}))
    assert caught.value.message == (
        '"num_beams" is 2, and beams are chosen from at the end only. Set it to 1, or leave "stream" out.'
    )


# What is published


def test_the_models_own_configuration_is_the_default(tmp_path: Path) -> None:
    from transformers import GenerationConfig

    folder = tiny_models.llama_folder(tmp_path / "llama")
    config = GenerationConfig.from_pretrained(folder)
    config.update(do_sample=True, temperature=0.6, top_p=0.9, repetition_penalty=1.1)
    config.save_pretrained(folder)
    parameters = TextGenerationWrapper.from_source(str(folder)).parameters
    assert parameters["max_new_tokens"].maximum == 127
    wanted = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "repetition_penalty": 1.1}
    assert {name: parameters[name].default for name in wanted} == wanted


def test_a_publisher_presets_and_narrows(tmp_path: Path) -> None:
    wrapper = TextGenerationWrapper.from_source(
        str(tiny_models.llama_folder(tmp_path / "llama")),
        defaults={"stop": ["e"], "stream": True},
        bounds={"max_new_tokens": (1, 20)},
        max_tokens=100,
    )
    parameters = wrapper.parameters
    assert (parameters["max_new_tokens"].default, parameters["max_new_tokens"].maximum) == (20, 20)
    assert parameters["stop"].schema()["default"] == ["e"]
    assert "e" not in wrapper.predict("hello")["generated_text"]
    with pytest.raises(InvalidInput, match="the model reads 100"):
        wrapper.predict("hello " * 90)


@pytest.mark.parametrize(
    "setting", [{"penalty_alpha": 0.6}, {"bad_words_ids": [[270, 271]]}, {"sequence_bias": [[[5], 1.0]]}]
)
def test_a_model_that_searches_otherwise_is_refused(tmp_path: Path, setting: dict[str, Any]) -> None:
    import json

    folder = tiny_models.llama_folder(tmp_path / "llama")
    path = folder / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | setting))
    with pytest.raises(ValueError, match=r"The model's generation_config .* Take "):
        TextGenerationWrapper.from_source(str(folder))


def test_a_stream_of_bytes_is_the_same_every_time_and_answers_alike(tmp_path: Path) -> None:
    wrappers = [TextGenerationWrapper.from_source(str(tiny_models.llama_folder(tmp_path / name))) for name in "ab"]
    one, other = (stream.dump(wrapper) for wrapper in wrappers)
    assert one == other
    loaded, _ = stream.load_and_list(one)
    for data in ("hello", CHAT):
        assert loaded.predict(data) == wrappers[0].predict(data)


def test_the_interface_tells_that_it_streams(llama: TextGenerationWrapper, gpt2: TextGenerationWrapper) -> None:
    interface = llama.interface()
    assert (interface["kind"], interface["streams"], interface["task"]) == ("prompt", True, "text-generation")
    assert interface["parameters"]["stop"]["type"] == "array"
    assert len(interface["data"]["anyOf"]) == 4
    assert len(gpt2.interface()["data"]["anyOf"]) == 3


# What is refused, as a caller sees it


@pytest.fixture(scope="module")
def function(
    tmp_path_factory: pytest.TempPathFactory, writer: TextGenerationWrapper, key: SigningKey, trust_file: Path
) -> FamilyFunction:
    store = tmp_path_factory.mktemp("store")
    repository = Repository(FolderStore(store), Trust.read(trust_file, on_google_cloud=False))
    publish(writer, name="tiny_writer", examples=["hello"], repository=repository, key=key, engine="torch")
    environment = {"MODEL_STORE": str(store), "MODEL_TRUST": str(trust_file)}
    return FamilyFunction(TextGenerationWrapper, Settings.from_environment(environment))


MESSAGE = 'Send {"role": ROLE, "content": TEXT}.'


@pytest.mark.parametrize(
    ("data", "parameters", "message"),
    [
        ("", {}, "data is an empty text. Send at least one character."),
        (7, {}, "data is a number. Send a text, or a chat as a list of messages."),
        ({"role": "user"}, {}, "data is an object. Send a text, or a chat as a list of messages."),
        ([], {}, "data is an empty list. Send at least one item."),
        (["hello", None], {}, "data[1] is null. Send a text, or a chat as a list of messages."),
        (["hello"] * 33, {}, "data has 33 items; the limit is 32. Send fewer per request."),
        ("a" * 100_001, {}, "data has 100001 characters; the limit is 100000. Send less of it."),
        ([CHAT, []], {}, "data[1] is a chat without messages. Send at least one."),
        ([CHAT[0], "hello"], {}, f"data[1] is a string, where a chat has a message. {MESSAGE}"),
        ([[CHAT[0], {"role": "user"}]], {}, f'data[0][1] has no "content". {MESSAGE}'),
        ([{"role": "user", "content": ["x"]}], {}, "data[0].content is a list. Send a string."),
        ([{"role": "user", "content": ""}], {}, "data[0].content is an empty text. Send at least one character."),
        ([CHAT[0] | {"name": "x"}], {}, f'"name" is no field of a message. {MESSAGE}'),
        (CHAT * 129, {}, "data has 258 messages; the limit is 256. Send fewer."),
        (
            [{"role": "pirate", "content": "hello"}],
            {},
            "The model's chat template refuses data: Roles are system, user and assistant, not pirate.",
        ),
        (
            "hello " * 120,
            {"max_new_tokens": 20},
            "The prompt has 122 tokens, and with 20 new ones that is 142; the model reads 128. "
            'Send "max_new_tokens" of at most 6.',
        ),
        (
            ["hello", "hello " * 150],
            {},
            "The prompt has 152 tokens, and with 16 new ones that is 168; the model reads 128. "
            "Send at most 127 tokens.",
        ),
        ([5, "a"], {}, "data[1] is a string. Tokens are integers from 0."),
        ([[5, -1]], {}, "data[0][1] is -1. Tokens are integers from 0."),
        ([5, True], {}, "data[1] is a boolean. Tokens are integers from 0."),
        ([5, 2**40], {}, f"data has the token {2**40}, and the model knows those from 0 to 300."),
        ([5] * 100_001, {}, "data has 100001 tokens; the limit is 100000. Send less of it."),
        ("hello", {"logprobs": 21}, '"logprobs": 21 is out of bounds. Give an integer from 0 to 20.'),
        ("hello", {"max_new_tokens": 0}, '"max_new_tokens": 0 is out of bounds. Give an integer from 1 to 127.'),
        ("hello", {"temperature": 0}, '"temperature": 0 is out of bounds. Give a number from 0.001 to 5.'),
        ("hello", {"top_p": True}, '"top_p": true is no number. Give a number from 0.01 to 1.'),
        (
            "hello",
            {"stop": "x"},
            '"stop": "x" is no list of strings. Give a list of at most 8 strings of 1 to 100 characters.',
        ),
        (
            "hello",
            {"stop": ["x"] * 9},
            '"stop": a list of 9 is out of bounds. Give a list of at most 8 strings of 1 to 100 characters.',
        ),
        (
            "hello",
            {"stop": ["a", 1]},
            '"stop": 1 is no string. Give a list of at most 8 strings of 1 to 100 characters.',
        ),
        (
            "hello",
            {"stop": [""]},
            '"stop": a text of 0 characters is out of bounds. Give a list of at most 8 strings of 1 to 100 characters.',
        ),
        ("hello", {"seed": -1}, '"seed": -1 is out of bounds. Give an integer from 0 to 9.22337e+18.'),
        ("hello", {"stream": 1}, '"stream": 1 is no boolean. Give true or false.'),
        (
            "hello",
            {"stream": True, "num_beams": 2},
            '"num_beams" is 2, and beams are chosen from at the end only. Set it to 1, or leave "stream" out.',
        ),
        (
            CHAT,
            {"return_full_text": True},
            '"return_full_text" is true, and a chat is no text that an answer could follow. Leave it out.',
        ),
        (
            "hello",
            {"num_return_sequences": 2},
            '"num_return_sequences" is 2 and "num_beams" 1. Give at least as many beams, or set "do_sample" to true.',
        ),
        (
            "hello",
            {"max_new_tokens": 8},
            '"min_new_tokens" is 16 and "max_new_tokens" 8. Give at most as many.',
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("streamed", [False, True])
def test_wrong_input_is_refused(
    function: FamilyFunction, data: Any, parameters: dict[str, Any], message: str, streamed: bool
) -> None:
    asked = {"stream": True} if streamed and "stream" not in parameters else {}
    response = function.handle(post({"data": data, "parameters": parameters | asked}))
    assert response.chunks is None
    assert (response.status, body(response)["error"]["message"]) == (422, message)


def test_a_model_without_a_template_takes_no_chat(gpt2: TextGenerationWrapper) -> None:
    with pytest.raises(InvalidInput) as caught:
        gpt2.predict(CHAT)
    assert caught.value.message == "data is a chat, and this model has no chat template. Send a text."
    with pytest.raises(InvalidInput, match=r"^data\[1\] is a number\. Send a text\.$"):
        gpt2.predict(["x", 1])


def test_a_query_string_gives_stop_sequences(function: FamilyFunction) -> None:
    whole = body(function.handle(get("/predict?data=hello+world")))["body"]["generated_text"]
    for spelled in (whole[2:4], f'["never","{whole[2:4]}"]'):
        found = body(function.handle(get(f"/predict?data=hello+world&stop={spelled}")))["body"]
        assert found["stop_sequence"] == whole[2:4]


def test_the_openapi_document_tells_of_texts_chats_and_streams(function: FamilyFunction) -> None:
    document = body(function.handle(get("/openapi.json")))
    operation = document["paths"]["/predict"]["post"]
    assert "text/event-stream" in operation["responses"]["200"]["content"]
    schema = accepted(document)
    for data in ("hello", CHAT, [5, 0], ["hello", CHAT, [5]]):
        jsonschema.validate({"data": data, "parameters": {"stop": ["x"], "stream": True, "seed": 1}}, schema)
    wrongs: list[Any] = [7, [CHAT[0], "hello"], [{"role": "user"}], [[]], [-1], [5, "hello"]]
    for wrong in wrongs:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"data": wrong}, schema)
