import gzip
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from deploy.publish import publish
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.families.image_classification import GREY_SQUARE
from model_functions.families.onnx import OnnxWrapper
from model_functions.http.function import FamilyFunction
from model_functions.http.message import Response
from model_functions.repository import Repository
from model_functions.settings import Settings
from model_functions.store.folder import FolderStore
from tests import tiny_graphs, tiny_models
from tests.shared.http.requests import body, get, post, request
from tests.tiny_graphs import tensor
from tests.tiny_models import TEXT

ROWS = [[0.5, 1.0, 2.0], [1.5, -1.0, 0.0]]
TABULAR = "/v2/models/tiny_classifier"

#: Datatypes with values that each of them has.
VALUES: dict[str, list[Any]] = {
    "BOOL": [True, False],
    "UINT8": [0, 255],
    "UINT16": [0, 65535],
    "UINT32": [0, 2**32 - 1],
    "UINT64": [0, 2**64 - 1],
    "INT8": [-128, 127],
    "INT16": [-32768, 32767],
    "INT32": [-(2**31), 2**31 - 1],
    "INT64": [-(2**63), 2**63 - 1],
    "FP16": [0.5, -65504.0],
    "FP32": [0.1, -3.0e38],
    "FP64": [0.1, 1e300],
    "BYTES": ["", "Zoë 😀"],
}
ONNX = {
    "BOOL": 9,
    "UINT8": 2,
    "UINT16": 4,
    "UINT32": 12,
    "UINT64": 13,
    "INT8": 3,
    "INT16": 5,
    "INT32": 6,
    "INT64": 7,
    "FP16": 10,
    "FP32": 1,
    "FP64": 11,
    "BYTES": 8,
}


def infer(function: FamilyFunction, model: str, *inputs: Any, **fields: Any) -> Response:
    return function.handle(post({"inputs": list(inputs)} | fields, f"/v2/models/{model}/infer"))


def asked(name: str, datatype: str, shape: list[int], data: Any, **parameters: Any) -> dict[str, Any]:
    found = {"name": name, "datatype": datatype, "shape": shape, "data": data}
    return found | ({"parameters": parameters} if parameters else {})


