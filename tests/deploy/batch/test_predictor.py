"""Many rows through one model: each gets its own answer, or its own error."""

import json
import threading
from collections.abc import Generator
from typing import Any

import pytest

from deploy import fast_lane
from deploy.batch import predictor
from deploy.batch.pinned import PinnedModel
from deploy.batch.predictor import Outcome, Predictor
from model_functions.errors import InvalidInput, StoreUnavailable
from model_functions.families.text_generation import TextGenerationWrapper
from model_functions.inputs import TextInput
from model_functions.loaded import LoadedModel
from model_functions.rows import Batch, Row, Rows, RowWrapper
from model_functions.wrapper import ModelWrapper


class Shouting(RowWrapper):
    """Notes what it reads at once; raises for some texts what they ask for."""

    family, task, batch = "text_classification", "shouting", Batch(1000, 4, bucketed=False)

    def __init__(self) -> None:
        super().__init__(TextInput(max_characters=20))
        self.read: list[list[str]] = []

    def preprocess(self, items: list[str], parameters: dict[str, Any]) -> Rows:
        if items == ["bad preprocess"]:
            raise RuntimeError("cannot be prepared")
        return Rows([Row(item, len(item)) for item in items])

    def forward_rows(self, rows: list[Any], parameters: dict[str, Any]) -> list[Any]:
        self.read.append(rows)
        for text in rows:
            if text in RAISED:
                raise RAISED[text]
        return [text.upper() for text in rows][: -1 if "short" in rows else None]

    def postprocess(self, outputs: Rows, parameters: dict[str, Any]) -> list[Any]:
        if "BAD POSTPROCESS" in outputs.outputs:
            raise KeyError("label")
        return list(outputs.outputs)


class Alone(ModelWrapper):
    """Reads each request by itself."""

    family, task = "text_classification", "alone"

    def __init__(self) -> None:
        super().__init__(TextInput())

    def preprocess(self, items: list[str], parameters: dict[str, Any]) -> list[str]:
        return items

    def forward(self, features: list[str], parameters: dict[str, Any]) -> list[str]:
        if "boom" in features:
            raise RuntimeError("boom")
        return features

    def postprocess(self, outputs: list[str], parameters: dict[str, Any]) -> list[Any]:
        return outputs


class Writing(Alone):
    """Takes whatever is begun a letter further at once; notes how many answers each step took further."""

    writes_together = True

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[dict[str, str]] = []
        self.steps_of: list[int] = []

    def steps(self, data: Any, parameters: Any = None) -> Generator[None, None, Any]:
        own = {"left": data, "written": ""}
        self.begun.append(own)
        try:
            while own["left"]:
                if own["left"] in RAISED:
                    raise RAISED[own["left"]]
                if not any(len(other["written"]) > len(own["written"]) for other in self.begun):
                    self.steps_of.append(len(self.begun))
                own["written"] += own["left"][0].upper()
                own["left"] = own["left"][1:]
                yield None
            return own["written"]
        finally:
            self.begun.remove(own)


RAISED: dict[str, BaseException] = {
    "boom": RuntimeError("no memory of it"),
    "exit": SystemExit(3),
    "refused": InvalidInput("data", "data is of no known kind. Send another."),
    "away": StoreUnavailable("The store is away. Try again."),
    "memory": MemoryError(),
}


def asked(*texts: Any, wrapper: ModelWrapper | None = None) -> list[Outcome]:
    model: Any = LoadedModel(wrapper or Shouting(), None)  # type: ignore[arg-type]
    return Predictor(model).predict(texts)


def told(outcomes: list[Outcome]) -> list[Any]:
    return [outcome.prediction if outcome.error is None else outcome.error for outcome in outcomes]


def test_answers_come_in_order_and_rows_are_read_together() -> None:
    wrapper = Shouting()
    assert told(asked(*"abcdefghij", wrapper=wrapper)) == list("ABCDEFGHIJ")
    assert [len(rows) for rows in wrapper.read] == [4, 4, 2]


def test_nothing_is_asked_of_no_rows() -> None:
    assert asked() == []


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("boom", ("model_error", "The model raised RuntimeError: no memory of it")),
        ("exit", ("model_error", "The model raised RuntimeError: SystemExit: 3")),
        ("refused", ("invalid_input", "data is of no known kind. Send another.")),
        ("short", ("model_error", "The model raised ValueError: 0 outputs for 1 rows")),
        ("bad preprocess", ("model_error", "The model raised RuntimeError: cannot be prepared")),
        ("bad postprocess", ("model_error", "The model raised KeyError: 'label'")),
        ("x" * 21, ("invalid_input", "data has 21 characters; the limit is 20. Send it in parts.")),
        (7, ("invalid_input", "data is a number. Send a string, or a list of strings.")),
        (None, ("invalid_input", "data is null. Send a string, or a list of strings.")),
    ],
    ids=["raises", "exits", "refuses", "too few outputs", "preprocess", "postprocess", "too long", "number", "null"],
)
def test_a_row_that_fails_fails_alone(text: Any, error: tuple[str, str]) -> None:
    found = told(asked("a", "b", text, "c"))
    assert found == ["A", "B", error, "C"]


