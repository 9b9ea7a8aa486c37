import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from deploy.publish import publish
from model_functions.artifact import stream
from model_functions.artifact.signing_key import SigningKey
from model_functions.errors import InvalidInput
from model_functions.families.onnx import OnnxWrapper
from model_functions.http.function import FamilyFunction
from model_functions.repository import Repository
from model_functions.settings import Settings
from tests import tiny_graphs
from tests.shared.http.requests import body, get, post
from tests.tiny_graphs import tensor

ROW = [0.5, -1.0, 2.0]


def wrapper(path: Path, example: Any = None, **settings: Any) -> OnnxWrapper:
    return OnnxWrapper.from_source(str(path), example=example, **settings)


def test_predictions_are_onnxruntimes_own(tmp_path: Path) -> None:
    path = tiny_graphs.linear(tmp_path / "m.onnx", width=300)
    session = onnxruntime.InferenceSession(path)
    rows = np.random.default_rng(1).normal(size=(5, 300)).astype(np.float32)
    [expected] = session.run(None, {"features": rows})
    model = wrapper(path)
    assert list(model.engine.graph.weights) == ["w"]  # type: ignore[attr-defined]
    np.testing.assert_allclose(model.predict(rows.tolist()), expected, rtol=1e-5)
    assert model.predict(rows[2].tolist()) == model.predict({"features": rows[2].tolist()})


def test_weights_that_are_laid_out_anew_are_copied_and_counted(tmp_path: Path) -> None:
    path = tiny_graphs.convolution(tmp_path / "m.onnx")
    pixels = np.random.default_rng(1).normal(size=(2, 1, 8, 8)).astype(np.float32)
    [expected] = onnxruntime.InferenceSession(path).run(None, {"pixels": pixels})
    model = wrapper(path)
    np.testing.assert_allclose(model.predict(pixels.tolist()), expected, rtol=1e-4, atol=1e-6)
    assert model.engine.graph.copied == {"w"}  # type: ignore[attr-defined]
    assert model.copied_bytes() == (32 * 9 * 4, 32 * 9 * 4)
    loaded, _ = stream.load_and_list(stream.dump(model))
    assert loaded.predict(pixels.tolist()) == model.predict(pixels.tolist())


def test_several_inputs_and_outputs_go_by_name(tmp_path: Path) -> None:
    model = wrapper(tiny_graphs.weighted_sums(tmp_path / "m.onnx"))
    item = {"values": [1, 2], "weights": [3, 4]}
    # The scale is a single one for all: its first dimension counts no items.
    assert model.tensors.batched
    assert model.predict(item) == {"products": [3, 8], "scaled": 22}
    scaled = [item | {"scale": [scale]} for scale in (1, 5, 1)]
    assert [answer["scaled"] for answer in model.predict([*scaled, item])] == [11, 55, 11, 22]


def test_items_of_other_lengths_are_answered_in_order(tmp_path: Path) -> None:
    model = wrapper(tiny_graphs.weighted_sums(tmp_path / "m.onnx"))
    lengths = [2, 3, 2, 1, 3]
    items = [{"values": [1] * length, "weights": [index] * length} for index, length in enumerate(lengths)]
    answers = model.predict(items, {"outputs": "scaled"})
    assert answers == [{"scaled": 2 * index * length} for index, length in enumerate(lengths)]


def test_a_map_for_each_row_is_an_object(tmp_path: Path) -> None:
    model = wrapper(tiny_graphs.zip_map(tmp_path / "m.onnx"), [1, 2])
    answers = model.predict([[3, 0], [-3, 0]])
    assert [answer["label"] for answer in answers] == [9, 7]
    assert [set(answer["probabilities"]) for answer in answers] == [{"7", "9"}] * 2
    assert answers[0]["probabilities"]["9"] == pytest.approx(0.9975, abs=1e-3)


def test_strings_and_a_first_dimension_that_counts_values(tmp_path: Path) -> None:
    path = tiny_graphs.words(tmp_path / "m.onnx")
    assert wrapper(path).predict(["one", "three"]) == [1, -1]
    assert wrapper(path, ["one"], batched=False).predict(["two", "one"]) == [2, 1]
    assert wrapper(path, batched=False).predict([["two"], ["one", "one"]]) == [[2], [1, 1]]


def test_an_example_shows_that_the_first_dimension_counts_no_items(tmp_path: Path) -> None:
    model = wrapper(tiny_graphs.total(tmp_path / "m.onnx"), [1, 2, 3])
    assert not model.tensors.batched
    assert model.predict([1, 2, 3]) == [6]
    assert model.predict([[1, 2, 3], [4]]) == [[6], [4]]