def in_bytes(
    function: FamilyFunction,
    model: str,
    tensors: dict[str, tuple[str, list[int], bytes]],
    *,
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> Response:
    """What a request of bytes is answered with."""
    inputs = [
        {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": len(data)}}
        for name, (datatype, shape, data) in tensors.items()
    ]
    head = json.dumps({"inputs": inputs} | fields).encode()
    whole = head + b"".join(data for _, _, data in tensors.values())
    given = {"inference-header-content-length": str(len(head))} | (headers or {})
    if "content-encoding" in given:
        whole = gzip.compress(whole) if given["content-encoding"] == "gzip" else zlib.compress(whole)
    return function.handle(request(whole, given, target=f"/v2/models/{model}/infer"))


def outputs(response: Response) -> dict[str, Any]:
    assert response.status == 200, response.body
    return {one["name"]: one for one in body(response)["outputs"]}


def parted(response: Response) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The JSON of an answer in bytes, and each output's own."""
    assert response.status == 200, response.body
    assert response.headers["Content-Type"] == "application/octet-stream"
    size = int(response.headers["Inference-Header-Content-Length"])
    told, rest, parts = json.loads(response.body[:size]), response.body[size:], {}
    for one in told["outputs"]:
        length = one.get("parameters", {}).get("binary_data_size")
        if length is not None:
            parts[one["name"]], rest = rest[:length], rest[length:]
    assert rest == b""
    return told, parts


def refused(response: Response, status: int, code: str) -> str:
    assert (response.status, response.headers["X-Error-Code"]) == (status, code)
    text = body(response)["error"]
    assert isinstance(text, str)
    return text


def encoded(datatype: str, values: list[Any]) -> bytes:
    if datatype == "BYTES":
        return b"".join(struct.pack("<I", len(one.encode())) + one.encode() for one in values)
    word = {"BOOL": "bool", "FP16": "float16", "FP32": "float32", "FP64": "float64"}.get(datatype, datatype.lower())
    return np.array(values, word).tobytes()


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory, key: SigningKey, trust: Trust, trust_file: Path) -> FamilyFunction:
    """``same_FP32`` and its like give back what they are given; ``sums`` has two inputs, ``side`` labels."""
    folder = tmp_path_factory.mktemp("graphs")
    repository = Repository(FolderStore(folder / "store"), trust)

    def published(name: str, path: Path, example: Any, **settings: Any) -> None:
        model = OnnxWrapper.from_source(str(path), example=example, **settings)
        publish(model, name=name, examples=[example], repository=repository, key=key)

    for datatype, values in VALUES.items():
        ends = [tensor("x", ["n", 2], ONNX[datatype])], [tensor("y", ["n", 2], ONNX[datatype])]
        path = tiny_graphs.save(folder / f"{datatype}.onnx", [helper.make_node("Identity", ["x"], ["y"])], *ends)
        published(f"same_{datatype.lower()}", path, values, batched=True)
    published("sums", tiny_graphs.weighted_sums(folder / "sums.onnx"), {"values": [1, 2], "weights": [3, 4]})
    published("side", tiny_graphs.picture(folder / "side.onnx"), [[0.0] * 4] * 4)
    environment = {"MODEL_STORE": str(folder / "store"), "MODEL_TRUST": str(trust_file)}
    return FamilyFunction(OnnxWrapper, Settings.from_environment(environment))


def test_the_server_tells_of_itself(tabular: FamilyFunction) -> None:
    told = body(tabular.handle(get("/v2")))
    assert told["name"] == "tabular"
    assert {"binary_tensor_data", "classification", "model_repository", "statistics"} <= set(told["extensions"])
    for path in ("/v2/health/live", "/v2/health/ready"):
        assert body(tabular.handle(get(path))) == {"live": True, "ready": True}
    assert body(tabular.handle(get("/v2/models"))) == {"models": ["tiny_classifier"]}


def test_settings_that_cannot_work_are_not_ready(tmp_path: Path) -> None:
    from model_functions.families.tabular import TabularWrapper

    environment = {"MODEL_STORE": str(tmp_path), "MODEL_TRUST": str(tmp_path / "none.json")}
    function = FamilyFunction(TabularWrapper, Settings.from_environment(environment))
    assert function.handle(get("/v2/health/live")).status == 200
    response = function.handle(get("/v2/health/ready"))
    assert response.status == 503
    assert isinstance(body(response)["error"], str)


def test_a_model_tells_of_its_tensors(graphs: FamilyFunction) -> None:
    response = graphs.handle(get("/v2/models/sums"))
    told = body(response)
    revision = response.headers["X-Model-Revision"]
    assert (told["name"], told["versions"], told["platform"]) == ("sums", [revision], "onnxruntime")
    assert told["inputs"] == [
        {"name": "values", "datatype": "FP32", "shape": [-1, -1]},
        {"name": "weights", "datatype": "FP32", "shape": [-1, -1]},
        {"name": "scale", "datatype": "FP32", "shape": [1]},
    ]
    for which in ("", f"/versions/{revision}", f"/versions/{int(revision, 16)}"):
        ready = graphs.handle(get(f"/v2/models/sums{which}/ready"))
        assert body(ready) == {"name": "sums", "ready": True}
        config = body(graphs.handle(get(f"/v2/models/sums{which}/config")))
        assert config["input"][2] == {"name": "scale", "data_type": "TYPE_FP32", "dims": [1], "optional": True}
    assert refused(graphs.handle(get("/v2/models/sums/versions/1")), 404, "model_not_found").startswith(
        'sums has no version "1" here.'
    )
    refused(graphs.handle(get("/v2/models/nobody/ready")), 404, "model_not_found")
    refused(graphs.handle(get("/v2/nowhere")), 404, "not_found")
    refused(graphs.handle(post({}, "/v2/models/sums")), 405, "method_not_allowed")


@pytest.mark.parametrize("datatype", VALUES)
@pytest.mark.parametrize("nested", [False, True])
def test_every_datatype_comes_back_as_json(graphs: FamilyFunction, datatype: str, nested: bool) -> None:
    values = VALUES[datatype]
    data = [values, values] if nested else values * 2
    found = outputs(infer(graphs, f"same_{datatype.lower()}", asked("x", datatype, [2, 2], data), id="seven"))["y"]
    assert (found["datatype"], found["shape"]) == (datatype, [2, 2])
    assert found["data"] == (pytest.approx(values * 2, rel=1e-3) if datatype.startswith("FP") else values * 2)


@pytest.mark.parametrize("datatype", VALUES)
def test_every_datatype_comes_back_as_bytes(graphs: FamilyFunction, datatype: str) -> None:
    data = encoded(datatype, VALUES[datatype])
    model = f"same_{datatype.lower()}"
    response = in_bytes(graphs, model, {"x": (datatype, [1, 2], data)}, id="7", parameters={"binary_data_output": True})
    told, parts = parted(response)
    assert (told["model_name"], told["id"]) == (model, "7")
    assert told["model_version"] == response.headers["X-Model-Revision"]
    assert parts == {"y": data}


def test_bytes_that_lie_at_an_odd_place_are_read(graphs: FamilyFunction) -> None:
    data = np.array([[1, 2], [3, 4]], np.float32)
    for pad in range(4):
        response = in_bytes(graphs, "same_fp32", {"x": ("FP32", [2, 2], data.tobytes())}, id="i" * pad)
        assert outputs(response)["y"]["data"] == [1, 2, 3, 4]


def test_numbers_that_are_not_finite_need_bytes(graphs: FamilyFunction) -> None:
    data = np.array([[np.nan, np.inf]], np.float32).tobytes()
    _, parts = parted(
        in_bytes(graphs, "same_fp32", {"x": ("FP32", [1, 2], data)}, outputs=[_wanted("y", binary_data=True)])
    )
    assert parts["y"] == data
    text = refused(in_bytes(graphs, "same_fp32", {"x": ("FP32", [1, 2], data)}), 400, "invalid_input")
    assert text.endswith('Ask for the output as bytes: "parameters": {"binary_data": true}.')


def _wanted(name: str, **parameters: Any) -> dict[str, Any]:
    return {"name": name, "parameters": parameters}


def test_only_the_outputs_that_are_named_are_answered_in_their_order(graphs: FamilyFunction) -> None:
    values, weights = asked("values", "FP32", [1, 2], [1, 2]), asked("weights", "FP32", [1, 2], [3, 4])
    assert list(outputs(infer(graphs, "sums", values, weights))) == ["products", "scaled"]
    found = outputs(infer(graphs, "sums", values, weights, outputs=[{"name": "scaled"}, {"name": "products"}]))
    assert {name: one["data"] for name, one in found.items()} == {"scaled": [22], "products": [3, 8]}
    assert list(found) == ["scaled", "products"]
    text = refused(infer(graphs, "sums", values, weights, outputs=[{"name": "other"}]), 400, "invalid_input")
    assert text == 'There is no output "other". The outputs: products, scaled.'


def test_an_output_may_be_bytes_beside_one_that_is_not(graphs: FamilyFunction) -> None:
    one = ("FP32", [1, 2], np.array([1, 2], np.float32).tobytes())
    wanted = [_wanted("scaled", binary_data=False), {"name": "products"}]
    told, parts = parted(
        in_bytes(
            graphs,
            "sums",
            {"values": one, "weights": one},
            outputs=wanted,
            parameters={"binary_data_output": True},
        )
    )
    assert told["outputs"][0]["data"] == [10]
    assert list(parts) == ["products"]


def test_a_body_of_bytes_alone_is_the_only_input(graphs: FamilyFunction, tagging: FamilyFunction) -> None:
    data = np.array([1, 2], np.float32).tobytes()
    headers = {"inference-header-content-length": "0"}
    told, parts = parted(graphs.handle(request(data, headers, target="/v2/models/same_fp32/infer")))
    assert (told["outputs"][0]["shape"], parts) == ([1, 2], {"y": data})
    response = tagging.handle(request(TEXT.encode(), headers, target="/v2/models/tiny_tagger/infer"))
    _, parts = parted(response)
    plain = body(tagging.handle(post({"data": TEXT})))["body"]
    assert json.loads(parts["entities"][4:]) == plain
    text = refused(graphs.handle(request(data[:6], headers, target="/v2/models/same_fp32/infer")), 400, "invalid_input")
    assert text == "x has 6 bytes; FP32 of the shape [1, 2] has 8."
    text = refused(graphs.handle(request(data, headers, target="/v2/models/sums/infer")), 400, "invalid_input")
    assert text == "A body of bytes alone is a single input, and the model has values, weights. Send JSON."


def test_classes_are_the_best_places_with_their_labels(graphs: FamilyFunction) -> None:
    pixels = np.zeros((2, 4, 4), np.float32)
    pixels[0, :, 0] = pixels[1, :, 3] = 1
    sent = asked("pixels", "FP32", [2, 4, 4], pixels.reshape(-1).tolist())
    found = outputs(infer(graphs, "side", sent, outputs=[_wanted("side", classification=1)]))["side"]
    assert (found["datatype"], found["shape"]) == ("BYTES", [2, 1])
    [left, right] = [one.split(":") for one in found["data"]]
    assert (left[1:], right[1:]) == (["0", "left"], ["1", "right"])
    scores = outputs(infer(graphs, "side", sent))["side"]["data"]
    assert float(left[0]) == pytest.approx(scores[0])
    both = outputs(infer(graphs, "side", sent, outputs=[_wanted("side", classification=9)]))["side"]
    assert both["shape"] == [2, 2]
    unlabelled = infer(
        graphs, "same_fp32", asked("x", "FP32", [1, 2], [3, 4]), outputs=[_wanted("y", classification=1)]
    )
    assert outputs(unlabelled)["y"]["data"] == ["4.0:1"]


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_requests_and_answers_may_be_compressed(graphs: FamilyFunction, coding: str) -> None:
    data = encoded("FP32", [1.0, 2.0])
    tensors = {"x": ("FP32", [1, 2], data)}
    headers = {"content-encoding": coding, "accept-encoding": coding}
    response = in_bytes(graphs, "same_fp32", tensors, headers=headers, parameters={"binary_data_output": True})
    assert response.headers["Content-Encoding"] == coding
    unpacked = zlib.decompress(response.body, 47)
    assert unpacked.endswith(data)
    size = int(response.headers["Inference-Header-Content-Length"])
    assert json.loads(unpacked[:size])["outputs"][0]["name"] == "y"
    # What a library names for whoever uses it is no wish.
    plain = in_bytes(graphs, "same_fp32", tensors, headers={"accept-encoding": "gzip, deflate"})
    assert "Content-Encoding" not in plain.headers


def test_no_content_type_is_needed(graphs: FamilyFunction) -> None:
    sent = post({"inputs": [asked("x", "FP32", [1, 2], [1, 2])]}, "/v2/models/same_fp32/infer")
    assert "content-type" not in sent.headers
    assert graphs.handle(sent).status == 200


def test_parameters_are_the_models_own(tabular: FamilyFunction) -> None:
    rows = asked("rows", "FP64", [2, 3], ROWS, content_type="np")
    found = outputs(infer(tabular, "tiny_classifier", rows))
    assert set(found) == {"prediction", "probabilities"}
    assert found["probabilities"]["shape"] == [2, 2]
    reserved = {"sequence_id": 1, "sequence_start": True, "priority": 1, "content_type": "np", "triton_x": 1}
    found = outputs(infer(tabular, "tiny_classifier", rows, parameters=reserved | {"method": "predict"}))
    assert set(found) == {"prediction"}
    text = refused(infer(tabular, "tiny_classifier", rows, parameters={"top": 1}), 400, "invalid_input")
    assert text == '"top" is no parameter of this model. Its parameters: method.'
    text = refused(
        infer(
            tabular,
            "tiny_classifier",
            rows,
            parameters={"method": "predict"},
            outputs=[{"name": "probabilities"}],
        ),
        400,
        "invalid_input",
    )
    assert text == 'There is no output "probabilities". The outputs: prediction.'


def test_columns_are_tensors_as_data_frames_are_sent(tabular: FamilyFunction) -> None:
    columns = [
        asked(name, "FP64", [2, 1], [row[place] for row in ROWS]) for place, name in enumerate(tiny_models.COLUMNS)
    ]
    by_column, by_row = (
        outputs(infer(tabular, "tiny_classifier", *sent))["probabilities"]["data"]
        for sent in (columns, [asked("rows", "FP64", [2, 3], ROWS)])
    )
    assert by_column == by_row
    columns[0]["data"] = [None, 1]
    text = refused(infer(tabular, "tiny_classifier", *columns), 400, "invalid_input")
    assert text == 'The column "length" is NaN. Send a finite number.'


def test_texts_and_images_are_strings(tagging: FamilyFunction, seeing: FamilyFunction, writing: FamilyFunction) -> None:
    found = outputs(infer(tagging, "tiny_tagger", asked("text", "BYTES", [2, 1], [TEXT, TEXT])))
    plain = body(tagging.handle(post({"data": [TEXT, TEXT]})))["body"]
    assert [json.loads(one) for one in found["entities"]["data"]] == plain
    picture = tiny_models.picture()
    sent = {"image": ("BYTES", [2], struct.pack("<I", len(picture)) + picture + encoded("BYTES", [GREY_SQUARE]))}
    scores = outputs(in_bytes(seeing, "tiny_eye", sent))["scores"]
    assert scores["shape"][0] == 2
    found = outputs(infer(writing, "tiny_writer", asked("text", "BYTES", [1], ["hello"]), parameters={"seed": 1}))
    assert found["generated_text"]["shape"] == [1]


def test_a_list_among_the_parameters_is_spelled_as_json(writing: FamilyFunction) -> None:
    text = asked("text", "BYTES", [1], ["hello"])
    stop = body(writing.handle(post({"data": "hello"})))["body"]["generated_text"].split()[1]
    whole = outputs(infer(writing, "tiny_writer", text))["generated_text"]["data"]
    short = outputs(infer(writing, "tiny_writer", text, parameters={"stop": json.dumps([stop]), "min_new_tokens": 0}))
    assert len(short["generated_text"]["data"][0]) < len(whole[0])


X = asked("x", "FP32", [1, 2], [1, 2])


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ([], 'The body is a list. Send an object: {"inputs": [TENSOR, …]}.'),
        ({}, '"inputs" is null. Send a list of tensors: [{"name": NAME, …}].'),
        ({"inputs": []}, '"inputs" is an empty list. Send a tensor for each input.'),
        ({"inputs": [1]}, '"inputs" is something else than objects. Send a list of tensors: [{"name": NAME, …}].'),
        ({"inputs": [X, X]}, 'The input "x" stands twice. Send it once.'),
        ({"inputs": [X | {"name": 1}]}, "inputs[0].name is a number. Send the input's name as a string."),
        ({"inputs": [X | {"name": "z"}]}, 'inputs lacks "x". The inputs are: "x".'),
        ({"inputs": [X, X | {"name": "z"}]}, 'inputs has no input "z". The inputs are: "x".'),
        ({"inputs": [X | {"datatype": "FP64"}]}, "inputs.x is float64. Send float32."),
        ({"inputs": [X | {"shape": [2]}]}, "inputs.x has the shape (2,). Send (items, 2)."),
        ({"inputs": [X | {"shape": [1, 3]}]}, "inputs[0].data has 2 values; the shape [1, 3] has 3. Send as many."),
        ({"inputs": [X | {"shape": [1, -2]}]}, "inputs[0].shape is [1, -2]. Send a list of sizes, as [1, 3]."),
        ({"inputs": [X | {"shape": [10**18, 2]}]}, None),
        ({"inputs": [X | {"shape": [0, 2], "data": []}]}, None),
        ({"inputs": [X | {"data": [1, "a"]}]}, None),
        ({"inputs": [X | {"data": [[1], [2, 3]]}]}, None),
        ({"inputs": [X | {"data": [1e39, 1]}]}, None),
        ({"inputs": [X | {"data": "ab"}]}, None),
        ({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32"}]}, None),
        ({"inputs": [X], "id": 7}, '"id" is a number. Send a string.'),
        ({"inputs": [X], "parameters": []}, "parameters is a list. Send an object by name."),
        ({"inputs": [X], "parameters": {"timeout": -1}}, '"timeout" is -1. Send an integer of microseconds.'),
        (
            {"inputs": [X], "parameters": {"binary_data_output": 1}},
            '"binary_data_output" is a number. Send true or false.',
        ),
        ({"inputs": [X], "outputs": [{"name": 1}]}, "outputs[0].name is a number. Send the output's name as a string."),
        (
            {"inputs": [X], "outputs": [_wanted("y", classification=-1)]},
            '"classification" is -1. Send how many of the best classes you want.',
        ),
        (
            {"inputs": [X | {"parameters": {"binary_data_size": 8}}]},
            "inputs[0] has a binary_data_size of 8, and 0 bytes are left for it.",
        ),
        (
            {"inputs": [X | {"parameters": {"shared_memory_region": "r"}}]},
            "inputs[0] lies in shared memory, which a function shares with nobody. Send it.",
        ),
    ],
)
def test_what_cannot_be_meant_is_told(graphs: FamilyFunction, sent: Any, message: str | None) -> None:
    text = refused(graphs.handle(post(sent, "/v2/models/same_fp32/infer")), 400, "invalid_input")
    assert message is None or text == message


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**65) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.sampled_from(["", "id", "parameters", "inputs", "outputs", "input", "output", "of_input", "of_output"]),
    field=st.sampled_from(
        ["name", "shape", "datatype", "data", "parameters", "binary_data_size", "classification", "binary_data"]
    ),
    value=_JSON,
)
def test_whatever_is_sent_is_answered_or_refused(graphs: FamilyFunction, place: str, field: str, value: Any) -> None:
    one: dict[str, Any] = dict(X)
    wanted: dict[str, Any] = {"name": "y"}
    sent: Any = {"inputs": [one], "outputs": [wanted]}
    if place == "input":
        one[field] = value
    elif place == "output":
        wanted[field] = value
    elif place.startswith("of_"):
        (one if place == "of_input" else wanted)["parameters"] = {field: value}
    elif place:
        sent[place] = value
    else:
        sent = value
    response = graphs.handle(post(sent, "/v2/models/same_fp32/infer"))
    assert response.status in (200, 400)
    told = response.body[: int(response.headers.get("Inference-Header-Content-Length", len(response.body)))]
    assert set(json.loads(told)) & {"error", "outputs"}


