"""Texts that were written: figures by hand, several references, other alphabets, and nothing at all."""

from typing import Any

import pytest

from deploy.evaluation.kinds import NotOfThisKind
from deploy.evaluation.kinds.texts import Texts, rouge


def scores(expected: list[tuple[str, ...]], found: list[str]) -> dict[str, float]:
    return Texts().scores(expected, found)


def test_what_equals_its_reference_has_all_there_is() -> None:
    for text in ("the cat sat on the mat", "один два три четыре пять"):
        assert scores([(text,)], [f" {text}\n"]) == pytest.approx(
            {"exact_match": 1, "bleu": 100, "chrf": 100, "rouge1": 1, "rouge2": 1, "rougeL": 1}
        )


def test_bleu_is_that_of_a_calculation_by_hand() -> None:
    # 6 words of which 5 are right, 5 pairs with 3, 4 triples with 2, 3 quadruples with 1; equally long.
    told = scores([("the cat sat on a mat",)], ["the cat sat on the mat"])
    assert told["bleu"] == pytest.approx(100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** (1 / 4))
    assert told["exact_match"] == 0.0


def test_rouge_is_that_of_a_calculation_by_hand() -> None:
    # Of 4 and 3 words 2 are common, in this order, and no pair is.
    assert rouge([("a b c d",)], ["a x c"]) == pytest.approx({"rouge1": 4 / 7, "rouge2": 0, "rougeL": 4 / 7})
    # All words, in another order.
    assert rouge([("a b",)], ["b a"]) == pytest.approx({"rouge1": 1, "rouge2": 0, "rougeL": 1 / 2})


def test_rouge_hears_no_punctuation_and_reads_every_alphabet() -> None:
    assert rouge([("Привет, мир!",)], ["привет мир"])["rougeL"] == pytest.approx(1.0)
    assert rouge([("Привет, мир!",)], ["пока мир"])["rouge1"] == pytest.approx(1 / 2)


def test_any_of_several_references_will_do_and_rows_may_have_more_than_others() -> None:
    told = scores(
        [("hello world out there", "hi world out there"), ("bye now my friends",)], ["hi world out there"] * 2
    )
    assert told["exact_match"] == 1 / 2
    alone = scores([("hi world out there",), ("bye now my friends",)], ["hi world out there"] * 2)
    assert told["rougeL"] == pytest.approx(alone["rougeL"])


def test_silence_is_no_answer() -> None:
    assert set(scores([("a b",)], [""]).values()) == {0.0}
    assert scores([("",)], [""])["exact_match"] == 1.0
    assert Texts().merit(("a b",), "") == 0.0


@pytest.mark.parametrize(
    ("prediction", "found"),
    [
        pytest.param({"translation_text": "да"}, "да", id="translation"),
        pytest.param({"generated_text": "so", "finish_reason": "stop", "prompt_tokens": 3}, "so", id="generation"),
        pytest.param([{"summary_text": "best"}, {"summary_text": "next"}], "best", id="of several the first"),
        pytest.param("plain", "plain", id="plain"),
    ],
)
def test_the_text_is_found_in_an_answer(prediction: Any, found: str) -> None:
    assert Texts().found(prediction) == found


@pytest.mark.parametrize("prediction", [{"prediction": "a"}, [], 3, [{"label": "a", "score": 1.0}]])
def test_an_answer_without_a_text_is_refused(prediction: Any) -> None:
    with pytest.raises(NotOfThisKind):
        Texts().found(prediction)


@pytest.mark.parametrize("label", [3, [], ["a", 1], {"a": 1}])
def test_a_label_that_is_no_text_is_told(label: Any) -> None:
    with pytest.raises(ValueError, match=r"is no text\. Give a text, or a list of texts of which any would do"):
        Texts().expected(label, None)
