"""The tensorflow family, where TensorFlow is: tests/functions/test_alone.py runs this file in its own environment."""

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if importlib.util.find_spec("tensorflow") is None:
    pytest.skip("it runs where TensorFlow is, by tests/functions/test_alone.py", allow_module_level=True)

from deploy.publish import publish
from model_functions.artifact import stream
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.engines import saved_model
from model_functions.families.tensorflow import TensorflowWrapper
from model_functions.http.function import FamilyFunction
from model_functions.http.message import Response
from model_functions.repository import Repository
from model_functions.settings import Settings
from model_functions.store.folder import FolderStore
from tests import tiny_tensorflow
from tests.cold_start import modules_of_warmup
from tests.shared.http.requests import body, get, message, post

# TensorFlow and Keras use what Python and numpy are about to drop.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

PAIR = [1.5, -2.0]
IMAGE = np.random.default_rng(0).random((8, 8)).round(3).tolist()
PERSON = {"age": [3.0], "city": ["rome"], "text": "hello you"}


@pytest.fixture
def read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh process imports TensorFlow anew, which takes most of a test; those without this have one."""
    monkeypatch.setattr(saved_model, "_in_a_fresh_process", saved_model.read_here)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """saved/, types/, image.keras, image.h5, mixed.keras, versions/1 and /12, weights.h5."""
    folder = tmp_path_factory.mktemp("sources")
    tiny_tensorflow.saved_model(folder / "saved")
    tiny_tensorflow.types_model(folder / "types")
    image = tiny_tensorflow.image_model()
    image.save(folder / "image.keras")
    image.save(folder / "image.h5")
    image.save_weights(folder / "image.weights.h5")
    tiny_tensorflow.mixed_model().save(folder / "mixed.keras")
    shutil.copytree(folder / "types", folder / "versions" / "2")
    shutil.copytree(folder / "saved", folder / "versions" / "12")
    return folder


@pytest.fixture(scope="module")
def wrapper(sources: Path) -> TensorflowWrapper:
    return TensorflowWrapper.from_source(str(sources / "saved"), example=PAIR)


@pytest.fixture(scope="module")
def mixed(sources: Path) -> TensorflowWrapper:
    return TensorflowWrapper.from_source(str(sources / "mixed.keras"), example=PERSON)


@pytest.fixture(scope="module")
def store(
    tmp_path_factory: pytest.TempPathFactory, wrapper: TensorflowWrapper, mixed: TensorflowWrapper, key: SigningKey
) -> Path:
    folder = tmp_path_factory.mktemp("store")
    repository = Repository(FolderStore(folder), Trust([key.trusted(local=True)]))
    publish(wrapper, name="tiny_tensorflow", examples=[PAIR, [PAIR, PAIR]], repository=repository, key=key)
    publish(mixed, name="mixed", examples=[PERSON], repository=repository, key=key)
    return folder


@pytest.fixture(scope="module")
def function(store: Path, trust_file: Path) -> FamilyFunction:
    settings = Settings.from_environment({"MODEL_STORE": str(store), "MODEL_TRUST": str(trust_file)})
    return FamilyFunction(TensorflowWrapper, settings)


def asked(function: FamilyFunction, data: Any, name: str = "tiny_tensorflow", **parameters: Any) -> Response:
    return function.handle(post({"model_name": name, "data": data, "parameters": parameters}))


def test_one_item_gives_one_answer_and_a_list_gives_a_list(wrapper: TensorflowWrapper) -> None:
    assert wrapper.predict(PAIR) == [3.0, -4.0]
    assert wrapper.predict([PAIR, [1, 2]]) == [[3.0, -4.0], [2.0, 4.0]]
    assert wrapper.predict({"x": PAIR}) == [3.0, -4.0]


def test_every_signature_answers_by_its_name(wrapper: TensorflowWrapper) -> None:
    assert list(wrapper.signatures) == ["serving_default", "find", "total"]
    find = {"signature_name": "find"}
    assert wrapper.predict(["berlin", "ä"], find) == [{"number": 1, "word": "BERLIN"}, {"number": -1, "word": "ä"}]
    assert wrapper.predict("paris", find | {"outputs": "number"}) == {"number": 2}
    # Its one number is of the whole batch, so it reads none.
    assert wrapper.predict([1, 2, 3], {"signature_name": "total"}) == 6.0


def test_the_publisher_chooses_the_default_signature(sources: Path) -> None:
    chosen = {"signature_name": "find"}
    wrapper = TensorflowWrapper.from_source(str(sources / "saved"), example="anna", defaults=chosen)
    assert wrapper.predict("anna") == {"number": 0, "word": "ANNA"}
    assert wrapper.predict(PAIR, {"signature_name": "serving_default"}) == [3.0, -4.0]


def test_the_interface_tells_names_types_and_shapes_of_every_signature(wrapper: TensorflowWrapper) -> None:
    interface = wrapper.interface()
    assert interface["parameters"]["signature_name"]["enum"] == ["serving_default", "find", "total"]
    assert interface["parameters"]["signature_name"]["default"] == "serving_default"
    outputs = interface["signatures"]["find"]["outputs"]
    assert outputs["number"]["description"] == "int64 of shape (any,)"
    assert (
        interface["signatures"]["serving_default"]["outputs"]["doubled"]["description"] == "float32 of shape (any, 2)"
    )
    json.dumps(interface)


def test_every_type_comes_back_as_it_went(sources: Path) -> None:
    numbers: dict[str, list[Any]] = {
        "int8": [-128, 127],
        "uint8": [0, 255],
        "int64": [-(2**63), 2**63 - 1],
        "uint64": [0, 2**64 - 1],
    }
    numbers |= {"int16": [-5, 5], "int32": [-5, 5], "uint16": [0, 65535], "uint32": [0, 2**32 - 1]}
    given = numbers | {"float16": [0.5, -2.0], "bfloat16": [1.5, -3.0], "float64": [0.1, 1e300]}
    given |= {"bool": [True, False], "string": ["", "Zoë 😀" * 20]}
    wrapper = TensorflowWrapper.from_source(str(sources / "types"), example=given)
    assert wrapper.predict(given) == given
    assert wrapper.predict([given, given]) == [given, given]


def test_whole_tensors_come_back_as_they_went(sources: Path) -> None:
    kinds = ("float16", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool")
    given: dict[str, Any] = {kind: np.array([[0, 1], [1, 0]], kind) for kind in kinds}
    given |= {"bfloat16": np.array([[1.5, -3.0], [0, np.inf]], np.float32)}
    # TensorFlow's strings are any bytes.
    given |= {"string": np.array([[b"", b"\xff\x00"], ["Zoë".encode(), b"a"]], object)}
    example = {name: array[0].tolist() for name, array in given.items()} | {"string": ["", ""], "bfloat16": [1, 2]}
    wrapper = TensorflowWrapper.from_source(str(sources / "types"), example=example)
    assert {spec.name for spec in wrapper.tensor_inputs()} == set(given)
    prepared = wrapper.prepare(wrapper.data_of(given))
    found = wrapper.finish_tensors(prepared, wrapper.forward(prepared.features, prepared.parameters))
    for name, array in given.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_whole_tensors_go_to_the_signature_that_is_named(wrapper: TensorflowWrapper) -> None:
    words = {"word": np.array([b"berlin", b"x"], object)}
    prepared = wrapper.prepare(wrapper.data_of(words), {"signature_name": "find"})
    found = wrapper.finish_tensors(prepared, wrapper.forward(prepared.features, prepared.parameters))
    assert (found["number"].tolist(), found["word"].tolist()) == ([1, -1], [b"BERLIN", b"X"])


@pytest.mark.usefixtures("read_here")
@pytest.mark.parametrize("name", ["image.keras", "image.h5"])
def test_a_keras_file_answers_as_keras_does(sources: Path, name: str) -> None:
    import keras

    model = keras.saving.load_model(sources / name, compile=False)
    expected = np.asarray(model(np.array([IMAGE, IMAGE], np.float32), training=False))
    wrapper = TensorflowWrapper.from_source(str(sources / name), example=IMAGE)
    np.testing.assert_allclose(wrapper.predict([IMAGE, IMAGE]), expected, rtol=1e-5)


@pytest.mark.usefixtures("read_here")
def test_an_lstm_of_keras_2_is_read(sources: Path, tmp_path: Path) -> None:
    import h5py
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4, 1), name="series"), keras.layers.LSTM(2)])
    model.save(tmp_path / "old.h5")
    with h5py.File(tmp_path / "old.h5", "a") as file:
        config = file.attrs["model_config"]
        file.attrs["model_config"] = config.replace('"unroll"', '"time_major": false, "unroll"')
    series = [[0.1], [0.2], [0.3], [0.4]]
    wrapper = TensorflowWrapper.from_source(str(tmp_path / "old.h5"), example=series)
    np.testing.assert_allclose(wrapper.predict(series), np.asarray(model(np.array([series])))[0], rtol=1e-5)


def test_preprocessing_layers_read_strings(sources: Path, mixed: TensorflowWrapper) -> None:
    import keras
    import tensorflow as tf

    model = keras.saving.load_model(sources / "mixed.keras", compile=False)
    people = [PERSON, {"age": [70.0], "city": ["oslo"], "text": ""}]
    tensors = {name: tf.constant([person[name] for person in people]) for name in PERSON}
    expected = {name: np.asarray(one) for name, one in model(tensors, training=False).items()}
    found = mixed.predict(people)
    for name, values in expected.items():
        np.testing.assert_allclose([one[name] for one in found], values, rtol=1e-5)


def test_steps_beside_the_model_name_its_classes(sources: Path, tmp_path: Path) -> None:
    shutil.copytree(sources / "saved", tmp_path / "saved")
    (tmp_path / "saved.json").write_text(json.dumps({"postprocess": {"doubled": [{"labels": ["low", "high"]}]}}))
    wrapper = TensorflowWrapper.from_source(str(tmp_path / "saved"), example=PAIR)
    assert wrapper.predict(PAIR, {"top_k": 1}) == [{"label": "low", "score": 3.0}]
    assert wrapper.predict("anna", {"signature_name": "find"}) == {"number": 0, "word": "ANNA"}


def test_the_highest_version_of_a_serving_folder_is_taken(sources: Path) -> None:
    wrapper = TensorflowWrapper.from_source(str(sources / "versions"), example=PAIR)
    assert wrapper.predict(PAIR) == [3.0, -4.0]


@pytest.mark.parametrize(("name", "example"), [("saved", PAIR), ("mixed.keras", PERSON)])
def test_the_same_source_gives_the_same_artifact(
    sources: Path, wrapper: TensorflowWrapper, mixed: TensorflowWrapper, name: str, example: Any
) -> None:
    first = stream.dump(wrapper if name == "saved" else mixed)
    second = stream.dump(TensorflowWrapper.from_source(str(sources / name), example=example))
    assert first == second
    assert len(first.stream) < 8192


def test_nothing_of_the_model_stays_on_the_disk(wrapper: TensorflowWrapper, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    loaded, _ = stream.load_and_list(stream.dump(wrapper))
    assert loaded.predict("anna", {"signature_name": "find"})["number"] == 0
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="cannot be serialized: a SavedModel that was loaded has given its files away"):
        stream.dump(loaded)


def test_a_cold_start_imports_neither_tensorflow_nor_keras(store: Path, trust_file: Path, tmp_path: Path) -> None:
    shutil.copytree(store / "tensorflow" / "mixed", tmp_path / "tensorflow" / "mixed")
    repository = Repository(FolderStore(tmp_path), Trust([]))
    modules = modules_of_warmup("model_functions.families.tensorflow:TensorflowWrapper", repository, trust_file)
    assert "numpy" in modules
    assert not modules & {"tensorflow", "keras", "h5py", "absl", "ml_dtypes"}


WRONG: list[tuple[Any, dict[str, Any], str]] = [
    ("x", {}, 'data is a string; "x" has the shape (2,). Send a list 1 deep.'),
    ([1.0, "2"], {}, 'data[1] is "2"; "x" is float32. Send a number (float32, up to 3.40282e+38).'),
    ([1.0, 2.0, 3.0], {}, 'data has 3 values; "x" has the shape (2,)'),
    ([[1.0, 2.0], [1.0]], {}, "data[1] has 1 values"),
    ([], {}, "data is an empty list."),
    ([1.0, 1e39], {}, "data[1] is 1e+39"),
    ([1.0, True], {}, 'data[1] is true; "x" is float32.'),
    ({"y": PAIR}, {}, 'data lacks "x". The inputs are: "x".'),
    ({"x": PAIR, "y": 1}, {}, 'data has no input "y". The inputs are: "x".'),
    (None, {}, "data is null"),
    (PAIR, {"signature_name": "nope"}, '"signature_name": "nope" is none of serving_default, find, total.'),
    (PAIR, {"signature_name": 3}, '"signature_name": 3 is no string.'),
    (PAIR, {"signature_name": "find"}, 'data[0] is 1.5; "word" is string. Send a string.'),
    ("berlin", {"signature_name": "find", "outputs": "doubled"}, '"outputs": the model has no output "doubled".'),
    (PAIR, {"temperature": 1}, '"temperature" is no parameter of this model.'),
    ([-1.0], {"signature_name": "total"}, "The model cannot take this data: assertion failed: [x has a negative"),
]


@pytest.mark.parametrize(("data", "parameters", "text"), WRONG)
def test_wrong_input_is_named(function: FamilyFunction, data: Any, parameters: dict[str, Any], text: str) -> None:
    response = asked(function, data, **parameters)
    assert (response.status, response.headers["X-Error-Code"]) == (422, "invalid_input")
    assert text in message(response)


def test_wrong_input_of_several_names_its_place(function: FamilyFunction) -> None:
    people = [PERSON, PERSON | {"city": [7]}]
    assert "data[1].city[0] is 7" in message(asked(function, people, "mixed"))
    assert "data is a list" not in message(asked(function, people, "mixed"))
    assert 'data[0] is a number. Send an object with the inputs "age", "city", "text".' in message(
        asked(function, [1, 2], "mixed")
    )


def test_a_query_asks_the_same(function: FamilyFunction) -> None:
    answers = [
        body(function.handle(get(f"/predict?model_name=tiny_tensorflow&{query}")))["body"]
        for query in ("data=1.5,2", "data=[1.5,2]", "data=1.5,2&signature_name=serving_default")
    ]
    assert answers == [[3.0, 4.0]] * 3


REFUSED: list[tuple[str, str]] = [
    ("nothing", "There is no"),
    ("empty", "empty is no SavedModel: it has no saved_model.pb"),
    ("garbage", "its saved_model.pb is cut short, or none at all"),
    ("half", "cannot load the model"),
    ("half.keras", "half.keras is no .keras file, or one that is cut short"),
    ("half.h5", "half.h5 is no HDF5 file, or one that is cut short"),
    ("image.weights.h5", "image.weights.h5 has weights only, and no model."),
    ("lambda.keras", "runs whatever code its maker put into it. Look at where it comes from, then say --trust."),
    ("lambda.h5", "runs whatever code its maker put into it. Look at where it comes from, then say --trust."),
    ("own.keras", "Keras cannot load own.keras"),
    ("model.onnx", "model.onnx is no .keras, .h5, .hdf5 file, and no folder of a SavedModel."),
]


@pytest.fixture(scope="module")
def refused(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import keras

    folder = tmp_path_factory.mktemp("refused")
    (folder / "empty").mkdir()
    (folder / "garbage").mkdir()
    (folder / "garbage" / "saved_model.pb").write_bytes(b"\x0a\xff\xffnonsense")
    shutil.copytree(sources / "saved", folder / "half")
    data = folder / "half" / "variables" / "variables.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:2])
    for name in ("image.keras", "image.h5"):
        whole = (sources / name).read_bytes()
        (folder / f"half{Path(name).suffix}").write_bytes(whole[: len(whole) // 2])
    shutil.copy(sources / "image.weights.h5", folder)
    (folder / "model.onnx").write_bytes(b"")
    runs = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x * 3, output_shape=(2,))])
    runs.save(folder / "lambda.keras")
    runs.save(folder / "lambda.h5")

    class Own(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x

    keras.Sequential([keras.Input((2,)), Own()]).save(folder / "own.keras")
    return folder


@pytest.mark.parametrize(("name", "text"), REFUSED)
def test_a_wrong_file_is_refused(refused: Path, name: str, text: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        TensorflowWrapper.from_source(str(refused / name), example=PAIR)
    assert text in str(caught.value)


def test_a_trusted_lambda_serves(refused: Path) -> None:
    wrapper = TensorflowWrapper.from_source(str(refused / "lambda.h5"), example=PAIR, trusted=True)
    assert wrapper.predict(PAIR) == [4.5, -6.0]


@pytest.mark.usefixtures("read_here")
def test_a_trusted_lambda_of_keras_3_serves(refused: Path) -> None:
    wrapper = TensorflowWrapper.from_source(str(refused / "lambda.keras"), example=PAIR, trusted=True)
    assert wrapper.predict(PAIR) == [4.5, -6.0]


def test_an_example_is_needed(sources: Path) -> None:
    with pytest.raises(ValueError, match="Give an item with --example"):
        TensorflowWrapper.from_source(str(sources / "saved"))
