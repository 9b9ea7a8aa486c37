"""The lane of text generation: one graph, in which everybody's answers are those that they would be alone."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy import fast_lane
from deploy.lanes import TOLERANCE, as_stored
from model_functions import processor
from model_functions.artifact import stream
from model_functions.engines.pages import PAGE_TOKENS
from model_functions.errors import InvalidInput
from model_functions.families.text_generation import TextGenerationWrapper
from tests import tiny_models

pytestmark = pytest.mark.slow

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "initializer_range": 0.4}
GROUPED = SIZES | {"intermediate_size": 48, "num_key_value_heads": 2}


def configurations() -> dict[str, Callable[[int], Any]]:
    """Small models of many architectures, by the number of words that they know."""
    import transformers as t

    ends: dict[str, Any] = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": None, "max_position_embeddings": 128}
    return {
        "gpt2": lambda n: t.GPT2Config(
            vocab_size=n, n_positions=128, n_embd=32, n_layer=2, n_head=4, initializer_range=0.4, bos_token_id=1,
            eos_token_id=2,
        ),
        "llama": lambda n: t.LlamaConfig(vocab_size=n, **GROUPED, **ends),
        "mistral, a window": lambda n: t.MistralConfig(vocab_size=n, **GROUPED, **ends, sliding_window=8),
        "qwen2": lambda n: t.Qwen2Config(vocab_size=n, **GROUPED, **ends, tie_word_embeddings=True),
        "qwen3": lambda n: t.Qwen3Config(vocab_size=n, **GROUPED, **ends, head_dim=16),
        "gpt_neox": lambda n: t.GPTNeoXConfig(vocab_size=n, **SIZES, **ends, intermediate_size=48),
        "phi": lambda n: t.PhiConfig(vocab_size=n, **SIZES, **ends, intermediate_size=48),
        "gemma": lambda n: t.GemmaConfig(vocab_size=n, **GROUPED, **ends, head_dim=8),
        "stablelm": lambda n: t.StableLmConfig(vocab_size=n, **GROUPED, **ends),
        "opt": lambda n: t.OPTConfig(
            vocab_size=n, hidden_size=32, num_hidden_layers=2, ffn_dim=48, max_position_embeddings=128,
            num_attention_heads=4, init_std=0.4, word_embed_proj_dim=32, bos_token_id=1, eos_token_id=2, pad_token_id=0,
        ),
    }  # fmt: skip


def made(name: str, folder: Path) -> TextGenerationWrapper:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(tiny_models.llama_folder(folder / "llama"))
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(configurations()[name](len(tokens)))
    model.save_pretrained(folder / name)
    tokens.save_pretrained(folder / name)
    return TextGenerationWrapper.from_source(str(folder / name))


@pytest.mark.parametrize("name", sorted(configurations()))
def test_many_architectures_write_what_torch_writes(name: str, tmp_path: Path) -> None:
    own = made(name, tmp_path)
    lane = fast_lane.build(own, "auto", "fp32", ["hello world"])
    assert lane.record.name == "openvino", lane.note
    texts = ["one", "hello world, two lives", "a in a. " * 12]
    for search in ({}, {"num_beams": 3, "num_return_sequences": 2}, {"do_sample": True, "seed": 3}):
        parameters = {"max_new_tokens": 20, **search}
        assert lane.wrapper.predict(texts, parameters) == [own.predict(text, parameters) for text in texts]


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        ("BloomConfig", {"hidden_size": 32, "n_layer": 2, "n_head": 4}, "0 of its 2 layers attend as pages are read"),
        ("Gemma2Config", GROUPED | {"head_dim": 8}, "its attention takes softcap"),
        ("GPTJConfig", {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4}, ""),
    ],
)
def test_other_models_stay_in_torch_and_say_why(
    name: str, settings: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(tiny_models.llama_folder(tmp_path / "llama"))
    config = getattr(transformers, name)(vocab_size=len(tokens), **settings)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "other")
    tokens.save_pretrained(tmp_path / "other")
    wrapper = TextGenerationWrapper.from_source(str(tmp_path / "other"))
    lane = fast_lane.build(wrapper, "auto", "auto", ["hello"])
    assert lane.wrapper is wrapper
    assert lane.record.name == "torch"
    assert lane.note.startswith("no fast lane: ")
    assert reason in lane.note
    assert lane.wrapper.predict("hello", {"max_new_tokens": 3})["generated_tokens"] <= 3


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> TextGenerationWrapper:
    return TextGenerationWrapper.from_source(str(tiny_models.llama_folder(tmp_path_factory.mktemp("llama"))))


@pytest.fixture(scope="module")
def fast(own: TextGenerationWrapper) -> Any:
    return fast_lane.build(own, "openvino", "fp32", ["hello world"]).wrapper


def test_nobody_is_told_that_a_model_was_converted(fast: Any) -> None:
    from openvino.tools.ovc import telemetry_utils

    assert telemetry_utils.tm.__name__ == "openvino.tools.ovc.telemetry_stub"


ASKED = st.tuples(
    st.sampled_from(["hello", "one two", "a lives in one, two. " * 3, ["hello", "world"], "😀 д"]),
    st.fixed_dictionaries(
        {"max_new_tokens": st.integers(1, 40), "do_sample": st.booleans(), "seed": st.integers(0, 9)},
        optional={
            "repetition_penalty": st.sampled_from([1.3, 2.0]),
            "no_repeat_ngram_size": st.integers(1, 3),
            "top_k": st.integers(0, 20),
            "top_p": st.sampled_from([0.5, 0.9]),
            "min_p": st.sampled_from([0.05]),
            "temperature": st.sampled_from([0.5, 2.0]),
            "stop": st.lists(st.sampled_from(["a", "e", "lo", "<end>"]), max_size=2),
        },
    ),
)


def in_turns(found: list[Iterator[Any]]) -> list[Any]:
    """What steps of several end with, when each is stepped in turn."""
    ends: dict[int, Any] = {}
    while len(ends) < len(found):
        for number, steps in enumerate(found):
            if number not in ends:
                try:
                    next(steps)
                except StopIteration as end:
                    ends[number] = end.value
    return [ends[number] for number in range(len(found))]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.lists(ASKED, min_size=2, max_size=6))
def test_requests_side_by_side_are_answered_as_alone(
    fast: TextGenerationWrapper, own: TextGenerationWrapper, asked: list[tuple[Any, dict[str, Any]]]
) -> None:
    together = in_turns([fast.steps(*one) for one in asked])
    assert together == [own.predict(*one) for one in asked]


def test_one_step_is_everybodys(fast: TextGenerationWrapper) -> None:
    longest = {"max_new_tokens": 30, "min_new_tokens": 30}
    first, second = (fast.steps(text, longest) for text in ("hello", "one two"))
    runs: list[int] = []
    engine: Any = fast.engine
    run = engine.graph.run

    def counted(rows: Any) -> Any:
        runs.append(len(rows))
        return run(rows)

    engine.graph.run = counted
    try:
        in_turns([first, second])
    finally:
        del engine.graph.run
    assert runs[2:30] == [2] * 28
    assert len(runs) <= 32


def test_who_hangs_up_leaves_room_and_the_others_alone(fast: TextGenerationWrapper) -> None:
    pages = fast.engine.scheduler.pages  # type: ignore[union-attr]
    longest = {"max_new_tokens": 60, "min_new_tokens": 60}
    expected = fast.predict("hello", longest)
    gone, stays = fast.steps("one two", longest), fast.steps("hello", longest)
    for _ in range(5):
        next(gone)
        next(stays)
    thread = threading.Thread(target=gone.close)
    thread.start()
    thread.join()
    assert in_turns([stays]) == [expected]
    fast.predict("a", {"max_new_tokens": 1})
    assert pages.reserved <= 1


def test_the_memory_of_all_pages_is_counted(fast: TextGenerationWrapper, own: TextGenerationWrapper) -> None:
    graph = fast.engine.graph  # type: ignore[attr-defined]
    assert graph.pages == 8 * 128 // PAGE_TOKENS
    # Two layers of two heads of keys and of values.
    [layer, _] = graph.layers
    assert fast.copied_bytes()[1] == graph.pages * PAGE_TOKENS * 2 * 4 * layer.shared * 2 * layer.key_size
    assert own.copied_bytes() == (0, 0)


def test_more_answers_than_find_room_side_by_side_are_refused(fast: TextGenerationWrapper) -> None:
    engine: Any = fast.engine
    engine.graph.pages, pages = 6, engine.graph.pages
    try:
        with pytest.raises(InvalidInput, match="8 answers of 40 tokens to a prompt of 2, side by side, are more"):
            fast.predict("hello", {"do_sample": True, "num_return_sequences": 8, "max_new_tokens": 40})
    finally:
        engine.graph.pages = pages


def test_the_same_model_gives_the_same_bytes(own: TextGenerationWrapper) -> None:
    lanes = [fast_lane.build(own, "openvino", "fp32", ["hello"]) for _ in range(2)]
    assert stream.dump(lanes[0].wrapper) == stream.dump(lanes[1].wrapper)


@pytest.mark.skipif(processor.native() < {"bf16", "int8"}, reason="a publisher compares what its processor computes")
@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_narrow_weights_are_stored_narrow(tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A model that has learnt nothing gives scores that nearly cancel out.
    for one in ("bf16", "fp16", "int8", "int8-weights"):
        monkeypatch.setitem(TOLERANCE, one, 0.1)
    own = made("gpt2", tmp_path)
    whole = fast_lane.build(own, "openvino", "fp32", ["hello"])
    narrow, *_ = fast_lane.build(own, "openvino", precision, ["hello"]).faster
    assert narrow.record.precision == precision
    sizes = [lane.wrapper.engine.graph.weights.nbytes for lane in (whole, narrow)]  # type: ignore[attr-defined]
    # int8 keeps positions, which are fewer than what is worth a scale, and the norms as they are.
    assert sizes[1] < sizes[0] * {"bf16": 0.55, "int8": 0.5}[precision]
    assert as_stored(narrow.wrapper).predict("hello", {"max_new_tokens": 5}) == narrow.wrapper.predict(
        "hello", {"max_new_tokens": 5}
    )
