"""The codecs of ``mlserver``, which write the Open Inference Protocol's requests and read its answers."""

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests
from mlserver.codecs import (
    Base64Codec,
    DatetimeCodec,
    NumpyCodec,
    NumpyRequestCodec,
    PandasCodec,
    StringCodec,
    StringRequestCodec,
)
from mlserver.types import (
    InferenceErrorResponse,
    InferenceRequest,
    InferenceResponse,
    MetadataModelResponse,
    MetadataServerResponse,
    RepositoryIndexResponse,
    RequestOutput,
)

from tests.conformance.pictures import PNG
from tests.conformance.place import Place
from tests.conformance.tensors.arrays import ARRAYS, FEATURES, TEXTS, scores


def infer(place: Place, family: str, model: str, request: InferenceRequest) -> InferenceResponse:
    response = sent(place, family, model, request)
    assert response.status_code == 200, response.text
    return InferenceResponse.model_validate_json(response.content)


def sent(place: Place, family: str, model: str, request: InferenceRequest) -> requests.Response:
    url = f"{place.url(family)}/v2/models/{model}/infer"
    return requests.post(url, json=request.model_dump(exclude_none=True, mode="json"), timeout=60)


def output(response: InferenceResponse, name: str) -> Any:
    [found] = [one for one in response.outputs if one.name == name]
    return found


def test_server_metadata(place: Place) -> None:
    answer = requests.get(f"{place.url('onnx')}/v2", timeout=60)
    assert MetadataServerResponse.model_validate_json(answer.content).extensions


def test_model_metadata(place: Place) -> None:
    answer = requests.get(f"{place.url('onnx')}/v2/models/linear", timeout=60)
    metadata = MetadataModelResponse.model_validate_json(answer.content)
    assert metadata.inputs is not None
    assert [(one.name, one.datatype, one.shape) for one in metadata.inputs] == [("features", "FP32", [-1, 3])]


def test_repository_index(place: Place) -> None:
    answer = requests.post(f"{place.url('onnx')}/v2/repository/index", json={}, timeout=60)
    index = RepositoryIndexResponse.model_validate_json(answer.content)
    assert "linear" in {model.name for model in index.root}


def test_an_array_as_np(place: Place) -> None:
    request = InferenceRequest(inputs=[NumpyCodec.encode_input("features", FEATURES)])
    found = NumpyCodec.decode_output(output(infer(place, "onnx", "linear", request), "scores"))
    np.testing.assert_allclose(found, scores(FEATURES), rtol=5e-3)


def test_an_array_as_a_whole_request(place: Place) -> None:
    request = NumpyRequestCodec.encode_request(FEATURES)
    request.inputs[0].name = "features"
    found = NumpyRequestCodec.decode_response(infer(place, "onnx", "linear", request))
    np.testing.assert_allclose(found, scores(FEATURES), rtol=5e-3)


@pytest.mark.parametrize("name", [name for name in ARRAYS if "int" in name or name in ("float", "double")])
def test_arrays_of_each_type_as_np(place: Place, name: str) -> None:
    inputs = [
        StringCodec.encode_input(one, [text.decode() for text in array.ravel()], use_bytes=False)
        if one == "string"
        else NumpyCodec.encode_input(one, array)
        for one, array in ARRAYS.items()
        if one not in ("values", "weights")
    ]
    for one in inputs:
        one.shape = [1, 3]
    request = InferenceRequest(inputs=inputs, outputs=[RequestOutput(name=f"same_{name}")])
    response = infer(place, "onnx", "types", request)
    assert len(response.outputs) == 1
    np.testing.assert_array_equal(NumpyCodec.decode_output(response.outputs[0]), ARRAYS[name])


def test_texts_as_str(place: Place) -> None:
    texts = [text.decode() for text in TEXTS]
    request = InferenceRequest(id="seventeen", inputs=[StringCodec.encode_input("text", texts, use_bytes=False)])
    response = infer(place, "text_classification", "sentiment", request)
    assert response.id == "seventeen"
    assert set(StringCodec.decode_output(output(response, "label"))) <= {"bad", "so-so", "good"}


def test_texts_as_a_whole_request(place: Place) -> None:
    request = StringRequestCodec.encode_request([text.decode() for text in TEXTS], use_bytes=False)
    request.inputs[0].name = "text"
    response = infer(place, "summarization", "summarizer", request)
    assert len(StringCodec.decode_output(output(response, "summary_text"))) == len(TEXTS)


def test_an_image_as_base64(place: Place) -> None:
    request = InferenceRequest(inputs=[Base64Codec.encode_input("image", [PNG, PNG], use_bytes=False)])
    labels = StringCodec.decode_output(output(infer(place, "image_classification", "eye", request), "label"))
    assert len(labels) == 2
    assert set(labels) <= {"cat", "dog", "bird"}


def test_moments_as_datetime(place: Place) -> None:
    request = InferenceRequest(
        inputs=[DatetimeCodec.encode_input("text", [datetime(2026, 11, 21, 18, 5)], use_bytes=False)]
    )
    response = infer(place, "text_classification", "sentiment", request)
    assert len(StringCodec.decode_output(output(response, "label"))) == 1


def test_a_table_as_pd(place: Place) -> None:
    response = infer(place, "tabular", "flats", flats([2.5, 1.0]))
    assert StringCodec.decode_output(output(response, "prediction")) == ["dear", "cheap"]
    probabilities = NumpyCodec.decode_output(output(response, "probabilities"))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_a_table_that_lacks_values_as_pd(place: Place) -> None:
    response = infer(place, "tabular", "flats", flats([2.5, np.nan]))
    assert StringCodec.decode_output(output(response, "prediction")) == ["dear", "cheap"]


def flats(rooms: list[float]) -> InferenceRequest:
    frame = pd.DataFrame({"city": ["Berlin", "Rome"], "rooms": rooms, "balcony": [True, False]})
    # Pandas 3 has a type of its own for texts, of which the codec does not know.
    return PandasCodec.encode_request(frame.astype({"city": object}), use_bytes=False)


def test_an_answer_as_a_table(place: Place) -> None:
    frame = pd.DataFrame({"length": [3.0, -3.0], "width": [3.0, -3.0], "weight": [3.0, -3.0]})
    request = PandasCodec.encode_request(frame, use_bytes=False)
    request.outputs = [RequestOutput(name="prediction")]
    response = infer(place, "tabular", "sizes", request)
    assert PandasCodec.decode_response(response)["prediction"].tolist() == ["large", "small"]


def test_an_unknown_model_is_an_error_response(place: Place) -> None:
    request = InferenceRequest(inputs=[NumpyCodec.encode_input("features", FEATURES)])
    response = sent(place, "onnx", "nothing", request)
    assert response.status_code == 404
    assert "nothing" in str(InferenceErrorResponse.model_validate_json(response.content).error)


def test_a_wrong_tensor_is_an_error_response(place: Place) -> None:
    request = InferenceRequest(inputs=[NumpyCodec.encode_input("other", FEATURES)])
    response = sent(place, "onnx", "linear", request)
    assert response.status_code in (400, 422)
    assert "features" in str(InferenceErrorResponse.model_validate_json(response.content).error)
