import threading
import time
import weakref
from dataclasses import replace
from typing import Any, cast

import pytest

from model_functions.artifact.manifest import EngineRecord, MemoryNeed
from model_functions.errors import SelfTestFailed, SelfTestHangs
from model_functions.self_test import SelfTest
from model_functions.wrapper import ModelWrapper
from tests.shared.caches import manifest

MANIFEST = replace(
    manifest("wine", MemoryNeed(0, 0, 0)), examples=[[1.0]], engine=EngineRecord("openvino", tolerance=0.01)
)


class Model:
    """What stands for a wrapper: answers, raises, or does not end."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def predict(self, data: Any) -> Any:
        assert data == [1.0]
        if isinstance(self.answer, BaseException):
            raise self.answer
        if self.answer == "loops":
            while True:
                time.sleep(0.001)
        if isinstance(self.answer, threading.Event):
            self.answer.wait()
        return self.answer


def check(answer: Any, expected: dict[str, Any], patience_s: float = 20.0) -> None:
    SelfTest(cast(ModelWrapper, Model(answer)), MANIFEST).check(expected, patience_s)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("ja", {"prediction": "ja"}),
        ({"score": 0.5}, {"prediction": {"score": 0.509}}),
        (("a", 1), {"prediction": ["a", 1]}),
        ("anything", {"random": True}),
        ("anything", {}),
    ],
)
def test_the_recorded_answer_passes_within_the_manifests_tolerance(answer: Any, expected: dict[str, Any]) -> None:
    check(answer, expected)


@pytest.mark.parametrize("answer", ["nein", {"score": 0.52}, {"score": 0.5, "label": "x"}, None, []])
def test_another_answer_is_refused(answer: Any) -> None:
    with pytest.raises(SelfTestFailed) as caught:
        check(answer, {"prediction": {"score": 0.5}})
    assert caught.value.message == (
        f"Revision {MANIFEST.revision} of wine answers its sample otherwise than when published."
    )


@pytest.mark.parametrize("raised", [RuntimeError("secret"), SystemExit(1), MemoryError(), KeyboardInterrupt()])
def test_a_model_that_raises_is_refused_and_the_reason_is_the_cause(raised: BaseException) -> None:
    with pytest.raises(SelfTestFailed, match=rf"fails on its sample \({type(raised).__name__}\)") as caught:
        check(raised, {})
    assert caught.value.__cause__ is raised
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("answer", [float("nan"), object(), {1: float("inf")}])
def test_an_answer_that_is_no_json_is_refused(answer: Any) -> None:
    with pytest.raises(SelfTestFailed, match=r"fails on its sample \(ValueError\)"):
        check(answer, {"random": True})


def test_a_loop_in_python_is_ended_and_its_model_freed() -> None:
    model = Model("loops")
    gone = weakref.ref(model)
    test = SelfTest(cast(ModelWrapper, model), MANIFEST)
    del model
    with pytest.raises(SelfTestHangs, match=r"does not answer its sample within 0\.2 s") as caught:
        test.check({}, 0.2)
    assert caught.value.ended
    assert gone() is None
    assert "self-test" not in {thread.name for thread in threading.enumerate()}


def test_what_hangs_outside_of_python_is_given_up_and_counted_as_there() -> None:
    release = threading.Event()
    with pytest.raises(SelfTestHangs) as caught:
        check(release, {}, 0.2)
    assert not caught.value.ended
    assert caught.value.again().ended is False
    release.set()