def test_bytes_that_do_not_add_up_are_refused(graphs: FamilyFunction) -> None:
    text = refused(in_bytes(graphs, "same_fp32", {"x": ("FP32", [1, 3], b"\0" * 8)}), 400, "invalid_input")
    assert text == "inputs[0] has 8 bytes; FP32 of the shape [1, 3] has 12."
    for data in (b"\1\0", b"\x05\0\0\0ab", b"\0\0\0\0"):
        refused(in_bytes(graphs, "same_bytes", {"x": ("BYTES", [1, 2], data)}), 400, "invalid_input")
    head = json.dumps({"inputs": [X]}).encode()
    for length in ("-1", "x", str(len(head) + 1)):
        sent = request(head, {"inference-header-content-length": length}, target="/v2/models/same_fp32/infer")
        assert "Send the length of its JSON." in refused(graphs.handle(sent), 400, "invalid_request")
    sent = request(
        head + b"rest", {"inference-header-content-length": str(len(head))}, target="/v2/models/same_fp32/infer"
    )
    assert refused(graphs.handle(sent), 400, "invalid_input").startswith("4 bytes follow the JSON")


def test_a_timeout_is_microseconds(writing: FamilyFunction) -> None:
    text = asked("text", "BYTES", [1], ["hello"])
    refused(infer(writing, "tiny_writer", text, parameters={"timeout": 1}), 504, "deadline_exceeded")
    assert infer(writing, "tiny_writer", text, parameters={"timeout": 60_000_000}).status == 200


