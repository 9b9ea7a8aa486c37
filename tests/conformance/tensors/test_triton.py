"""NVIDIA's ``tritonclient.http``: the Open Inference Protocol with tensors as bytes behind the JSON."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from tests.conformance.pictures import PNG
from tests.conformance.place import Place
from tests.conformance.tensors.arrays import ARRAYS, FEATURES, TEXTS, scores


@pytest.fixture
def onnx(place: Place) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(place.address("onnx")) as client:
        yield client


@pytest.fixture
def sentiment(place: Place) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(place.address("text_classification")) as client:
        yield client


def tensor(name: str, array: NDArray[Any], kind: str, *, binary: bool = True) -> InferInput:
    made = InferInput(name, list(array.shape), kind)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def features(array: NDArray[Any] = FEATURES, *, binary: bool = True) -> list[InferInput]:
    return [tensor("features", array, "FP32", binary=binary)]


def texts(*, binary: bool = True) -> list[InferInput]:
    return [tensor("text", np.array(TEXTS, object), "BYTES", binary=binary)]


def test_the_server_is_live(onnx: InferenceServerClient) -> None:
    assert onnx.is_server_live()


def test_the_server_is_ready(onnx: InferenceServerClient) -> None:
    assert onnx.is_server_ready()


def test_a_model_is_ready(onnx: InferenceServerClient) -> None:
    assert onnx.is_model_ready("linear")


def test_an_unknown_model_is_not_ready(onnx: InferenceServerClient) -> None:
    assert not onnx.is_model_ready("nothing")


def test_the_server_says_its_extensions(onnx: InferenceServerClient) -> None:
    metadata = onnx.get_server_metadata()
    assert metadata["name"]
    assert {"binary_tensor_data", "model_repository", "statistics"} <= set(metadata["extensions"])


def test_a_model_says_its_tensors(onnx: InferenceServerClient) -> None:
    metadata = onnx.get_model_metadata("linear")
    assert metadata["name"] == "linear"
    assert metadata["inputs"] == [{"name": "features", "datatype": "FP32", "shape": [-1, 3]}]
    assert metadata["outputs"] == [{"name": "scores", "datatype": "FP32", "shape": [-1, 2]}]


def test_a_model_says_its_configuration(onnx: InferenceServerClient) -> None:
    configuration = onnx.get_model_config("linear")
    assert configuration["name"] == "linear"
    assert [one["name"] for one in configuration["input"]] == ["features"]
    assert [one["data_type"] for one in configuration["output"]] == ["TYPE_FP32"]


def test_a_version_is_the_same_model(onnx: InferenceServerClient) -> None:
    [version] = onnx.get_model_metadata("linear")["versions"]
    assert onnx.is_model_ready("linear", version)
    assert onnx.get_model_metadata("linear", version)["name"] == "linear"
    assert onnx.infer("linear", features(), model_version=version).get_response()["model_version"] == version


def test_another_version_is_not_there(onnx: InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException) as caught:
        onnx.infer("linear", features(), model_version="1")
    assert caught.value.status() == "404"
    assert 'linear has no version "1" here' in caught.value.message()


def test_the_repository_lists_models(onnx: InferenceServerClient) -> None:
    index = {model["name"]: model for model in onnx.get_model_repository_index()}
    assert {"linear", "sums", "types"} <= set(index)


def test_a_model_is_loaded_and_listed_as_ready(onnx: InferenceServerClient) -> None:
    onnx.load_model("sums")
    index = {model["name"]: model for model in onnx.get_model_repository_index()}
    assert index["sums"]["state"] == "READY"


def test_a_model_is_unloaded_and_comes_back(onnx: InferenceServerClient) -> None:
    onnx.load_model("picture")
    onnx.unload_model("picture")
    pixels = np.tile(np.array([1, 1, 0, 0], np.float32), (1, 4, 1))
    assert onnx.infer("picture", [tensor("pixels", pixels, "FP32")]).as_numpy("side").shape[0] == 1


def test_an_unknown_model_is_not_loaded(onnx: InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException) as caught:
        onnx.load_model("nothing")
    assert caught.value.status() == "404"


def test_statistics_count_answers(onnx: InferenceServerClient) -> None:
    onnx.infer("linear", features())
    before = statistics(onnx)
    onnx.infer("linear", features())
    after = statistics(onnx)
    assert after["inference_stats"]["success"]["count"] == before["inference_stats"]["success"]["count"] + 1
    assert after["inference_stats"]["compute_infer"]["ns"] >= before["inference_stats"]["compute_infer"]["ns"]


def statistics(client: InferenceServerClient) -> dict[str, Any]:
    [found] = client.get_inference_statistics("linear")["model_stats"]
    assert found["name"] == "linear"
    return dict(found)


@pytest.mark.parametrize("binary_in", [True, False], ids=["binary", "json"])
@pytest.mark.parametrize("binary_out", [True, False], ids=["to-binary", "to-json"])
def test_tensors_come_and_go(onnx: InferenceServerClient, binary_in: bool, binary_out: bool) -> None:
    outputs = [InferRequestedOutput("scores", binary_data=binary_out)]
    result = onnx.infer("linear", features(binary=binary_in), outputs=outputs)
    np.testing.assert_allclose(result.as_numpy("scores"), scores(FEATURES), rtol=5e-3)
    described = result.get_output("scores")
    assert (described["datatype"], described["shape"]) == ("FP32", [4, 2])
    assert ("data" in described) is not binary_out


def test_without_named_outputs_all_come_as_bytes(onnx: InferenceServerClient) -> None:
    result = onnx.infer("linear", features())
    assert "data" not in result.get_output("scores")
    np.testing.assert_allclose(result.as_numpy("scores"), scores(FEATURES), rtol=5e-3)


def test_only_the_outputs_that_are_asked_for(onnx: InferenceServerClient) -> None:
    inputs = [tensor(name, ARRAYS[name], "FP32") for name in ("values", "weights")]
    result = onnx.infer("sums", inputs, outputs=[InferRequestedOutput("products")])
    np.testing.assert_allclose(result.as_numpy("products"), ARRAYS["values"] * ARRAYS["weights"])
    assert result.as_numpy("scaled") is None


def test_each_output_as_it_is_asked_for(onnx: InferenceServerClient) -> None:
    inputs = [tensor(name, ARRAYS[name], "FP32") for name in ("values", "weights")]
    asked = [InferRequestedOutput("products", binary_data=True), InferRequestedOutput("scaled", binary_data=False)]
    result = onnx.infer("sums", inputs, outputs=asked)
    assert "data" not in result.get_output("products")
    assert result.get_output("scaled")["data"] == [-10.0]


def test_the_request_s_id_comes_back(onnx: InferenceServerClient) -> None:
    assert onnx.infer("linear", features(), request_id="call-17").get_response()["id"] == "call-17"


def test_a_priority_a_timeout_and_parameters_are_taken(onnx: InferenceServerClient) -> None:
    result = onnx.infer("linear", features(), priority=1, timeout=30_000_000, headers={"X-Team": "a"})
    np.testing.assert_allclose(result.as_numpy("scores"), scores(FEATURES), rtol=5e-3)


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_requests_may_be_compressed(onnx: InferenceServerClient, coding: str, binary: bool) -> None:
    result = onnx.infer("linear", features(binary=binary), request_compression_algorithm=coding)
    np.testing.assert_allclose(result.as_numpy("scores"), scores(FEATURES), rtol=5e-3)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_answers_may_be_compressed(onnx: InferenceServerClient, coding: str) -> None:
    many = np.ones((900, 3), np.float32)
    result = onnx.infer("linear", features(many), response_compression_algorithm=coding)
    np.testing.assert_allclose(result.as_numpy("scores"), scores(many), rtol=5e-3)


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_every_datatype_comes_back(onnx: InferenceServerClient, binary: bool) -> None:
    kinds = {name: kind for name, kind in NAMES.items() if binary or kind != "FP16"}
    inputs = [tensor(name, ARRAYS[name], NAMES[name], binary=name not in kinds or binary) for name in NAMES]
    outputs = [InferRequestedOutput(f"same_{name}", binary_data=binary) for name in kinds]
    result = onnx.infer("types", inputs, outputs=outputs)
    for name, kind in kinds.items():
        assert result.get_output(f"same_{name}")["datatype"] == kind
        found = result.as_numpy(f"same_{name}").tolist()
        # The client reads bytes as they come, and leaves JSON's strings as they are.
        wanted = [[text.decode() for text in row] for row in ARRAYS[name].tolist()] if name == "string" else []
        assert found == (wanted if wanted and not binary else ARRAYS[name].tolist()), name


NAMES = {
    "bool": "BOOL",
    "string": "BYTES",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float": "FP32",
    "double": "FP64",
}


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_texts_are_bytes(sentiment: InferenceServerClient, binary: bool) -> None:
    outputs = [InferRequestedOutput(name, binary_data=binary) for name in ("label", "scores")]
    result = sentiment.infer("sentiment", texts(binary=binary), outputs=outputs)
    labels = [label.decode() if isinstance(label, bytes) else label for label in result.as_numpy("label")]
    assert set(labels) <= {"bad", "so-so", "good"}
    assert result.as_numpy("scores").shape == (len(TEXTS), 3)
    np.testing.assert_allclose(result.as_numpy("scores").sum(axis=1), 1, rtol=1e-4)


def test_the_best_classes(sentiment: InferenceServerClient) -> None:
    outputs = [InferRequestedOutput("scores", class_count=2)]
    found = sentiment.infer("sentiment", texts(), outputs=outputs).as_numpy("scores")
    assert found.shape == (len(TEXTS), 2)
    for best, second in found.tolist():
        (value, index, label), (other, _, _) = (one.decode().split(":") for one in (best, second))
        assert float(value) >= float(other)
        assert label == ("bad", "so-so", "good")[int(index)]


def test_a_parameter_of_the_model(place: Place) -> None:
    with InferenceServerClient(place.address("text_generation")) as client:
        words = tensor("text", np.array([b"hello"], object), "BYTES")
        found = [
            client.infer("writer", [words], parameters={"max_new_tokens": count}).as_numpy("generated_text")[0]
            for count in (2, 12)
        ]
        assert len(found[0]) < len(found[1])


def test_a_wrong_parameter_is_refused(place: Place) -> None:
    with InferenceServerClient(place.address("text_generation")) as client:
        words = tensor("text", np.array([b"hello"], object), "BYTES")
        with pytest.raises(InferenceServerException, match="max_new_tokens"):
            client.infer("writer", [words], parameters={"max_new_tokens": 0})


def test_an_asynchronous_call_of_the_synchronous_client(onnx: InferenceServerClient) -> None:
    calls = [onnx.async_infer("linear", features(FEATURES * number)) for number in (1, 2, 3)]
    for number, call in enumerate(calls, 1):
        np.testing.assert_allclose(call.get_result().as_numpy("scores"), scores(FEATURES * number), rtol=5e-3)


def test_an_image_is_bytes(place: Place) -> None:
    with InferenceServerClient(place.address("image_classification")) as client:
        picture = tensor("image", np.array([PNG], object), "BYTES")
        assert client.infer("eye", [picture]).as_numpy("label")[0].decode() in ("cat", "dog", "bird")


def test_a_table_is_a_tensor_a_column(place: Place) -> None:
    with InferenceServerClient(place.address("tabular")) as client:
        columns = [one["name"] for one in client.get_model_metadata("sizes")["inputs"]]
        assert columns == ["length", "width", "weight"]
        result = client.infer("sizes", [tensor(name, np.array([3.0, -3.0]), "FP64") for name in columns])
        assert [label.decode() for label in result.as_numpy("prediction")] == ["large", "small"]


@pytest.mark.parametrize("family", ["summarization", "translation"])
def test_written_texts_are_bytes(place: Place, family: str) -> None:
    model, output = {
        "summarization": ("summarizer", "summary_text"),
        "translation": ("translator", "translation_text"),
    }[family]
    with InferenceServerClient(place.address(family)) as client:
        assert client.infer(model, texts()).as_numpy(output).shape == (len(TEXTS),)


def test_embeddings_are_a_matrix(place: Place) -> None:
    with InferenceServerClient(place.address("feature_extraction")) as client:
        words = tensor("text", np.array([b"anna", b"berlin"], object), "BYTES")
        found = client.infer("sentences", [words]).as_numpy("embedding")
        assert (found.shape, found.dtype) == ((2, 6), np.float32)


def test_entities_are_json(place: Place) -> None:
    with InferenceServerClient(place.address("token_classification")) as client:
        assert client.infer("tagger", texts()).as_numpy("entities").shape == (len(TEXTS),)


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        (lambda: [tensor("features", np.ones((1, 4), np.float32), "FP32")], "features"),
        (lambda: [tensor("features", np.ones((1, 3), np.int64), "INT64")], "int64"),
        (lambda: [tensor("other", np.ones((1, 3), np.float32), "FP32")], "features"),
    ],
    ids=["shape", "datatype", "name"],
)
def test_a_wrong_tensor_is_refused(onnx: InferenceServerClient, inputs: Any, says: str) -> None:
    with pytest.raises(InferenceServerException) as caught:
        onnx.infer("linear", inputs())
    assert caught.value.status() in ("400", "422")
    assert says in caught.value.message()


def test_an_unknown_output_is_refused(onnx: InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException) as caught:
        onnx.infer("linear", features(), outputs=[InferRequestedOutput("nothing")])
    assert caught.value.status() in ("400", "422")
    assert "nothing" in caught.value.message()


def test_an_unknown_model_is_refused(onnx: InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException) as caught:
        onnx.infer("nothing", features())
    assert caught.value.status() == "404"
    assert "nothing" in caught.value.message()


def test_bytes_that_are_missing_are_refused(onnx: InferenceServerClient) -> None:
    short = features()[0]
    short._raw_data = short._raw_data[:-4]
    short._parameters["binary_data_size"] = len(short._raw_data)
    with pytest.raises(InferenceServerException) as caught:
        onnx.infer("linear", [short])
    assert caught.value.status() in ("400", "422")


def test_what_triton_has_and_we_do_not_is_said(onnx: InferenceServerClient) -> None:
    with pytest.raises(InferenceServerException) as caught:
        onnx.get_system_shared_memory_status()
    assert caught.value.status() == "404"
