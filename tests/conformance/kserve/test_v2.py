"""KServe's client in its second protocol, the Open Inference Protocol."""

from typing import Any

import httpx
import numpy as np
import pytest
from kserve import InferInput, InferRequest
from kserve.protocol.infer_type import RequestedOutput
from numpy.typing import NDArray

from tests.conformance.kserve.calls import asked
from tests.conformance.place import Place

FEATURES = np.array([[1, 2, 3], [4, 5, 6]], np.float32)


def tensor(name: str, array: NDArray[Any], kind: str, *, binary: bool) -> InferInput:
    made = InferInput(name, list(array.shape), kind)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def infer(place: Place, family: str, model: str, inputs: list[InferInput], **asking: Any) -> Any:
    request = InferRequest(model, inputs, **asking)
    return asked("v2", lambda client: client.infer(place.url(family), request, model_name=model))


def refused(place: Place, family: str, model: str, inputs: list[InferInput]) -> httpx.HTTPStatusError:
    with pytest.raises(httpx.HTTPStatusError) as caught:
        infer(place, family, model, inputs)
    return caught.value


def test_the_server_is_live(place: Place) -> None:
    assert asked("v2", lambda client: client.is_server_live(place.url("onnx"))) is True


def test_the_server_is_ready(place: Place) -> None:
    assert asked("v2", lambda client: client.is_server_ready(place.url("onnx"))) is True


@pytest.mark.parametrize(("model", "ready"), [("linear", True), ("nothing", False)])
def test_a_model_is_ready_or_not(place: Place, model: str, ready: bool) -> None:
    assert asked("v2", lambda client: client.is_model_ready(place.url("onnx"), model)) is ready


@pytest.mark.parametrize("binary_out", [False, True], ids=["to-json", "to-binary"])
@pytest.mark.parametrize("binary_in", [False, True], ids=["json", "binary"])
def test_tensors_come_and_go(place: Place, binary_in: bool, binary_out: bool) -> None:
    outputs = [RequestedOutput("scores", {"binary_data": binary_out})]
    inputs = [tensor("features", FEATURES, "FP32", binary=binary_in)]
    response = infer(place, "onnx", "linear", inputs, request_id="seventeen", request_outputs=outputs)
    assert (response.id, response.model_name) == ("seventeen", "linear")
    weights = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
    np.testing.assert_allclose(response.outputs[0].as_numpy(), FEATURES @ weights, rtol=5e-3)


def test_only_the_outputs_that_are_asked_for(place: Place) -> None:
    inputs = [tensor(name, FEATURES, "FP32", binary=False) for name in ("values", "weights")]
    response = infer(place, "onnx", "sums", inputs, request_outputs=[RequestedOutput("products")])
    assert [output.name for output in response.outputs] == ["products"]


@pytest.mark.parametrize("binary", [False, True], ids=["json", "binary"])
def test_texts_are_bytes(place: Place, binary: bool) -> None:
    texts = np.array([b"anna lives", b"sales fell"], object)
    response = infer(place, "text_classification", "sentiment", [tensor("text", texts, "BYTES", binary=binary)])
    assert {output.name for output in response.outputs} >= {"label", "scores"}
    assert response.get_output_by_name("scores").as_numpy().shape == (2, 3)


def test_a_body_of_one_s_own(place: Place) -> None:
    body = {"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2]}]}
    response = asked("v2", lambda client: client.infer(place.url("onnx"), body, model_name="half_plus_two"))
    assert response.outputs[0].data == [2.5, 3.0]


def test_an_unknown_model_is_refused(place: Place) -> None:
    error = refused(place, "onnx", "nothing", [tensor("features", FEATURES, "FP32", binary=False)])
    assert error.response.status_code == 404
    assert "nothing" in str(error)


@pytest.mark.parametrize("binary", [False, True], ids=["json", "binary"])
def test_a_wrong_tensor_is_refused(place: Place, binary: bool) -> None:
    error = refused(place, "onnx", "linear", [tensor("other", FEATURES, "FP32", binary=binary)])
    assert error.response.status_code == 400
    assert "features" in str(error)