def test_a_model_is_loaded_and_unloaded(graphs: FamilyFunction) -> None:
    def states(sent: bytes = b"") -> dict[str, str]:
        response = graphs.handle(request(sent, target="/v2/repository/index"))
        return {one["name"]: one["state"] for one in body(response)}

    assert graphs.handle(request(target="/v2/repository/models/sums/load")).status == 200
    assert states()["sums"] == "READY"
    used = graphs.cache().memory_used
    assert graphs.handle(request(b'{"parameters": {}}', target="/v2/repository/models/sums/unload")).status == 200
    assert "sums" not in graphs.cache().loaded()
    assert graphs.cache().memory_used < used
    assert states()["sums"] == "UNAVAILABLE"
    assert "sums" not in states(b'{"ready": true}')
    text = refused(graphs.handle(get("/v2/models/sums/ready")), 503, "model_unavailable")
    assert text == "sums was unloaded here. Load it, or ask it: that loads it too."
    values, weights = asked("values", "FP32", [1, 2], [1, 2]), asked("weights", "FP32", [1, 2], [3, 4])
    assert infer(graphs, "sums", values, weights).status == 200
    assert "sums" in states(b'{"ready": true}')
    assert graphs.handle(get("/v2/models/sums/ready")).status == 200
    for verb in ("load", "unload"):
        refused(graphs.handle(request(target=f"/v2/repository/models/nobody/{verb}")), 404, "model_not_found")
    sent = post({"parameters": {"config": "{}"}}, "/v2/repository/models/sums/load")
    assert refused(graphs.handle(sent), 400, "invalid_input").endswith("Publish it: python -m deploy publish.")


