"""The families that write text: translation and summarization."""

from pathlib import Path
from typing import Any

import pytest

from model_functions.artifact import stream
from model_functions.errors import InvalidInput
from model_functions.families.summarization import SummarizationWrapper
from model_functions.families.translation import TranslationWrapper
from tests import tiny_models
from tests.tiny_models import TEXT


def reference(wrapper: Any, text: str, **options: Any) -> list[str]:
    """What transformers' own ``generate`` gives."""
    model, tokenizer = wrapper.engine.model, wrapper.engine.tokenizer
    sequences = model.generate(**tokenizer(text, return_tensors="pt"), **options)
    return [text.strip() for text in tokenizer.batch_decode(sequences, skip_special_tokens=True)]


@pytest.mark.parametrize("beams", [1, 2, 4])
def test_answers_are_those_of_generate(translator: TranslationWrapper, beams: int) -> None:
    answer = translator.predict(TEXT, {"num_beams": beams, "max_new_tokens": 12})
    options = {"early_stopping": False, "length_penalty": 1.0} if beams > 1 else {}
    assert [answer["translation_text"]] == reference(
        translator, TEXT, num_beams=beams, max_new_tokens=12, do_sample=False, **options
    )


def test_summaries_are_prefixed_as_t5_was_trained(summarizer: SummarizationWrapper) -> None:
    answer = summarizer.predict(TEXT)
    expected = reference(summarizer, "summarize: " + TEXT, max_new_tokens=8, num_beams=1, do_sample=False)
    assert [answer["summary_text"]] == expected
    assert summarizer.predict(TEXT, {"prefix": ""})["summary_text"] in reference(
        summarizer, TEXT, max_new_tokens=8, num_beams=1, do_sample=False
    )


def test_several_sequences_come_as_a_list_best_first(summarizer: SummarizationWrapper) -> None:
    several = summarizer.predict(TEXT, {"num_beams": 4, "num_return_sequences": 3})
    best = summarizer.predict(TEXT, {"num_beams": 4})
    assert len(several) == 3
    assert several[0] == best


def test_a_list_of_texts_with_several_sequences_keeps_its_order(summarizer: SummarizationWrapper) -> None:
    parameters = {"num_beams": 2, "num_return_sequences": 2}
    together = summarizer.predict([TEXT, "hello world"], parameters)
    assert together == [summarizer.predict(TEXT, parameters), summarizer.predict("hello world", parameters)]


def test_a_seed_repeats_a_draw_and_disturbs_no_other(summarizer: SummarizationWrapper) -> None:
    import torch

    draw = {"do_sample": True, "temperature": 3.0, "seed": 7}
    state = torch.random.get_rng_state()
    assert summarizer.predict(TEXT, draw) == summarizer.predict(TEXT, draw)
    assert torch.equal(state, torch.random.get_rng_state())
    others = {str(summarizer.predict(TEXT, draw | {"seed": seed})) for seed in range(8)}
    assert len(others) > 1


def test_draws_can_be_several_without_beams(summarizer: SummarizationWrapper) -> None:
    assert len(summarizer.predict(TEXT, {"do_sample": True, "num_return_sequences": 3, "seed": 1})) == 3


def test_the_models_own_configuration_is_the_default(translator: TranslationWrapper) -> None:
    assert translator.parameters["num_beams"].default == 3


def test_a_publisher_presets_and_narrows(generator_folder: Path) -> None:
    wrapper = SummarizationWrapper.from_source(
        str(generator_folder),
        defaults={"num_beams": 2, "prefix": "tl;dr: "},
        bounds={"num_beams": (1, 2), "max_new_tokens": (1, 20)},
    )
    defaults = {name: parameter.default for name, parameter in wrapper.parameters.items()}
    assert (defaults["num_beams"], defaults["prefix"], defaults["max_new_tokens"]) == (2, "tl;dr: ", 20)
    with pytest.raises(InvalidInput, match="Give an integer from 1 to 2"):
        wrapper.predict(TEXT, {"num_beams": 3})