def test_a_graph_that_takes_one_item_whatever_it_says_is_given_one(tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["row", "sizes"], ["square"])]
    values = [tensor("row", ["n", 4])], [tensor("square", ["n", 2, 2])], {"sizes": np.array([1, 2, 2])}
    model = wrapper(tiny_graphs.save(tmp_path / "m.onnx", nodes, *values), [1, 2, 3, 4])
    assert model.predict([[1, 2, 3, 4], [5, 6, 7, 8]]) == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]


@pytest.mark.parametrize("batch", [1, 4, "n"])
def test_a_fixed_batch_is_filled_up(tmp_path: Path, batch: Any) -> None:
    path = tiny_graphs.lookup(tmp_path / "m.onnx", batch=batch)
    model = wrapper(path, batched=True if batch == 4 else None)
    assert model.predict([0, 1]) == [[0, 1, 2], [3, 4, 5]]
    items = [[index % 4, 0] for index in range(6)]
    assert [answer[0][0] for answer in model.predict(items)] == [0, 3, 6, 9, 0, 3]


def test_what_an_operator_refuses_is_the_callers_error(tmp_path: Path) -> None:
    model = wrapper(tiny_graphs.lookup(tmp_path / "m.onnx", batch="n"))
    with pytest.raises(
        InvalidInput, match="The model cannot take this data: indices element out of data bounds, idx=9"
    ):
        model.predict([9, 0])


LABELS = {"scores": ["softmax", {"labels": ["cat", "dog"]}]}


def test_steps_beside_the_model_ship_with_it(tmp_path: Path) -> None:
    path = tiny_graphs.linear(tmp_path / "m.onnx", width=4)
    plain = wrapper(path)
    steps = [{"rescale": 0.5}, {"normalize": {"mean": [1, 2], "std": 2}}, {"transpose": [1, 0]}]
    steps += [{"reshape": {"from": [2, 2], "to": [4]}}]
    (tmp_path / "m.json").write_text(json.dumps({"preprocess": {"features": steps}, "postprocess": LABELS}))
    # An example is one item, before the steps; one that does not fit is told of when it is predicted.
    assert wrapper(path, [5]).tensors.batched
    model = wrapper(path, [[1, 2], [3, 4]])
    image = np.array([[1.0, 2.0], [3.0, 4.0]])
    [cat, dog] = plain.predict(((image * 0.5 - [1, 2]) / 2).T.reshape(-1).tolist())
    share = np.exp(dog) / (np.exp(cat) + np.exp(dog))
    ranked = model.predict(image.tolist())
    assert {one["label"]: one["score"] for one in ranked} == pytest.approx({"dog": share, "cat": 1 - share}, rel=1e-4)
    assert ranked[0]["score"] >= ranked[1]["score"]
    assert model.predict([image.tolist()] * 2, {"top_k": 1}) == [ranked[:1]] * 2


