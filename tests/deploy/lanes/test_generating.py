"""The graphs write what the model's own ``generate`` does, or are not taken."""

import copy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy import lanes
from deploy.fast_lane import build
from deploy.lanes import graphs
from deploy.publish import publish
from model_functions.artifact import stream
from model_functions.artifact.manifest import EngineRecord
from model_functions.artifact.signing_key import SigningKey
from model_functions.engines.texts import together
from model_functions.errors import InvalidInput
from model_functions.families.summarization import SummarizationWrapper
from model_functions.families.translation import TranslationWrapper
from model_functions.generation import GenerationWrapper
from model_functions.repository import Repository
from tests import tiny_models
from tests.cold_start import modules_of_warmup
from tests.tiny_models import TEXT

pytestmark = pytest.mark.slow

TEXTS = ["hello", TEXT, "one two three, the report", "anna lives"]
PARAMETERS: tuple[dict[str, Any], ...] = (
    {},
    {"num_beams": 1, "max_new_tokens": 20},
    {"num_beams": 4, "num_return_sequences": 3, "length_penalty": 2.0, "no_repeat_ngram_size": 2},
    {"num_beams": 2, "early_stopping": True, "min_new_tokens": 5, "max_new_tokens": 9, "repetition_penalty": 1.5},
)


@pytest.fixture(scope="module")
def lane(translator: TranslationWrapper) -> lanes.Lane:
    return build(translator, "onnxruntime", "fp32", [TEXT])


@pytest.fixture(scope="module")
def multilingual(tmp_path_factory: pytest.TempPathFactory) -> TranslationWrapper:
    folder = tiny_models.nllb_folder(tmp_path_factory.mktemp("nllb"))
    return TranslationWrapper.from_source(str(folder), defaults={"target_language": "fra_Latn"})


@pytest.fixture(scope="module")
def marian(tmp_path_factory: pytest.TempPathFactory) -> TranslationWrapper:
    """With its files gone: transformers' own tokenizer would look for them wherever it is loaded."""
    folder = tiny_models.old_marian_folder(tmp_path_factory.mktemp("marian") / "files")
    wrapper = TranslationWrapper.from_source(str(folder))
    shutil.rmtree(folder)
    return wrapper


def assert_same_answers(wrapper: GenerationWrapper, lane: lanes.Lane, texts: list[str]) -> None:
    for parameters in PARAMETERS:
        for data in (texts[0], texts):
            assert lane.wrapper.predict(data, parameters) == wrapper.predict(data, parameters), parameters


def test_graphs_write_what_torch_does(translator: TranslationWrapper, lane: lanes.Lane) -> None:
    assert lane.record == EngineRecord("onnxruntime", "fp32", lanes.TOLERANCE["fp32"])
    assert lane.note.startswith("onnxruntime in fp32: the same tokens as torch; first scores differ by ")
    assert_same_answers(translator, lane, TEXTS)


def test_graphs_count_relative_positions(summarizer: SummarizationWrapper) -> None:
    assert_same_answers(summarizer, build(summarizer, "onnxruntime", "fp32", [TEXT]), TEXTS)


def test_graphs_know_the_languages(multilingual: TranslationWrapper) -> None:
    lane = build(multilingual, "onnxruntime", "fp32", ["hello there"])
    fast: Any = lane.wrapper
    assert_same_answers(multilingual, lane, ["hello", "a b c", "somewhat longer"])
    for languages in ({"source_language": "rus_Cyrl"}, {"target_language": "eng_Latn"}):
        assert fast.predict("hello", languages) == multilingual.predict("hello", languages)
    for name in ("source_language", "target_language"):
        with pytest.raises(InvalidInput, match=f'"{name}": "xx_Xxxx" is no language of this model. It knows 3'):
            fast.predict("hello", {name: "xx_Xxxx"})


def test_graphs_stand_behind_sentencepiece(marian: TranslationWrapper) -> None:
    lane = build(marian, "onnxruntime", "fp32", ["a x lives in rome"])
    assert_same_answers(marian, lane, ["a x", "b lives in berlin", "z, and Ünknown"])


def test_a_cold_start_of_pieces_needs_neither_files_nor_transformers(
    marian: TranslationWrapper, repository: Repository, key: SigningKey, trust_file: Path
) -> None:
    published = publish(marian, name="tiny", examples=["a x lives in rome"], repository=repository, key=key)
    assert {"onnxruntime", "sentencepiece"} <= published.manifest.packages.keys()
    modules = modules_of_warmup("model_functions.families.translation:TranslationWrapper", repository, trust_file)
    assert {"onnxruntime", "sentencepiece"} <= modules
    assert not {"torch", "transformers", "onnx"} & modules


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    requests=st.lists(st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3), min_size=1, max_size=4),
    chosen=st.sampled_from(PARAMETERS),
)
def test_requests_are_answered_together_as_alone(
    lane: lanes.Lane, requests: list[list[str]], chosen: dict[str, Any]
) -> None:
    engine: Any = lane.wrapper.engine  # type: ignore[attr-defined]
    defaults = {name: parameter.default for name, parameter in lane.wrapper.parameters.items()}
    batch = [lane.wrapper.tokens(texts, defaults) for texts in requests]  # type: ignore[attr-defined]
    found = engine.decode(engine.generate(together(batch), defaults | chosen))
    assert found == [text for tokens in batch for text in engine.decode(engine.generate(tokens, defaults | chosen))]


