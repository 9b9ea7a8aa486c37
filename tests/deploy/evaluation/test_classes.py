"""Classes: figures that were computed by hand, and every form in which a model names a class."""

from typing import Any

import pytest

from deploy.evaluation.kinds import NotOfThisKind
from deploy.evaluation.kinds.class_sets import ClassSets
from deploy.evaluation.kinds.classes import Classes


@pytest.mark.parametrize(
    ("prediction", "found"),
    [
        pytest.param([{"label": "a", "score": 0.9}, {"label": "b", "score": 0.1}], ("a", "b"), id="ranking"),
        pytest.param([], (), id="nothing above the threshold"),
        pytest.param({"sequence": "x", "labels": ["b", "a"], "scores": [0.7, 0.3]}, ("b", "a"), id="zero-shot"),
        pytest.param({"prediction": "b"}, ("b",), id="tabular"),
        pytest.param({"prediction": 1, "probabilities": {"0": 0.2, "2": 0.3, "1": 0.5}}, ("1", "2", "0"), id="scored"),
        pytest.param(
            {"prediction": "a", "probabilities": {"a": 0.4, "b": 0.6}}, ("a", "b"), id="its own word before its scores"
        ),
        pytest.param([0.1, 0.7, 0.2], ("1", "2", "0"), id="scores in the classes' order"),
        pytest.param([0.5, 0.5], ("0", "1"), id="of equals the first"),
        pytest.param({"output_label": 3, "output_probability": {"3": 1.0}}, ("3",), id="graph of an estimator"),
        pytest.param(True, ("true",), id="yes or no"),
        pytest.param("Да", ("Да",), id="another alphabet"),
    ],
)
def test_an_answer_names_its_classes_best_first(prediction: Any, found: tuple[str, ...]) -> None:
    assert Classes().found(prediction) == found


@pytest.mark.parametrize(
    "prediction",
    [{"translation_text": "a", "other": "b"}, [[0.1, 0.9]], None, [{"word": "Anna", "start": 0}]],
    ids=["texts", "matrix", "null", "entities"],
)
def test_an_answer_without_a_class_is_refused(prediction: Any) -> None:
    with pytest.raises(NotOfThisKind):
        Classes().found(prediction)


def test_one_class_has_one_spelling() -> None:
    kind = Classes()
    assert [kind.expected(label, None) for label in (1, 1.0, "1", True, "true")] == ["1", "1", "1", "true", "true"]
    assert kind.found({"prediction": 1.0}) == ("1",)
    with pytest.raises(ValueError, match=r'is 1\.5, which is no class. Call the column "target"'):
        kind.expected(1.5, None)
    with pytest.raises(ValueError, match=r"is no class\. Give a text or a whole number"):
        kind.expected(["a"], None)


def test_accuracy_and_f1_are_those_of_a_calculation_by_hand() -> None:
    # a: 2 rows, 1 found, none beside: P 1, R 1/2, F1 2/3. b: 1 row, found, one beside: P 1/2, R 1, F1 2/3.
    # c: 1 row, found: F1 1.
    scores = Classes().scores(["a", "a", "b", "c"], [("a",), ("b",), ("b",), ("c",)])
    assert scores == pytest.approx(
        {
            "accuracy": 3 / 4,
            "f1_macro": (2 / 3 + 2 / 3 + 1) / 3,
            "f1_weighted": (2 * 2 / 3 + 2 / 3 + 1) / 4,
            "precision_macro": (1 + 1 / 2 + 1) / 3,
            "recall_macro": (1 / 2 + 1 + 1) / 3,
        }
    )


def test_one_class_alone_and_a_row_without_an_answer() -> None:
    assert Classes().scores(["a", "a"], [("a",), ("a",)])["f1_macro"] == 1.0
    scores = Classes().scores(["a"], [()])
    assert (scores["accuracy"], scores["f1_macro"]) == (0.0, 0.0)


def test_top_k_counts_only_where_it_says_something() -> None:
    letters = "abcdef"
    found = [tuple(letters[start:] + letters[:start]) for start in (0, 1, 5)]
    scores = Classes().scores(["a", "d", "e"], found)
    # The right one is first, third, last.
    assert (scores["accuracy"], scores["top_3_accuracy"], scores["top_5_accuracy"]) == (1 / 3, 2 / 3, 2 / 3)
    assert "top_3_accuracy" not in Classes().scores(["a"], [("a", "b", "c")]), "all classes are among the first three"
    assert "top_5_accuracy" not in Classes().scores(["a", "f"], [tuple("abcd"), tuple("fbce")]), "four are told"


def test_a_label_that_no_answer_has_is_told() -> None:
    expected = ["pos", "pos", "NEGATIVE"]
    found: list[tuple[str, ...]] = [("POSITIVE", "NEGATIVE")] * 3
    [note] = Classes().notes(expected, found)
    assert note == 'No answer ever has "pos" (2 rows). The answers have: "NEGATIVE", "POSITIVE".'
    assert Classes().notes(["NEGATIVE"], found[:1]) == []


def test_the_table_of_classes_has_those_that_are_right_or_found() -> None:
    rows = Classes().classes(["a", "b"], [("a",), ("c",)])
    assert [(row["class"], row["precision"], row["recall"], row["rows"]) for row in rows] == [
        ("a", 1.0, 1.0, 1),
        ("b", 0.0, 0.0, 1),
        ("c", 0.0, 0.0, 0),
    ]


def test_several_classes_a_row() -> None:
    kind = ClassSets()
    found = [
        kind.found([{"label": "a", "score": 0.9}, {"label": "b", "score": 0.5}, {"label": "c", "score": 0.49}]),
        kind.found([{"label": "a", "score": 0.2}]),
        kind.found([{"label": "c", "score": 0.8}]),
    ]
    expected = [kind.expected(label, None) for label in (["a", "c"], [], ["c"])]
    # a: P 1, R 1. b: P 0. c: P 1, R 1/2, F1 2/3. Together: 2 of 3 found are right, 2 of 3 right are found.
    assert kind.scores(expected, found) == pytest.approx(
        {"exact_match": 2 / 3, "f1_micro": 2 / 3, "f1_macro": (1 + 0 + 2 / 3) / 3, "f1_weighted": (1 + 2 * 2 / 3) / 3}
    )
    assert kind.merit(frozenset(), frozenset()) == 1.0
    assert kind.scores([frozenset()], [frozenset()])["f1_macro"] == 1.0
    assert [row["class"] for row in kind.classes(expected, found)] == ["a", "b", "c"]
    with pytest.raises(ValueError, match=r'is no list of classes. Give \["a", "b"\]'):
        kind.expected("a", None)