@pytest.mark.parametrize(
    ("steps", "answer"), [(["argmax"], 1), (["argmax", {"labels": ["cat", "dog"]}], "dog"), (["sigmoid"], [0.0, 1.0])]
)
def test_steps_after_the_model(tmp_path: Path, steps: list[Any], answer: Any) -> None:
    path = tiny_graphs.linear(tmp_path / "m.onnx", width=2)
    model = wrapper(path, postprocess={"scores": steps})
    plain = wrapper(path)
    # The row that gives -90 and 90.
    weights = np.array([plain.predict([1, 0]), plain.predict([0, 1])])
    row = np.linalg.solve(weights.T, [-90, 90]).tolist()
    found = model.predict(row)
    assert found == (pytest.approx(answer, abs=1e-6) if steps == ["sigmoid"] else answer)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preprocess": {"x": []}}, 'preprocess names "x", and the model has: features'),
        (
            {"preprocess": {"features": ["scale"]}},
            r"preprocess.features\[0\] is no step. There are: rescale, normalize",
        ),
        ({"preprocess": {"features": [{"rescale": "2"}]}}, "'2' is nothing that rescale can use. Write"),
        ({"preprocess": {"features": [{"normalize": {"mean": 0, "std": 0}}]}}, "no std of 0"),
        ({"preprocess": {"features": [{"reshape": {"from": [2], "to": [2]}}]}}, r"it gives the shape \(2,\), and the"),
        ({"preprocess": {"features": [{"transpose": [0, 1]}]}}, "it gives 2 dimensions"),
        ({"postprocess": {"scores": [{"labels": ["a"]}, "softmax"]}}, "labels is the last step"),
        ({"postprocess": {"scores": [{"labels": [1]}]}}, "is nothing that labels can use"),
        ({"other": 1}, "m.json has other. It may have: batched, preprocess, postprocess"),
    ],
)
def test_steps_that_cannot_be_are_refused(tmp_path: Path, settings: Any, message: str) -> None:
    path = tiny_graphs.linear(tmp_path / "m.onnx")
    (tmp_path / "m.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=message):
        wrapper(path)


def test_external_data_comes_along(tmp_path: Path) -> None:
    options = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
    path = tiny_graphs.linear(tmp_path / "m.onnx", width=300, **options)
    assert (tmp_path / "weights.bin").stat().st_size == 2400
    inside = wrapper(tiny_graphs.linear(tmp_path / "inside.onnx", width=300))
    assert wrapper(path).predict([1.0] * 300) == inside.predict([1.0] * 300)
    (tmp_path / "weights.bin").write_bytes(b"short")
    with pytest.raises(ValueError, match=r"m\.onnx is no whole ONNX model"):
        wrapper(path)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ValueError, match=r"m\.onnx is no whole ONNX model"):
        wrapper(path)


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname", "link.bin"])
def test_external_data_elsewhere_is_refused(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(2400))
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    options = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
    path = tiny_graphs.linear(folder / "m.onnx", width=300, **options)
    model = onnx.load(path, load_external_data=False)
    model.graph.initializer[0].external_data[0].value = location
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=r"m\.onnx is no whole ONNX model"):
        wrapper(path)