def test_statistics_count_what_was_asked(graphs: FamilyFunction) -> None:
    graphs.handle(request(target="/v2/repository/models/same_int8/unload"))
    [nothing] = body(graphs.handle(get("/v2/models/same_int8/stats")))["model_stats"]
    assert nothing["inference_count"] == nothing["inference_stats"]["success"]["count"] == 0
    for _ in range(2):
        assert infer(graphs, "same_int8", asked("x", "INT8", [3, 2], [1] * 6)).status == 200
    assert graphs.handle(post({"model_name": "same_int8", "data": [1, 2]})).status == 200
    assert infer(graphs, "same_int8", asked("x", "INT8", [3], [1] * 3)).status == 400
    [found] = body(graphs.handle(get("/v2/models/same_int8/stats")))["model_stats"]
    assert (found["inference_count"], found["execution_count"]) == (7, 3)
    stats = found["inference_stats"]
    assert {name: stats[name]["count"] for name in ("success", "fail", "compute_infer")} == {
        "success": 3,
        "fail": 1,
        "compute_infer": 3,
    }
    parts = sum(stats[name]["ns"] for name in ("queue", "compute_input", "compute_infer", "compute_output"))
    assert 0 < stats["compute_infer"]["ns"] < parts <= stats["success"]["ns"]
    assert found["last_inference"] > 1_700_000_000_000
    every = body(graphs.handle(get("/v2/models/stats")))["model_stats"]
    assert next(one for one in every if one["name"] == "same_int8")["execution_count"] == 3