def test_the_answer_is_bounded_by_the_models_positions(translator: TranslationWrapper) -> None:
    assert translator.parameters["max_new_tokens"].maximum == 31
    assert len(translator.predict(TEXT, {"max_new_tokens": 31})["translation_text"]) > 0
    with pytest.raises(InvalidInput, match="Give an integer from 1 to 31"):
        translator.predict(TEXT, {"max_new_tokens": 32})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"num_return_sequences": 3, "num_beams": 2},
            '"num_return_sequences" is 3 and "num_beams" 2. Give at least as many beams, or set "do_sample" to true.',
        ),
        (
            {"min_new_tokens": 9, "max_new_tokens": 8},
            '"min_new_tokens" is 9 and "max_new_tokens" 8. Give at most as many.',
        ),
        (
            {"max_new_tokens": 512, "num_beams": 8},
            "10 texts × 8 beams or sequences × 512 new tokens make 40960; the limit is 32768. "
            "Send fewer texts or ask for less.",
        ),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(
    summarizer: SummarizationWrapper, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        summarizer.predict([TEXT] * 10, parameters)
    assert caught.value.message == message


def test_a_model_of_two_languages_takes_no_others(translator: TranslationWrapper) -> None:
    with pytest.raises(InvalidInput, match='"target_language" is no parameter of this model'):
        translator.predict(TEXT, {"target_language": "fr"})


@pytest.fixture(scope="module")
def multilingual(tmp_path_factory: pytest.TempPathFactory) -> TranslationWrapper:
    folder = tiny_models.nllb_folder(tmp_path_factory.mktemp("nllb"))
    return TranslationWrapper.from_source(str(folder), defaults={"target_language": "fra_Latn", "max_new_tokens": 8})


def test_a_model_of_many_languages_is_told_which(multilingual: TranslationWrapper) -> None:
    engine: Any = multilingual.engine
    answers = set()
    for source in ("eng_Latn", "rus_Cyrl"):
        for target in ("fra_Latn", "rus_Cyrl"):
            languages = {"source_language": source, "target_language": target}
            answer = multilingual.predict("hello", languages | {"num_beams": 2})["translation_text"]
            engine.tokenizer.src_lang = source
            first = engine.tokenizer.convert_tokens_to_ids(target)
            expected = reference(multilingual, "hello", forced_bos_token_id=first, max_new_tokens=8, num_beams=2)
            assert [answer] == expected
            answers.add(answer)
    assert len(answers) > 1, "the languages make a difference"


def test_a_language_holds_for_its_own_request_only(multilingual: TranslationWrapper) -> None:
    before = multilingual.predict("hello")
    multilingual.predict("hello", {"source_language": "rus_Cyrl", "target_language": "eng_Latn"})
    assert multilingual.predict("hello") == before


@pytest.mark.parametrize("name", ["source_language", "target_language"])
def test_an_unknown_language_is_refused_with_some_that_are_known(multilingual: TranslationWrapper, name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        multilingual.predict("hello", {name: "xx_Xxxx"})
    assert caught.value.message == (
        f'"{name}": "xx_Xxxx" is no language of this model. It knows 3, as eng_Latn, fra_Latn, rus_Cyrl.'
    )


def test_a_tokenizer_that_is_not_fast_serves_too(tmp_path: Path) -> None:
    wrapper = TranslationWrapper.from_source(str(tiny_models.old_marian_folder(tmp_path / "marian")))
    loaded, _ = stream.load_and_list(stream.dump(wrapper))
    answer = wrapper.predict(["a x lives in rome", "b"], {"max_new_tokens": 6, "num_beams": 2})
    assert loaded.predict(["a x lives in rome", "b"], {"max_new_tokens": 6, "num_beams": 2}) == answer
    assert [answer[0]["translation_text"]] == reference(wrapper, "a x lives in rome", max_new_tokens=6, num_beams=2)


def test_a_text_of_too_many_tokens_is_refused_and_not_cut(translator: TranslationWrapper) -> None:
    with pytest.raises(InvalidInput, match="The text has 41 tokens; the model reads 32"):
        translator.predict("hello " * 40)