def test_what_is_no_onnx_file_is_refused(tmp_path: Path) -> None:
    path = tiny_graphs.linear(tmp_path / "m.onnx", width=300)
    whole = path.read_bytes()
    for data in (b"", b"import os", whole[: len(whole) // 2], whole[:-20]):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"m\.onnx is no whole ONNX model"):
            wrapper(path)
    with pytest.raises(ValueError, match=r"m\.pt is no \.onnx file"):
        OnnxWrapper.from_source("m.pt")
    with pytest.raises(FileNotFoundError, match="There is no file"):
        wrapper(tmp_path / "missing.onnx")


def test_what_onnxruntime_cannot_run_is_refused(tmp_path: Path) -> None:
    own = [helper.make_node("Twist", ["x"], ["y"], domain="my.ops")]
    domains = (("", 17), ("my.ops", 1))
    path = tiny_graphs.save(tmp_path / "m.onnx", own, [tensor("x", [1])], [tensor("y", [1])], opsets=domains)
    with pytest.raises(ValueError, match=r"needs the operators my\.ops\.Twist, which ONNX Runtime does not have"):
        wrapper(path)
    path = tiny_graphs.linear(tmp_path / "new.onnx", opsets=(("", 99),))
    with pytest.raises(ValueError, match=r"cannot run new\.onnx: ONNX Runtime only \*guarantees\* support"):
        wrapper(path)
    complexes = onnx.TensorProto.COMPLEX64
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    values = [tensor("x", [1], complexes)], [tensor("y", [1], complexes)]
    with pytest.raises(ValueError, match='"x" is of the type complex64, which JSON cannot spell'):
        wrapper(tiny_graphs.save(tmp_path / "c.onnx", nodes, *values))


@pytest.mark.parametrize(("width", "version"), [(300, 9), (3, 3)])
def test_weights_among_the_inputs_are_none(tmp_path: Path, width: int, version: int) -> None:
    path = tiny_graphs.linear(tmp_path / "m.onnx", width=width)
    model = onnx.load(path)
    model.ir_version = version
    model.graph.input.append(tensor("w", [width, 2]))
    path.write_bytes(model.SerializeToString())
    assert [spec.name for spec in wrapper(path).engine.inputs] == ["features"]


def test_the_same_file_gives_the_same_revision(tmp_path: Path, repository: Repository, key: SigningKey) -> None:
    path = tiny_graphs.convolution(tmp_path / "m.onnx")
    example = np.zeros((1, 8, 8)).tolist()
    revisions = {
        publish(wrapper(path, example), name="m", examples=[example], repository=repository, key=key).manifest.revision
        for _ in range(2)
    }
    assert len(revisions) == 1


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory, key: SigningKey, trust: Any, trust_file: Path) -> FamilyFunction:
    """Serves ``linear``, with labels, and ``sums``, with several inputs."""
    from model_functions.store.folder import FolderStore

    folder = tmp_path_factory.mktemp("onnx")
    repository = Repository(FolderStore(folder / "store"), trust)
    linear = wrapper(tiny_graphs.linear(folder / "linear.onnx"), ROW, postprocess=LABELS, max_items=4)
    sums = wrapper(tiny_graphs.weighted_sums(folder / "sums.onnx"))
    publish(linear, name="linear", examples=[ROW], repository=repository, key=key)
    publish(sums, name="sums", examples=[{"values": [1], "weights": [1]}], repository=repository, key=key)
    rows = wrapper(tiny_graphs.lookup(folder / "rows.onnx", batch="n"), [0, 1])
    publish(rows, name="rows", examples=[[0, 1]], repository=repository, key=key)
    settings = {"MODEL_STORE": str(folder / "store"), "MODEL_TRUST": str(trust_file)}
    return FamilyFunction(OnnxWrapper, Settings.from_environment(settings))


def test_predicts_over_http(function: FamilyFunction) -> None:
    response = function.handle(post({"model_name": "linear", "data": [ROW, ROW], "parameters": {"top_k": 1}}))
    assert response.status == 200
    assert [len(labels) for labels in body(response)["body"]] == [1, 1]
    answer = body(function.handle(get("/predict?model_name=rows&data=1,2")))["body"]
    assert answer == [[3, 4, 5], [6, 7, 8]]


SHAPE = '"features" has the shape (3,)'
SUMS = '"values", "weights", "scale"'


@pytest.mark.parametrize(
    ("model", "data", "parameters", "message"),
    [
        ("linear", [], {}, "data is an empty list. Send at least one item."),
        ("linear", "1,2,3", {}, f"data is a string; {SHAPE}. Send a list 1 deep."),
        ("linear", [1, 2], {}, f"data has 2 values; {SHAPE}. Send 3 here."),
        ("linear", [ROW, [1, 2]], {}, f"data[1] has 2 values; {SHAPE}. Send 3 here."),
        ("linear", [ROW] * 5, {}, "data has 5 items; the limit is 4. Send fewer per request."),
        (
            "linear",
            [1, None, 3],
            {},
            'data[1] is null; "features" is float32. Send a number (float32, up to 3.40282e+38).',
        ),
        (
            "linear",
            [ROW, [1, 2, "3"]],
            {},
            'data[1][2] is "3"; "features" is float32. Send a number (float32, up to 3.40282e+38).',
        ),
        (
            "linear",
            [1, 2, 1e300],
            {},
            'data[2] is 1e+300; "features" is float32. Send a number (float32, up to 3.40282e+38).',
        ),
        ("linear", {"pixels": ROW}, {}, 'data lacks "features". The inputs are: "features".'),
        ("linear", ROW, {"top_k": 0}, '"top_k": 0 is out of bounds. Give an integer.'),
        ("linear", ROW, {"outputs": "scores"}, '"outputs" is no parameter of this model. Its parameters: top_k.'),
        ("sums", [1, 2], {}, f"data[0] is a number. Send an object with the inputs {SUMS}."),
        ("sums", {"values": [1]}, {}, f'data lacks "weights". The inputs are: {SUMS}.'),
        (
            "sums",
            {"values": [1], "weights": [1, 2]},
            {},
            'data.weights has 2 values along "length", and data.values has 1. They must be equally many.',
        ),
        (
            "sums",
            {"values": [1], "weights": [1]},
            {"outputs": "mean"},
            '"outputs": the model has no output "mean". Its outputs: products, scaled.',
        ),
        (
            "rows",
            [0, 1.5],
            {},
            'data[1] is 1.5; "numbers" is int64. Send an integer from -9223372036854775808 to 9223372036854775807.',
        ),
        (
            "rows",
            [0, 2**63],
            {},
            'data[1] is 9223372036854775808; "numbers" is int64. '
            "Send an integer from -9223372036854775808 to 9223372036854775807.",
        ),
        (
            "rows",
            [0, 4],
            {},
            "The model cannot take this data: indices element out of data bounds, idx=4 must be within the inclusive "
            "range [-4,3]",
        ),
    ],
)
def test_wrong_input_is_refused_in_words(
    function: FamilyFunction, model: str, data: Any, parameters: Any, message: str
) -> None:
    response = function.handle(post({"model_name": model, "data": data, "parameters": parameters}))
    assert (response.status, body(response)["error"]["message"]) == (422, message)