def test_texts_are_generated_whole_and_in_pieces(writing: FamilyFunction, translating: FamilyFunction) -> None:
    path = "/v2/models/tiny_writer/generate"
    sent = {"text_input": "hello", "id": "9", "parameters": {"stream": False}, "max_tokens": 16, "temperature": 1}
    told = body(writing.handle(post(sent, path)))
    assert (told["model_name"], told["id"]) == ("tiny_writer", "9")
    pieces = events(writing.handle(post(sent, f"{path}_stream")))
    assert len(pieces) > 1
    assert "".join(piece["text_output"] for piece in pieces) == told["text_output"]
    assert pieces[-1]["finish_reason"] == "length"
    whole = body(translating.handle(post({"text_input": "one two"}, "/v2/models/tiny_translator/generate")))
    [only] = events(translating.handle(post({"text_input": "one two"}, "/v2/models/tiny_translator/generate_stream")))
    assert only == whole


def test_a_text_is_generated_as_tritons_examples_ask_for_it(writing: FamilyFunction) -> None:
    path = "/v2/models/tiny_writer/generate"
    sent = {"text_input": "hello", "max_tokens": 16, "bad_words": "", "stop_words": "", "random_seed": 3}
    greedy = body(writing.handle(post(sent | {"parameters": {"stream": False, "temperature": 0}}, path)))["text_output"]
    asked = {"data": "hello", "parameters": {"do_sample": False, "max_new_tokens": 16}}
    assert greedy == body(writing.handle(post(asked)))["body"]["generated_text"]
    stopped = post(sent | {"temperature": 0.0, "stop_words": greedy[5]}, path)
    assert body(writing.handle(stopped))["text_output"] == greedy.partition(greedy[5])[0]