def test_a_check_ends_the_writing(lane: lanes.Lane) -> None:
    steps: list[int] = []

    def check() -> None:
        steps.append(len(steps))
        if len(steps) == 3:
            raise TimeoutError("too late")

    engine: Any = lane.wrapper.engine  # type: ignore[attr-defined]
    defaults = {name: parameter.default for name, parameter in lane.wrapper.parameters.items()}
    tokens = lane.wrapper.tokens(TEXTS, defaults)  # type: ignore[attr-defined]
    with pytest.raises(TimeoutError, match="too late"):
        engine.generate(tokens, defaults | {"min_new_tokens": 8}, check)
    assert len(steps) == 3


def test_what_the_stepper_lays_out_anew_is_counted(lane: lanes.Lane) -> None:
    reader, stepper = lane.wrapper.engine.reader, lane.wrapper.engine.stepper  # type: ignore[attr-defined]
    packed = sum(stepper.weights[name].nbytes for name in stepper.packed)
    assert not reader.packed
    assert 0 < packed <= sum(array.nbytes for array in stepper.weights.values())
    assert lane.wrapper.copied_bytes() == (packed, packed)


def test_both_graphs_share_one_copy_of_the_weights(translator: TranslationWrapper, lane: lanes.Lane) -> None:
    own, fast = translator.engine, lane.wrapper.engine  # type: ignore[attr-defined]
    places = {
        array.__array_interface__["data"][0]: array.nbytes
        for graph in (fast.reader, fast.stepper)
        for array in graph.weights.values()
    }
    assert sum(places.values()) <= sum(weights.nbytes for weights in own.model.state_dict().values())  # type: ignore[attr-defined]


def test_the_stream_is_small_and_always_the_same(translator: TranslationWrapper, lane: lanes.Lane) -> None:
    own: Any = translator.engine
    again = copy.copy(translator)
    again.engine = copy.copy(own)
    again.engine.model = copy.deepcopy(own.model)  # type: ignore[attr-defined]
    one, other = (stream.dump(found.wrapper) for found in (lane, build(again, "onnxruntime", "fp32", [TEXT])))
    assert one == other
    assert len(one.stream) < 40 * 1024


def test_a_seed_draws_the_same_answer(lane: lanes.Lane) -> None:
    parameters = {"do_sample": True, "num_beams": 1, "num_return_sequences": 3, "temperature": 2.0, "seed": 1}
    answers = lane.wrapper.predict(TEXTS, parameters)
    assert answers == lane.wrapper.predict(TEXTS, parameters)
    assert answers != lane.wrapper.predict(TEXTS, parameters | {"seed": 2})
    assert [len(found) for found in answers] == [3] * len(TEXTS)


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        (
            {"penalty_alpha": 0.6},
            "its generation_config sets penalty_alpha, which the search of the fast lane does not",
        ),
        ({"suppress_tokens": [5]}, "its generation_config sets suppress_tokens, which the search"),
        ({"bad_words_ids": [[4, 5]]}, "its generation_config bans words of several tokens"),
        ({"eos_token_id": None}, "its generation_config names no token to start with, or none to end with"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_search_of_another_kind_is_refused(
    translator: TranslationWrapper, setting: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own: Any = translator.engine
    for name, value in setting.items():
        monkeypatch.setattr(own.model.generation_config, name, value)
    with pytest.raises(ValueError, match=rf"onnxruntime cannot serve this model: .*{reason}.* Publish with --engine"):
        build(translator, "onnxruntime", "auto", [TEXT])
    assert build(translator, "auto", "auto", [TEXT]).record == EngineRecord("torch")


def test_a_tokenizer_that_is_not_fast_is_refused(marian: TranslationWrapper, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = marian.engine.tokenizer  # type: ignore[attr-defined]
    monkeypatch.setattr(tokenizer, "__class__", type("OwnTokenizer", (type(tokenizer),), {}))
    with pytest.raises(ValueError, match=r"OwnTokenizer has no fast version \(tokenizer.json\)"):
        build(marian, "onnxruntime", "auto", ["a x lives in rome"])
    assert build(marian, "auto", "auto", ["a x lives in rome"]).record == EngineRecord("torch")


def test_weights_of_another_precision_are_refused(translator: TranslationWrapper) -> None:
    narrow = copy.deepcopy(translator)
    narrow.engine.model.bfloat16()  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"its weights are torch\.bfloat16, and only float32 is equal in both"):
        build(narrow, "onnxruntime", "auto", [TEXT])


def test_an_engine_without_such_graphs_is_refused(translator: TranslationWrapper) -> None:
    with pytest.raises(ValueError, match="There is no graph of translation models for openvino"):
        build(translator, "openvino", "auto", [TEXT])


@pytest.mark.parametrize(
    ("tolerance", "reason"), [(1e-4, "its first scores differ by "), (1e9, "it writes other tokens with num_beams=")]
)
def test_graphs_that_write_otherwise_are_not_taken(
    translator: TranslationWrapper, tolerance: float, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = graphs.onnxruntime_graph

    def garbled(model: Any, **options: Any) -> Any:
        graph = made(model, **options)
        return type(graph)(graph.model, {name: np.roll(array, 1, axis=0) for name, array in graph.weights.items()})

    monkeypatch.setattr(graphs, "onnxruntime_graph", garbled)
    monkeypatch.setitem(lanes.TOLERANCE, "fp32", tolerance)
    with pytest.raises(ValueError, match=f"fp32: {reason}"):
        build(translator, "onnxruntime", "fp32", [TEXT])
