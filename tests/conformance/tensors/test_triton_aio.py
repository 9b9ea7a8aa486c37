"""NVIDIA's ``tritonclient.http.aio``: the same over asyncio."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
import tritonclient.http.aio as triton
from tritonclient.utils import InferenceServerException

from tests.conformance.place import Place
from tests.conformance.tensors.arrays import FEATURES, TEXTS, scores

Client = triton.InferenceServerClient


def asked(place: Place, family: str, ask: Callable[[Any], Awaitable[Any]]) -> Any:
    """What the coroutine finds with a client of its own."""

    async def run() -> Any:
        async with Client(place.address(family)) as client:
            return await ask(client)

    return asyncio.run(run())


def features(*, binary: bool = True) -> list[Any]:
    made = triton.InferInput("features", list(FEATURES.shape), "FP32")
    made.set_data_from_numpy(FEATURES, binary_data=binary)
    return [made]


def test_the_server_is_live(place: Place) -> None:
    assert asked(place, "onnx", lambda client: client.is_server_live())


def test_the_server_is_ready(place: Place) -> None:
    assert asked(place, "onnx", lambda client: client.is_server_ready())


@pytest.mark.parametrize(("model", "ready"), [("linear", True), ("nothing", False)])
def test_a_model_is_ready_or_not(place: Place, model: str, ready: bool) -> None:
    assert asked(place, "onnx", lambda client: client.is_model_ready(model)) is ready


def test_the_server_says_its_extensions(place: Place) -> None:
    metadata = asked(place, "onnx", lambda client: client.get_server_metadata())
    assert "binary_tensor_data" in metadata["extensions"]


def test_a_model_says_its_tensors(place: Place) -> None:
    metadata = asked(place, "onnx", lambda client: client.get_model_metadata("linear"))
    assert metadata["inputs"] == [{"name": "features", "datatype": "FP32", "shape": [-1, 3]}]


def test_the_repository_lists_models(place: Place) -> None:
    index = asked(place, "onnx", lambda client: client.get_model_repository_index())
    assert "linear" in {model["name"] for model in index}


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_tensors_come_and_go(place: Place, binary: bool) -> None:
    outputs = [triton.InferRequestedOutput("scores", binary_data=binary)]
    result = asked(place, "onnx", lambda client: client.infer("linear", features(binary=binary), outputs=outputs))
    np.testing.assert_allclose(result.as_numpy("scores"), scores(FEATURES), rtol=5e-3)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_both_ways_may_be_compressed(place: Place, coding: str) -> None:
    codings = {"request_compression_algorithm": coding, "response_compression_algorithm": coding}
    result = asked(place, "onnx", lambda client: client.infer("linear", features(), **codings))
    np.testing.assert_allclose(result.as_numpy("scores"), scores(FEATURES), rtol=5e-3)


def test_many_calls_at_once(place: Place) -> None:
    async def ask(client: Any) -> Any:
        return await asyncio.gather(*(client.infer("linear", features(), request_id=str(n)) for n in range(8)))

    found = asked(place, "onnx", ask)
    assert [result.get_response()["id"] for result in found] == [str(number) for number in range(8)]


def test_texts_are_bytes(place: Place) -> None:
    words = triton.InferInput("text", [len(TEXTS)], "BYTES")
    words.set_data_from_numpy(np.array(TEXTS, object))
    result = asked(place, "text_classification", lambda client: client.infer("sentiment", [words]))
    assert result.as_numpy("label").shape == (len(TEXTS),)


def test_an_unknown_model_is_refused(place: Place) -> None:
    with pytest.raises(InferenceServerException) as caught:
        asked(place, "onnx", lambda client: client.infer("nothing", features()))
    assert caught.value.status() == "404"


def test_a_wrong_tensor_is_refused(place: Place) -> None:
    wrong = triton.InferInput("features", [1, 4], "FP32")
    wrong.set_data_from_numpy(np.ones((1, 4), np.float32))
    with pytest.raises(InferenceServerException) as caught:
        asked(place, "onnx", lambda client: client.infer("linear", [wrong]))
    assert caught.value.status() in ("400", "422")
    assert "features" in caught.value.message()
