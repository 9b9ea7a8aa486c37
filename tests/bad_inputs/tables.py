"""Rows of tables, and tensors as nested lists."""

import json
from typing import Any

from tests.bad_inputs.entries import INVALID, Asked, Raw
from tests.tiny_models import COLUMNS

_FIRST = COLUMNS[0]
_ROW: dict[str, Any] = dict.fromkeys(COLUMNS, 0.5)
_OWN = ("predict",)
#: Those that have rows as lists; the others name their columns.
_IN_LISTS = ("predict", "tutorial", "tensorflow_serving", "vertex", "torchserve", "invocations")

#: For a table of three numbers.
ROWS = [
    Asked("C079 a column more", _ROW | {"__class__": 1}),
    Asked("C079 a column by its prototype", _ROW | {"__proto__": {"a": 1}}),
    Asked("C082 nothing in the list", []),
    Asked("C082 a row that is too short", [0.5]),
    Asked("C082 a row that is too long", [0.5] * 4, protocols=_IN_LISTS),
    Asked("C082 a bad row among good ones", [[0.5, 1, 2], [0.5, 1]]),
    Asked("C082 more rows than a request may have", [[0.5, 1, 2]] * 20_000),
    Asked("D400 a column less", dict.fromkeys(COLUMNS[1:], 0.5)),
    Asked("D400 a column in upper case", {name.upper(): 0.5 for name in COLUMNS}),
    Asked("D400 columns with spaces around", {f" {name} ": 0.5 for name in COLUMNS}),
    Asked("D400 a column of 100,000 letters", _ROW | {"x" * 100_000: 1}),
    Asked("D400 5,000 columns more", _ROW | {str(number): 1 for number in range(5_000)}),
    Asked("D401 a text for a number", _ROW | {_FIRST: "x"}, protocols=_OWN),
    Asked("D401 a list for a number", _ROW | {_FIRST: [1]}, protocols=_OWN),
    Asked("D401 an object for a number", _ROW | {_FIRST: {}}, protocols=_OWN),
    Asked("D401 a boolean for a number", _ROW | {_FIRST: True}, None, protocols=_OWN),
    Asked("D401 NaN in words", _ROW | {_FIRST: "NaN"}, None, protocols=_OWN),
    Asked("D402 2^100", _ROW | {_FIRST: 2**100}, None),
    Asked("D402 1e30", _ROW | {_FIRST: 1e30}, None),
    Asked("D402 5e-324", _ROW | {_FIRST: 5e-324}, None),
    Asked("D403 a text", "0.5,1,2", None),
    Asked("D403 a number", 5),
    Asked("D403 rows of rows", [[[0.5, 1, 2]]]),
    Asked("C087 a parameter of another task", [0.5, 1, 2], parameters={"max_new_tokens": 1}),
    Asked("C091 a deadline in words", [0.5, 1, 2], headers={"x-request-timeout-ms": "abc"}),
]

#: For a tensor of rows of three numbers.
TENSORS = [
    Asked("C082 nothing in the list", [], protocols=_OWN),
    Asked("C082 a ragged tensor", [[0.5, 1, 2], [0.5, 1]], protocols=_OWN),
    Asked("D410 too deep", [[[[[[0.5, 1, 2]]]]]], protocols=_OWN),
    Asked("D410 40 levels", json.loads("[" * 40 + "1" + "]" * 40), protocols=_OWN),
    Asked("D411 a text in it", [0.5, "x", 2], protocols=_OWN),
    Asked("D411 null in it", [0.5, None, 2], protocols=_OWN),
    Asked("D411 an object in it", [0.5, {}, 2], protocols=_OWN),
    Asked("D411 a boolean in it", [0.5, True, 2], None, protocols=_OWN),
    Asked("D412 2^200", [0.5, 2**100, 2], None, protocols=_OWN),
    Asked("D412 1e308", [0.5, 1e308, 2], None, protocols=_OWN),
    Asked("D413 a width of 1,000,000", [0.5] * 1_000_000, protocols=_OWN),
    Asked("D414 an input of nobody", {"nobody": [0.5, 1, 2]}, protocols=_OWN),
    Asked("D414 5,000 inputs", {str(number): [1] for number in range(5_000)}, protocols=_OWN),
    Asked("D415 a text", "hello", protocols=_OWN),
    Asked("D415 an empty object", {}, protocols=_OWN),
    Asked("D415 nothing", None, protocols=_OWN),
    Asked("C087 a parameter of another task", [0.5, 1, 2], parameters={"max_new_tokens": 1}),
]


def _input(**changed: Any) -> dict[str, Any]:
    return {"name": "features", "shape": [1, 3], "datatype": "FP32", "data": [0.5, 1, 2]} | changed


_RECORDS: dict[str, Any] = {
    "D420 no inputs": {"inputs": []},
    "D420 inputs by name": {"inputs": {"features": [1]}},
    "D420 the same input twice": {"inputs": [_input(), _input()]},
    "D421 a shape that overflows": {"inputs": [_input(shape=[2**32, 2**32])]},
    "D421 a shape of 2^63": {"inputs": [_input(shape=[2**63, 3])]},
    "D421 a shape of 2^40": {"inputs": [_input(shape=[2**40, 3])]},
    "D421 a negative shape": {"inputs": [_input(shape=[-1, 3])]},
    "D421 a shape of 0 and 2^62": {"inputs": [_input(shape=[0, 2**62], data=[])]},
    "D421 a shape of fractions": {"inputs": [_input(shape=[1.0, 3])]},
    "D421 a shape of booleans": {"inputs": [_input(shape=[True, 3])]},
    "D421 a shape of 1,000 places": {"inputs": [_input(shape=[1] * 1_000)]},
    "D421 no shape": {"inputs": [_input(shape=None)]},
    "D422 more data than the shape": {"inputs": [_input(data=[1] * 1_000)]},
    "D422 less data": {"inputs": [_input(data=[1])]},
    "D422 ragged data": {"inputs": [_input(data=[[1, 2], [3]])]},
    "D422 data of texts": {"inputs": [_input(data=["a", "b", "c"])]},
    "D423 a type of nobody": {"inputs": [_input(datatype="FLOAT")]},
    "D423 integers beyond their type": {"inputs": [_input(datatype="INT8", data=[300, 1, 2])]},
    "D423 an output of nobody": {"inputs": [_input()], "outputs": [{"name": "nobody"}]},
    "D423 -1 classes": {"inputs": [_input()], "outputs": [{"name": "scores", "parameters": {"classification": -1}}]},
    "D424 an id of a number": {"inputs": [_input()], "id": 5},
    "D424 a negative timeout": {"inputs": [_input()], "parameters": {"timeout": -1}},
    "D425 shared memory": {"inputs": [_input(parameters={"shared_memory_region": "x", "shared_memory_offset": 2**63})]},
}

#: Requests of the Open Inference Protocol in JSON, as Triton's own tests of its inputs have them.
RECORDS = [
    Raw(name, json.dumps(record).encode(), INVALID, kinds=("tensor",), protocols=("open_inference",))
    for name, record in _RECORDS.items()
]
