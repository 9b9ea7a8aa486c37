"""Reads what ``/v2/models/{model}/infer`` is asked: JSON, and the bytes of tensors behind it.

Sources: as those of inference.py.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

from model_functions.errors import InvalidInput, InvalidRequest
from model_functions.http.body import media_type, parse_json, read_body, read_json, read_split
from model_functions.http.coding import asked_coding
from model_functions.http.message import Request
from model_functions.http.protocols.datatypes import DTYPES
from model_functions.http.protocols.inference import HEADER, Asked, InferQuestion, Wanted
from model_functions.inputs import json_type
from model_functions.tensors import MAX_RANK

#: Values of a tensor: none can have more bytes than a body.
MAX_COUNT = 2**40


def read_infer(request: Request, limit: int) -> InferQuestion:
    """Raises InvalidRequest, InvalidInput and what reading a body raises."""
    length = request.headers.get(HEADER.lower())
    coding = asked_coding(request.headers.get("accept-encoding", ""))
    if length is None:
        # What aiohttp calls bytes of which nobody says what they are, and so Triton's asynchronous client its JSON.
        unnamed = media_type(request) == "application/octet-stream"
        body = parse_json(read_body(request, limit)) if unnamed else read_json(request, limit)
        return _question(body, memoryview(b""), request, coding)
    size = int(length) if length.isascii() and length.isdecimal() and len(length) < 12 else -1
    head, data = read_split(request, limit, max(size, 0))
    if len(head) != size:
        count = len(head) + len(data)
        raise InvalidRequest(
            f'The header {HEADER} is "{length[:20]}", and the body has {count} bytes. Send the length of its JSON.'
        )
    if size == 0:
        return InferQuestion(None, data, {}, as_bytes=True, coding=coding)
    return _question(parse_json(head.tobytes()), data, request, coding)


def shorten_by_timeout(request: Request, parameters: Mapping[str, Any]) -> None:
    """``timeout``, in microseconds, is how long the caller waits; 0 is as long as it takes."""
    microseconds = parameters.get("timeout", 0)
    if isinstance(microseconds, bool) or not isinstance(microseconds, int) or microseconds < 0:
        raise InvalidInput(
            "parameters.timeout", f'"timeout" is {json.dumps(microseconds)[:40]}. Send an integer of microseconds.'
        )
    if microseconds:
        request.caller.shorten(microseconds / 1e6)


def parameters_of(record: Mapping[str, Any], path: str) -> dict[str, Any]:
    parameters = record.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise InvalidInput(path, f"{path} is {json_type(parameters)}. Send an object by name.")
    return parameters


def _question(body: Any, data: memoryview, request: Request, coding: str) -> InferQuestion:
    if not isinstance(body, dict):
        raise InvalidInput("", f'The body is {json_type(body)}. Send an object: {{"inputs": [TENSOR, …]}}.')
    parameters = parameters_of(body, "parameters")
    shorten_by_timeout(request, parameters)
    number = body.get("id")
    if number is not None and not isinstance(number, str):
        raise InvalidInput("id", f'"id" is {json_type(number)}. Send a string.')
    return InferQuestion(
        None,
        _inputs(_records(body, "inputs"), data),
        parameters,
        id=number,
        wanted=_outputs(_records(body, "outputs")) if body.get("outputs") is not None else [],
        as_bytes=_flag(parameters, "binary_data_output", "parameters") or False,
        coding=coding,
    )


def _records(body: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = body.get(key)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        what = "something else than objects" if isinstance(found, list) else json_type(found)
        raise InvalidInput(key, f'"{key}" is {what}. Send a list of tensors: [{{"name": NAME, …}}].')
    if key == "inputs" and not found:
        raise InvalidInput(key, '"inputs" is an empty list. Send a tensor for each input.')
    return found


def _inputs(records: list[dict[str, Any]], data: memoryview) -> list[Asked]:
    """The inputs, with their parts of the bytes that follow the JSON."""
    found: list[Asked] = []
    names: set[str] = set()
    start = 0
    for index, record in enumerate(records):
        path = f"inputs[{index}]"
        one = _input(record, path)
        if one.name in names:
            raise InvalidInput(path, f'The input "{one.name[:60]}" stands twice. Send it once.')
        names.add(one.name)
        parameters = parameters_of(record, f"{path}.parameters")
        if "shared_memory_region" in parameters:
            raise InvalidInput(path, f"{path} lies in shared memory, which a function shares with nobody. Send it.")
        size = parameters.get("binary_data_size")
        if size is None and "data" not in record:
            raise InvalidInput(path, f'{path} has neither "data" nor a "binary_data_size". Send one of them.')
        if size is not None:
            one.data = _part(data, start, size, path)
            start += size
        found.append(one)
    if start != len(data):
        raise InvalidInput(
            "inputs", f"{len(data)} bytes follow the JSON, and the inputs' binary_data_size make {start}. Send as many."
        )
    return found


def _input(record: dict[str, Any], path: str) -> Asked:
    name, datatype, shape = record.get("name"), record.get("datatype"), record.get("shape")
    if not isinstance(name, str) or not name:
        raise InvalidInput(f"{path}.name", f"{path}.name is {json_type(name)}. Send the input's name as a string.")
    if not isinstance(datatype, str) or datatype not in DTYPES:
        known = ", ".join(DTYPES)
        raise InvalidInput(f"{path}.datatype", f"{path}.datatype is {json.dumps(datatype)[:40]}. Send one of {known}.")
    sizes: list[Any] = shape if isinstance(shape, list) and len(shape) <= MAX_RANK else [None]
    if not all(type(size) is int and size >= 0 for size in sizes):
        raise InvalidInput(
            f"{path}.shape", f"{path}.shape is {json.dumps(shape)[:60]}. Send a list of sizes, as [1, 3]."
        )
    # A shape may be empty, and its other sizes as large as they like; numpy counts them in 64 bits all the same.
    if math.prod(max(size, 1) for size in sizes) > MAX_COUNT:
        raise InvalidInput(f"{path}.shape", f"{path}.shape has more than {MAX_COUNT} values. Send fewer per request.")
    return Asked(name, path, datatype, sizes, record.get("data"))


def _part(data: memoryview, start: int, size: Any, path: str) -> memoryview:
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= len(data) - start:
        raise InvalidInput(
            f"{path}.parameters.binary_data_size",
            f"{path} has a binary_data_size of {json.dumps(size)[:40]}, and {len(data) - start} bytes are left for it.",
        )
    return data[start : start + size]


def _outputs(records: list[dict[str, Any]]) -> list[Wanted]:
    found = []
    for index, record in enumerate(records):
        path = f"outputs[{index}]"
        name, parameters = record.get("name"), parameters_of(record, f"{path}.parameters")
        if not isinstance(name, str):
            raise InvalidInput(f"{path}.name", f"{path}.name is {json_type(name)}. Send the output's name as a string.")
        classes = parameters.get("classification", 0)
        if isinstance(classes, bool) or not isinstance(classes, int) or classes < 0:
            raise InvalidInput(
                f"{path}.parameters.classification",
                f'"classification" is {json.dumps(classes)[:40]}. Send how many of the best classes you want.',
            )
        found.append(Wanted(name, _flag(parameters, "binary_data", f"{path}.parameters"), classes))
    return found


def _flag(parameters: Mapping[str, Any], name: str, path: str) -> bool | None:
    value = parameters.get(name)
    if value is not None and not isinstance(value, bool):
        raise InvalidInput(f"{path}.{name}", f'"{name}" is {json_type(value)}. Send true or false.')
    return value