@pytest.mark.parametrize("text", ["away", "memory"])
def test_what_is_no_rows_fault_is_raised(text: str) -> None:
    with pytest.raises(predictor.NOT_THE_ROWS):
        asked("a", text)


def test_a_wrapper_that_reads_each_alone_is_asked_so() -> None:
    assert told(asked("a", "boom", "b", wrapper=Alone())) == [
        "a",
        ("model_error", "The model raised RuntimeError: boom"),
        "b",
    ]


def test_rows_are_prepared_in_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor, "WINDOW", 3)
    wrapper = Shouting()
    assert told(asked(*"abcdefg", wrapper=wrapper)) == list("ABCDEFG")
    assert [len(rows) for rows in wrapper.read] == [3, 3, 1]


def test_threads_run_the_model_one_at_a_time() -> None:
    wrapper, inside, most = Shouting(), [0], [0]
    plain = wrapper.forward_rows

    def counted(rows: list[Any], parameters: dict[str, Any]) -> list[Any]:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        threading.Event().wait(0.01)
        inside[0] -= 1
        return plain(rows, parameters)

    wrapper.forward_rows = counted  # type: ignore[method-assign]
    model: Any = Predictor(LoadedModel(wrapper, None))  # type: ignore[arg-type]
    found: list[list[Any]] = []
    threads = [threading.Thread(target=lambda: found.append(told(model.predict(list("abc"))))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [list("ABC")] * 6
    assert most == [1]


def test_answers_that_are_written_are_written_side_by_side_and_the_next_begins_when_one_ends() -> None:
    wrapper = Writing()
    texts = ["abc", "a", *["abcd"] * 20, ""]
    assert told(asked(*texts, wrapper=wrapper)) == [text.upper() for text in texts]
    assert max(wrapper.steps_of) == predictor.WRITTEN
    assert wrapper.begun == []


def test_an_answer_that_fails_half_way_fails_alone() -> None:
    assert told(asked("abc", "xxboom", "abc", wrapper=Writing())) == [
        "ABC",
        ("model_error", "The model raised RuntimeError: no memory of it"),
        "ABC",
    ]


def test_what_is_no_rows_fault_ends_all_that_is_being_written() -> None:
    wrapper = Writing()
    with pytest.raises(StoreUnavailable):
        asked("abcdefgh", "xaway", "abcdefgh", wrapper=wrapper)
    assert wrapper.begun == []


@pytest.mark.slow
def test_a_writers_graph_is_asked_for_many_rows_at_once(
    writer: TextGenerationWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast: Any = fast_lane.build(writer, "openvino", "fp32", ["hello world"]).wrapper
    texts = ["hello world", "hello", "world hello world", 7, "hello hello"] * 4
    expected = [fast.predict(text) if isinstance(text, str) else None for text in texts]
    sizes: list[int] = []
    run = fast.engine.graph.run

    def counted(rows: list[Any]) -> Any:
        sizes.append(len(rows))
        return run(rows)

    monkeypatch.setattr(fast.engine.graph, "run", counted)
    outcomes = asked(*texts, wrapper=fast)
    assert [outcome.prediction for outcome in outcomes] == expected
    assert [outcome.error is None for outcome in outcomes] == [isinstance(text, str) for text in texts]
    assert max(sizes) >= 12
    assert sum(sizes) / len(sizes) > 4


def test_a_published_model_answers_as_its_wrapper_does(pinned: PinnedModel) -> None:
    model = pinned.load()
    row = model.manifest.examples[0]
    outcomes = Predictor(model).predict([row, {**row, next(iter(row)): "x"}, row], {"method": "predict"})
    expected = model.wrapper.predict(row, {"method": "predict"})
    assert [outcome.prediction for outcome in outcomes] == [expected, None, expected]
    assert outcomes[1].error is not None
    assert outcomes[1].error[1].endswith("is a string. Send a number.")
    json.dumps(expected)


@pytest.mark.parametrize("name", ["tiny_tagger", "tiny_summarizer", "tiny_translator", "tiny_eye", "tiny_writer"])
def test_every_kind_of_model_answers_many_rows_as_one(name: str, models: dict[str, tuple[ModelWrapper, Any]]) -> None:
    wrapper, example = models[name]
    (one,) = asked(example, wrapper=wrapper)
    assert one.error is None
    assert one.prediction == wrapper.predict(example)
    assert told(asked(example, None, example, wrapper=wrapper))[::2] == [one.prediction] * 2
