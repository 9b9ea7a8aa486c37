"""Every family takes and gives tensors, and what it answers in them is what it predicts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import helper
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier

from model_functions.errors import InvalidInput
from model_functions.families.feature_extraction import FeatureExtractionWrapper
from model_functions.families.image_classification import GREY_SQUARE, ImageClassificationWrapper
from model_functions.families.onnx import OnnxWrapper
from model_functions.families.pytorch import PytorchWrapper
from model_functions.families.tabular import Column, TabularWrapper
from model_functions.families.text_classification import TextClassificationWrapper
from model_functions.families.text_generation import TextGenerationWrapper
from model_functions.families.token_classification import TokenClassificationWrapper
from model_functions.families.translation import TranslationWrapper
from model_functions.inputs import TextInput
from model_functions.parameters import Parameter
from model_functions.wrapper import ModelWrapper
from tests import tiny_graphs, tiny_models
from tests.tiny_graphs import tensor
from tests.tiny_models import TEXT

LINE = "anna lives in berlin"
NLI_LABELS = ("contradiction", "neutral", "entailment")


def answered(wrapper: ModelWrapper, parameters: dict[str, Any] | None = None, **tensors: Any) -> dict[str, Any]:
    """The outputs for tensors; each is declared, and of the declared type and rank."""
    arrays = {name: np.asarray(value) for name, value in tensors.items()}
    prepared = wrapper.prepare(wrapper.data_of(arrays), parameters)
    found = wrapper.finish_tensors(prepared, wrapper.forward(prepared.features, prepared.parameters))
    declared = {spec.name: spec for spec in wrapper.tensor_outputs()}
    assert found.keys() <= declared.keys()
    for name, array in found.items():
        spec = declared[name]
        assert array.dtype.name == {"string": "object", "bfloat16": "float32"}.get(spec.dtype, spec.dtype)
        if spec.shape is not None and parameters is None:
            assert len(spec.shape) == array.ndim
            assert all(
                not isinstance(wanted, int) or wanted == size
                for wanted, size in zip(spec.shape, array.shape, strict=True)
            )
        if array.dtype == object:
            assert all(isinstance(value, bytes) for value in array.reshape(-1))
    return found


def refusal(wrapper: ModelWrapper, parameters: dict[str, Any] | None = None, **tensors: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        answered(wrapper, parameters, **tensors)
    return caught.value.message


def byte_strings(*values: Any) -> Any:
    return np.array(values, dtype=object)


def identity(path: Path, **settings: Any) -> OnnxWrapper:
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    graph = tiny_graphs.save(path / "identity.onnx", nodes, [tensor("x", ["n", "m"])], [tensor("y", ["n", "m"])])
    return OnnxWrapper.from_source(str(graph), batched=True, **settings)


def test_whole_arrays_are_read_as_their_items_are(tmp_path: Path) -> None:
    model = OnnxWrapper.from_source(str(tiny_graphs.linear(tmp_path / "m.onnx", width=4)))
    rows = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    [spec] = model.tensor_inputs()
    assert (spec.name, spec.dtype, spec.shape) == ("features", "float32", ("n", 4))
    found = answered(model, features=rows)
    np.testing.assert_array_equal(found["scores"], np.array(model.predict(rows.tolist()), np.float32))
    assert model.predict(model.data_of({"features": rows})) == model.predict(rows.tolist())


def test_a_large_array_is_copied_by_the_engine_alone(tmp_path: Path) -> None:
    model = identity(tmp_path)
    rows = np.random.default_rng(0).normal(size=(1, 2_000_000)).astype(np.float32)
    prepared = model.prepare(model.data_of({"x": rows}))
    [row] = prepared.features.rows
    assert row.features["x"] is rows or np.shares_memory(row.features["x"], rows)
    outputs = model.forward(prepared.features, {})
    [block] = outputs.outputs
    assert np.shares_memory(model.finish_tensors(prepared, outputs)["y"], block["y"])


def test_a_batch_that_is_too_large_is_read_in_parts(tmp_path: Path) -> None:
    model = identity(tmp_path)
    rows = np.arange(300 * 10_000, dtype=np.float32).reshape(300, 10_000)
    prepared = model.prepare(model.data_of({"x": rows}))
    assert [row.size for row in prepared.features.rows] == [1_000_000] * 3
    np.testing.assert_array_equal(answered(model, x=rows)["y"], rows)


def test_a_fixed_batch_is_filled_up_and_split(tmp_path: Path) -> None:
    path = tiny_graphs.lookup(tmp_path / "m.onnx", batch=4)
    model = OnnxWrapper.from_source(str(path), batched=True)
    numbers = np.array([[index % 4, 0] for index in range(6)])
    assert answered(model, numbers=numbers)["rows"][:, 0, 0].tolist() == [0, 3, 6, 9, 0, 3]


def test_floats_that_are_not_finite_are_read(tmp_path: Path) -> None:
    found = answered(identity(tmp_path), x=np.array([[np.nan, np.inf]], np.float32))
    np.testing.assert_array_equal(found["y"], [[np.nan, np.inf]])


def test_several_inputs_of_which_one_is_for_all(tmp_path: Path) -> None:
    model = OnnxWrapper.from_source(str(tiny_graphs.weighted_sums(tmp_path / "m.onnx")))
    values = np.array([[1, 2], [3, 4]], np.float32)
    assert answered(model, values=values, weights=values)["scaled"].tolist() == [10, 50]
    scale = np.array([1], np.float32)
    assert answered(model, values=values, weights=values, scale=scale)["scaled"].tolist() == [5, 25]
    assert answered(model, {"outputs": "scaled"}, values=values, weights=values).keys() == {"scaled"}


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, 'inputs lacks "values", "weights". The inputs are: "values", "weights", "scale".'),
        ({"values": (1, 2), "other": (1, 2)}, 'inputs lacks "weights". The inputs are: "values", "weights", "scale".'),
        (
            {"values": (1, 2), "weights": (1, 2), "other": (1, 2)},
            'inputs has no input "other". The inputs are: "values", "weights", "scale".',
        ),
        ({"values": (1, 2), "weights": (2,)}, "inputs.weights has the shape (2,). Send (items, length)."),
        (
            {"values": (1, 2), "weights": (1, 3)},
            'inputs.weights has 3 values along "length", and inputs.values has 2. They must be equally many.',
        ),
        (
            {"values": (1, 2), "weights": (2, 2)},
            "inputs.weights has 2 items, and inputs.values has 1. They must be equally many.",
        ),
        (
            {"values": (0, 2), "weights": (0, 2)},
            "inputs.values has the shape (0, 2), and so no values. Send at least one.",
        ),
        ({"values": (1, 2), "weights": (1, 2), "scale": (2,)}, "inputs.scale has the shape (2,). Send (1,)."),
        ({"values": (1001, 1), "weights": (1001, 1)}, "inputs.values has 1001 items; the limit is 1000. Send fewer."),
    ],
)
def test_wrong_shapes_and_names_are_refused(tmp_path: Path, tensors: dict[str, Any], message: str) -> None:
    model = OnnxWrapper.from_source(str(tiny_graphs.weighted_sums(tmp_path / "m.onnx")))
    arrays: dict[str, Any] = {name: np.ones(shape, np.float32) for name, shape in tensors.items()}
    assert refusal(model, **arrays) == message


def test_another_type_and_too_many_bytes_are_refused(tmp_path: Path) -> None:
    model = identity(tmp_path)
    assert refusal(model, x=np.ones((1, 2))) == "inputs.x is float64. Send float32."
    assert refusal(model, x=byte_strings(b"a")) == "inputs.x is string. Send float32."
    model.tensors.max_values = 1
    assert refusal(model, x=np.ones((1, 3), np.float32)) == (
        "inputs has 12 bytes; the limit is 8. Send fewer per request."
    )


def test_strings_are_bytes_on_both_sides(tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    strings = [tensor("x", ["n"], tiny_graphs.STRING)], [tensor("y", ["n"], tiny_graphs.STRING)]
    model = OnnxWrapper.from_source(str(tiny_graphs.save(tmp_path / "m.onnx", nodes, *strings)))
    assert answered(model, x=byte_strings("é".encode(), b"b"))["y"].tolist() == ["é".encode(), b"b"]
    assert refusal(model, x=byte_strings(b"\xff")) == "inputs.x is not UTF-8: byte 0 cannot be read. Send UTF-8."


def test_maps_are_numbers_in_the_order_of_their_keys(tmp_path: Path) -> None:
    model = OnnxWrapper.from_source(str(tiny_graphs.zip_map(tmp_path / "m.onnx")), example=[1, 2])
    found = answered(model, row=np.array([[3, 0], [-3, 0]], np.float32))
    assert found["label"].tolist() == [9, 7]
    np.testing.assert_allclose(found["probabilities"], [[0.0025, 0.9975], [0.9975, 0.0025]], atol=1e-3)


def test_steps_come_before_and_after_whole_arrays(tmp_path: Path) -> None:
    path = tiny_graphs.linear(tmp_path / "m.onnx", width=4)
    steps: dict[str, Any] = {"preprocess": {"features": [{"rescale": 0.5}, {"reshape": {"from": [2, 2], "to": [4]}}]}}
    images = np.random.default_rng(0).normal(size=(3, 2, 2)).astype(np.float32)
    ranking = OnnxWrapper.from_source(
        str(path), postprocess={"scores": ["softmax", {"labels": ["cat", "dog"]}]}, **steps
    )
    assert [spec.shape for spec in ranking.tensor_inputs()] == [("n", 2, 2)]
    scores = answered(ranking, features=images)["scores"]
    for row, ranked in zip(scores, ranking.predict(images.tolist()), strict=True):
        by_name = {one["label"]: one["score"] for one in ranked}
        assert row.tolist() == pytest.approx([by_name["cat"], by_name["dog"]])
    assert ranking.tensor_labels("scores") == ["cat", "dog"]
    naming = OnnxWrapper.from_source(str(path), postprocess={"scores": ["argmax", {"labels": ["cat", "dog"]}]}, **steps)
    names = answered(naming, features=images)["scores"].tolist()
    assert [name.decode() for name in names] == naming.predict(images.tolist())


def test_a_module_may_write_to_what_it_is_sent() -> None:
    class Doubling(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mul_(2)

    model = PytorchWrapper.from_module(Doubling(), [1.0, 2.0])
    sent = np.frombuffer(np.array([[1, 2]], np.float32).tobytes(), np.float32).reshape(1, 2)
    assert answered(model, x=sent)["output"].tolist() == [[2, 4]]
    assert sent.tolist() == [[1, 2]]


def test_texts_to_entities(tagger: TokenClassificationWrapper) -> None:
    texts = [TEXT, LINE]
    found = answered(tagger, text=byte_strings(*(text.encode() for text in texts)))["entities"]
    assert [json.loads(one) for one in found] == tagger.predict(texts)
    [alone] = answered(tagger, text=byte_strings([TEXT.encode()]))["entities"]
    assert json.loads(alone) == tagger.predict(TEXT)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, 'The input "text" is missing. The inputs: "text".'),
        ({"texts": byte_strings(b"a")}, 'There is no input "texts". The inputs: "text".'),
        ({"text": np.ones(2, np.float32)}, "inputs.text is float32. Send strings."),
        (
            {"text": np.array([["a", "b"]], object)},
            "inputs.text has the shape (1, 2). Send a string for each item: (1,).",
        ),
        ({"text": byte_strings()}, "inputs.text is empty. Send at least one string."),
        ({"text": byte_strings(None)}, "inputs.text[0] is None. Send a string."),
        (
            {"text": byte_strings(b"a", b"\xff\xfe")},
            "inputs.text[1] is not UTF-8: byte 0 cannot be read. Send UTF-8.",
        ),
        ({"text": byte_strings(b" ")}, "data is an empty text. Send at least one word."),
    ],
)
def test_wrong_texts_are_refused(tagger: TokenClassificationWrapper, tensors: dict[str, Any], message: str) -> None:
    assert refusal(tagger, **tensors) == message


def test_texts_and_pairs_to_scores_in_the_models_order(tmp_path: Path) -> None:
    model = TextClassificationWrapper.from_source(str(tiny_models.text_classifier_folder(tmp_path, NLI_LABELS)))
    assert [spec.name for spec in model.tensor_inputs()] == ["text", "text_pair"]
    texts, pairs = byte_strings(LINE.encode(), b"hello"), byte_strings(b"anna", b"world")
    found = answered(model, {"top_k": 1}, text=texts, text_pair=pairs)
    expected = model.predict([{"text": LINE, "text_pair": "anna"}, {"text": "hello", "text_pair": "world"}])
    for label, scores, ranked in zip(found["label"], found["scores"], expected, strict=True):
        by_label = {one["label"]: one["score"] for one in ranked}
        assert scores.tolist() == pytest.approx([by_label[name] for name in NLI_LABELS])
        assert label.decode() == ranked[0]["label"]
    assert model.tensor_labels("scores") == list(NLI_LABELS)
    zero_shot = {"candidate_labels": ["one", "two"]}
    judged = answered(model, zero_shot, text=texts)
    one, _ = model.predict([LINE, "hello"], zero_shot)
    assert dict(zip(one["labels"], one["scores"], strict=True)) == pytest.approx(
        dict(zip(["one", "two"], judged["scores"][0].tolist(), strict=True))
    )
    assert refusal(model, text=texts, text_pair=pairs[:1]) == (
        "inputs.text_pair has 1 texts, and inputs.text has 2. Send equally many."
    )


def test_texts_to_vectors(tmp_path: Path) -> None:
    model = FeatureExtractionWrapper.from_source(str(tiny_models.sentence_folder(tmp_path)))
    found = answered(model, text=byte_strings(LINE.encode(), b"hello"))["embedding"]
    np.testing.assert_allclose(found, model.predict([LINE, "hello"]), rtol=1e-6)


def test_texts_to_texts(translator: TranslationWrapper, writer: TextGenerationWrapper) -> None:
    text = byte_strings(b"hello world")
    found = answered(translator, text=text)["translation_text"]
    assert found[0].decode() == translator.predict("hello world")["translation_text"]
    two = {"num_beams": 2, "num_return_sequences": 2}
    several = answered(translator, two, text=text)["translation_text"]
    expected = [[one["translation_text"].encode() for one in translator.predict("hello world", two)]]
    assert several.tolist() == expected
    written = writer.predict(["hello", "anna"])
    found = answered(writer, text=byte_strings(b"hello", b"anna"))["generated_text"]
    assert [one.decode() for one in found] == [one["generated_text"] for one in written]


def test_images_as_files_or_base64_to_scores(eye: ImageClassificationWrapper) -> None:
    files = [tiny_models.picture(), tiny_models.picture(kind="GIF"), GREY_SQUARE.encode()]
    found = answered(eye, image=byte_strings(*files))
    expected = eye.predict([files[0], files[1], GREY_SQUARE], {"top_k": len(eye.engine.labels)})
    for label, scores, ranked in zip(found["label"], found["scores"], expected, strict=True):
        by_label = {one["label"]: one["score"] for one in ranked}
        assert scores.tolist() == pytest.approx([by_label[name] for name in eye.engine.labels])
        assert label.decode() == ranked[0]["label"]
    assert refusal(eye, image=byte_strings(b"no image")).startswith('data[0] is no base64: "no image".')


ROWS = [[0.5, -1.0, 2.0], [1.5, 1.0, -2.0]]


def test_columns_or_a_matrix_to_predictions(classifier: TabularWrapper) -> None:
    expected = classifier.predict(ROWS)
    columns = np.array(ROWS).T
    by_column = answered(classifier, **dict(zip(tiny_models.COLUMNS, columns, strict=True)))
    as_frame = answered(classifier, **dict(zip(tiny_models.COLUMNS, columns[:, :, np.newaxis], strict=True)))
    as_matrix = answered(classifier, predict=np.array(ROWS, np.float32))
    labels = classifier.tensor_labels("probabilities")
    for found in (by_column, as_frame, as_matrix):
        predicted = [value.decode() if isinstance(value, bytes) else value for value in found["prediction"].tolist()]
        assert predicted == [one["prediction"] for one in expected]
        for row, one in zip(found["probabilities"], expected, strict=True):
            assert dict(zip(labels, row.tolist(), strict=True)) == pytest.approx(one["probabilities"])
    assert answered(classifier, {"method": "predict"}, rows=np.array(ROWS)).keys() == {"prediction"}


def test_what_is_missing_is_nan_where_it_may_be() -> None:
    estimator = DecisionTreeClassifier(random_state=0).fit([[1.0, 5], [2, 6], [np.nan, 7]], [True, False, True])
    model = TabularWrapper.from_estimator(estimator, [1.0, 5.0])
    [spec] = model.tensor_inputs()
    assert (spec.name, spec.shape) == ("rows", (None, 2))
    found = answered(model, rows=np.array([[np.nan, 7]]))
    assert found["prediction"].tolist() == [model.predict([None, 7])["prediction"]] == [True]
    model.input = type(model.input)([Column("a", "number"), Column("b", "number")])  # type: ignore[call-arg]
    assert refusal(model, rows=np.array([[np.nan, 7]])) == 'The column "a" is NaN. Send a finite number.'


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (
            {"length": np.ones(2), "width": np.ones(2)},
            'The input "weight" is missing. The inputs: "length", "width", "weight".',
        ),
        (
            {"length": np.ones(2), "width": np.ones(2), "weight": np.ones(1)},
            "inputs.weight has 1 rows, and inputs.length has 2. Send equally many.",
        ),
        ({"rows": np.ones((2, 4))}, "inputs.rows has the shape (2, 4). Send (items, 3), a value for each column."),
        ({"rows": np.ones(3)}, "inputs.rows has the shape (3,). Send (items, 3), a value for each column."),
        ({"rows": byte_strings(b"1")}, "inputs.rows is object. Send numbers."),
        (
            {"length": np.ones((1, 2)), "width": np.ones(1), "weight": np.ones(1)},
            "inputs.length has the shape (1, 2). Send a value for each row: (1,).",
        ),
        (
            {"length": byte_strings(b"1"), "width": np.ones(1), "weight": np.ones(1)},
            'The column "length" is a string. Send a number.',
        ),
        (
            {"length": np.array([np.inf]), "width": np.ones(1), "weight": np.ones(1)},
            'The column "length" is Infinity. Send a finite number.',
        ),
    ],
)
def test_wrong_columns_are_refused(classifier: TabularWrapper, tensors: dict[str, Any], message: str) -> None:
    assert refusal(classifier, **tensors) == message


def test_no_tensors_or_something_else_are_refused(classifier: TabularWrapper) -> None:
    for wrong in ({}, {"rows": [[1, 2, 3]]}):
        with pytest.raises(InvalidInput, match='The inputs: "length", "width", "weight"'):
            classifier.data_of(wrong)  # type: ignore[arg-type]


def test_several_outputs_have_a_table_each() -> None:
    rows, targets = np.arange(8.0).reshape(4, 2), np.array([["a", "x"], ["b", "y"], ["c", "x"], ["a", "y"]])
    model = TabularWrapper.from_estimator(DecisionTreeClassifier(random_state=0).fit(rows, targets), [0.0, 1.0])
    found = answered(model, rows=rows)
    assert found["prediction"].tolist() == np.char.encode(targets).tolist()
    assert {name: table.shape for name, table in found.items()} == {
        "prediction": (4, 2),
        "probabilities_0": (4, 3),
        "probabilities_1": (4, 2),
    }
    assert model.tensor_labels("probabilities_1") == ["x", "y"]
    numbers = TabularWrapper.from_estimator(LinearRegression().fit(rows, rows * 2), [0.0, 1.0])
    np.testing.assert_allclose(answered(numbers, rows=rows)["prediction"], rows * 2, atol=1e-9)


class Shouting(ModelWrapper):
    family, task = "shouting", "text-to-text"
    declared = (Parameter("times", "integer", "How many marks.", 1, 1, 5),)

    def __init__(self) -> None:
        super().__init__(TextInput())

    def preprocess(self, items: list[Any], parameters: dict[str, Any]) -> Any:
        return items

    def forward(self, features: Any, parameters: dict[str, Any]) -> Any:
        return [text.upper() + "!" * parameters["times"] for text in features]

    def postprocess(self, outputs: Any, parameters: dict[str, Any]) -> list[Any]:
        return [{"shout": output} for output in outputs]


def test_a_family_that_says_nothing_of_tensors_has_strings() -> None:
    found = answered(Shouting(), {"times": 2}, data=byte_strings(b"a", b"b"))["prediction"]
    assert [json.loads(one) for one in found] == [{"shout": "A!!"}, {"shout": "B!!"}]
    [alone] = answered(Shouting(), data=byte_strings(b"a"))["prediction"]
    assert json.loads(alone) == {"shout": "A!"}
