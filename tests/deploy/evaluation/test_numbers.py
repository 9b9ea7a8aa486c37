"""Numbers, rankings, similarities and perplexity: figures by hand, and what has none."""

import math
from typing import Any

import pytest

from deploy.evaluation.kinds import NotOfThisKind
from deploy.evaluation.kinds.perplexity import Perplexity, Surprise
from deploy.evaluation.kinds.quantities import Quantities
from deploy.evaluation.kinds.rankings import Rankings
from deploy.evaluation.kinds.similarities import Similarities


def numbers(*values: float) -> list[dict[str, float]]:
    return [Quantities().expected(value, None) for value in values]


def test_errors_of_numbers() -> None:
    # Errors 1, -1, 4 around a mean of 2 from which the targets are 1, 0 and 1 away.
    assert Quantities().scores(numbers(1, 2, 3), numbers(2, 1, 7)) == pytest.approx(
        {"mae": 2, "rmse": math.sqrt(6), "max_error": 4, "r2": 1 - 18 / 2}
    )


@pytest.mark.parametrize("targets", [(5,), (5, 5)], ids=["one row", "all equal"])
def test_what_has_no_variance_has_no_r2(targets: tuple[float, ...]) -> None:
    assert "r2" not in Quantities().scores(numbers(*targets), numbers(*targets))


@pytest.mark.parametrize(
    ("prediction", "target"),
    [
        pytest.param({"prediction": 2.5}, 2.5, id="tabular"),
        pytest.param({"prediction": [1.0, 2.0]}, [1, 2], id="several"),
        pytest.param({"prediction": {"a": 1.0, "b": 2.0}}, {"b": 2, "a": 1}, id="named"),
        pytest.param([[1.0], [2.0]], [[1], [2]], id="tensor"),
        pytest.param({"x": [1.0], "y": 2.0}, {"x": [1], "y": 2}, id="outputs"),
        pytest.param(7, 7.0, id="plain"),
    ],
)
def test_numbers_are_found_in_an_answer(prediction: Any, target: Any) -> None:
    kind = Quantities()
    assert kind.merit(kind.expected(target, None), kind.found(prediction)) == 0.0


def test_other_numbers_than_were_asked_for_are_told() -> None:
    kind = Quantities()
    with pytest.raises(ValueError, match='"target" has a single number, and the model answers with 2 numbers'):
        kind.merit(kind.expected(1, None), kind.found([1.0, 2.0]))
    with pytest.raises(NotOfThisKind):
        kind.found({"prediction": "a"})
    with pytest.raises(NotOfThisKind):
        kind.found({"prediction": 1, "probabilities": {"0": 0.2, "1": 0.8}})


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("high", 'is no number. Give one, or a list of them; a class is called "label"'),
        (True, "is no number"),
        ([], "is no number"),
        (math.inf, "is not finite"),
    ],
)
def test_a_target_that_is_no_number_is_told(target: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Quantities().expected(target, None)


def test_rounding_is_no_change() -> None:
    kind = Quantities()
    assert kind.same({"": 1.0}, {"": 1.00001})
    assert not kind.same({"": 1.0}, {"": 1.001})
    assert not kind.same({"": 1.0}, {".0": 1.0})


def test_rankings() -> None:
    kind = Rankings()
    data = {"query": "a", "documents": ["x", "y", "z"]}
    expected = [kind.expected(label, data) for label in (2, [0, 1], [1])]
    found = [kind.found([{"index": place, "score": 0.5} for place in places]) for places in ((2, 0), (2, 1, 0), (0, 2))]
    # First, second, never.
    assert kind.scores(expected, found) == pytest.approx({"accuracy_at_1": 1 / 3, "mrr": (1 + 1 / 2 + 0) / 3})
    with pytest.raises(ValueError, match="names document 3, and there are 3; the first is 0"):
        kind.expected([0, 3], data)
    with pytest.raises(ValueError, match="is no place among the documents"):
        kind.expected("x", data)


def test_similarities() -> None:
    kind = Similarities()
    expected = [kind.expected([0, 5], None), kind.expected([2], {"source_sentence": "a", "sentences": ["b"]})]
    # Ranks 1, 3, 2, and those of the model 1, 3, 2.
    scores = kind.scores(expected, [(0.1, 0.9), (0.2,)])
    assert scores["spearman"] == pytest.approx(1.0)
    assert 0.9 < scores["pearson"] < 1.0
    assert kind.scores([(1.0,)], [(0.5,)]) == {}
    assert kind.scores([(1.0, 1.0)], [(0.5, 0.6)]) == {}, "all are labelled alike"
    with pytest.raises(ValueError, match="has 2 numbers, and there are 1 sentences"):
        kind.expected([1, 2], {"sentences": ["b"]})


def test_perplexity_is_by_token() -> None:
    # 3 tokens of probability 1/4, 1 of 1/2: the geometric mean of 4, 4, 4 and 2.
    found = [Surprise(3 * math.log(1 / 4), 3), Surprise(math.log(1 / 2), 1)]
    assert Perplexity().scores([None, None], found) == pytest.approx({"perplexity": (4 * 4 * 4 * 2) ** (1 / 4)})
    assert Perplexity().merit(None, found[0]) < Perplexity().merit(None, found[1])
    with pytest.raises(ValueError, match="is no text, and without a label nothing else can be measured"):
        Perplexity().expected(None, [{"role": "user", "content": "hi"}])
