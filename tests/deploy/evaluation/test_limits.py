"""Limits: what is met, what is missed, and what makes no sense."""

import pytest

from deploy.evaluation.kinds import Kind
from deploy.evaluation.kinds.classes import Classes
from deploy.evaluation.kinds.perplexity import Perplexity
from deploy.evaluation.kinds.quantities import Quantities
from deploy.evaluation.limits import check, check_errors, parsed


def is_met(option: str, text: str, now: float, before: float | None = None, kind: Kind | None = None) -> bool:
    [limit] = parsed(option, [text], kind or Classes())
    name = limit.metric.name
    return check(limit, {name: now}, None if before is None else {name: before}).met


def test_the_least_that_is_good_enough() -> None:
    assert is_met("min", "accuracy=0.95", 0.95)
    assert not is_met("min", "accuracy=0.95", 0.9499)


def test_the_most_of_what_is_better_when_it_is_less() -> None:
    assert is_met("max", "perplexity=12", 12.0, kind=Perplexity())
    assert not is_met("max", "perplexity=12", 12.1, kind=Perplexity())


def test_a_drop_is_what_is_worse_whichever_way_that_is() -> None:
    assert is_met("max-drop", "accuracy=0.01", 0.94, 0.95), "0.95 - 0.94 is a little more than 0.01"
    assert not is_met("max-drop", "accuracy=0.01", 0.9399, 0.95)
    assert is_met("max-drop", "accuracy=0", 0.96, 0.95)
    assert is_met("max-drop", "mae=0.5", 1.5, 1.0, Quantities())
    assert not is_met("max-drop", "mae=0.5", 1.6, 1.0, Quantities())
    assert is_met("max-drop", "mae=0", 0.1, 1.0, Quantities())


def test_rows_without_an_answer_have_a_limit_too() -> None:
    assert check_errors(0, 0).met
    assert not check_errors(1, 0).met
    assert check_errors(1, 1) == ("--max-errors 1: 1 without an answer", True)


@pytest.mark.parametrize(
    ("option", "text", "kind", "message"),
    [
        (
            "min",
            "acuracy=0.9",
            Classes(),
            r'there is no metric "acuracy" for these labels\. There are: accuracy, f1_mac',
        ),
        ("min", "accuracy", Classes(), r"--min accuracy: write NAME=NUMBER, as accuracy=0\.01"),
        ("min", "accuracy=high", Classes(), "--min accuracy=high: write NAME=NUMBER"),
        ("min", "accuracy=nan", Classes(), "--min accuracy=nan: write NAME=NUMBER"),
        ("max-drop", "accuracy=-1", Classes(), "--max-drop accuracy=-1: write NAME=NUMBER"),
        ("min", "mae=3", Quantities(), r"--min mae=3: a lower mae is better\. Say --max mae=3"),
        ("max", "accuracy=1", Classes(), r"--max accuracy=1: a higher accuracy is better\. Say --min accuracy=1"),
    ],
)
def test_what_no_data_could_meet_is_told(option: str, text: str, kind: Kind, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parsed(option, [text], kind)


def test_a_metric_that_the_data_does_not_define_is_told_with_the_reason() -> None:
    [limit] = parsed("min", ["r2=0.5"], Quantities())
    with pytest.raises(ValueError, match="there is no r2 here, because there is one number alone"):
        check(limit, {"mae": 1.0}, None)
    [limit] = parsed("min", ["top_5_accuracy=0.5"], Classes())
    with pytest.raises(ValueError, match="because there are not more classes than that"):
        check(limit, {"accuracy": 1.0}, None)