def events(response: Response) -> list[dict[str, Any]]:
    assert response.headers["Content-Type"].startswith("text/event-stream")
    data = response.body if response.chunks is None else b"".join(response.chunks)
    return [json.loads(one.removeprefix("data: ")) for one in data.decode().split("\n\n") if one]


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"text": "a"}, '"text_input" is null. Send a string.'),
        ([], 'The body is a list. Send an object: {"text_input": TEXT}.'),
        ({"text_input": "a", "id": 1}, '"id" is a number. Send a string.'),
        ({"text_input": ""}, "text_input is an empty text. Send at least one character."),
        ({"text_input": "a", "bad_words": ["b"]}, None),
        ({"text_input": "a", "max_tokens": 0}, '"max_tokens": 0 is out of bounds. Give an integer from 1 to 127.'),
        ({"text_input": "a", "strange": 0}, None),
    ],
)
def test_what_cannot_be_generated_is_told(writing: FamilyFunction, sent: Any, message: str | None) -> None:
    for verb in ("generate", "generate_stream"):
        text = refused(writing.handle(post(sent, f"/v2/models/tiny_writer/{verb}")), 400, "invalid_input")
        assert message is None or text == message


def test_a_family_that_writes_nothing_generates_nothing(tabular: FamilyFunction) -> None:
    sent = post({"text_input": "a"}, f"{TABULAR}/generate")
    assert "do not answer" in refused(tabular.handle(sent), 404, "not_found")
