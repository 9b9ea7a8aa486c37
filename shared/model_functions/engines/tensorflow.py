"""Runs SavedModels by TensorFlow's C library, as TensorFlow Serving does, without the package around it.

To import the package takes 3 s and 540 MB; to load the library, which brings every operation, 0.4 s and 350 MB.
"""

import ctypes
import importlib.util
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_functions.errors import InvalidInput
from model_functions.tensors import TensorSpec


@dataclass(frozen=True)
class Signature:
    """One of the functions that a SavedModel offers.

    Args:
        fed, fetched: the graph's own names, as ``serving_default_image:0``, of the inputs and of the outputs.
    """

    inputs: list[TensorSpec]
    outputs: list[TensorSpec]
    fed: dict[str, str]
    fetched: dict[str, str]


class SavedModel:
    """A model in TensorFlow's hands.

    Its files are arrays, which are on no disk but while TensorFlow reads them: an instance's /tmp is its memory.

    Args:
        files: bytes by their path within the model's folder.
        signatures: by name.
    """

    def __init__(self, files: dict[str, NDArray[np.uint8]], signatures: dict[str, Signature]) -> None:
        self.signatures = signatures
        self._files: dict[str, NDArray[np.uint8]] | None = files
        self._session = _Session(files)

    def run(self, signature: str, arrays: Mapping[str, NDArray[Any]], outputs: list[str]) -> list[Any]:
        """The signature's outputs of these names. Raises InvalidInput for what the graph itself refuses."""
        asked = self.signatures[signature]
        given = {asked.fed[name]: array for name, array in arrays.items()}
        return self._session.run(given, [asked.fetched[name] for name in outputs])

    def __getstate__(self) -> dict[str, Any]:
        if self._files is None:
            raise TypeError("a SavedModel that was loaded has given its files away")
        return {"files": self._files, "signatures": self.signatures}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.signatures = state["signatures"]
        # Not kept: TensorFlow has what it needs, and the files' memory goes.
        self._files = None
        self._session = _Session(state["files"])


class SignatureEngine:
    """A SavedModel by one of its signatures."""

    def __init__(self, model: SavedModel, name: str) -> None:
        self.model = model
        self.name = name
        self.inputs = model.signatures[name].inputs
        self.outputs = model.signatures[name].outputs
        self.sizes: Mapping[str, tuple[int, int | None]] = {}
        self.copied_bytes = 0, 0

    def run(self, arrays: dict[str, NDArray[Any]], outputs: list[str]) -> list[Any]:
        dtypes = {spec.name: spec.dtype for spec in self.inputs}
        given = {name: _narrowed(array, dtypes[name]) for name, array in arrays.items()}
        return self.model.run(self.name, given, outputs)


def _narrowed(array: NDArray[Any], dtype: str) -> NDArray[Any]:
    if dtype != "bfloat16":
        return array
    import ml_dtypes

    return array.astype(ml_dtypes.bfloat16)


#: TensorFlow's numbers of the types (TF_DataType in tf_datatype.h) that requests and answers can spell.
TYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "string",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    17: "uint16",
    19: "float16",
    22: "uint32",
    23: "uint64",
}
_NUMBERS = {name: number for number, name in TYPES.items()}
_STRING, _BFLOAT16 = _NUMBERS["string"], _NUMBERS["bfloat16"]

#: TF_Code: what the model says of its input, not of itself.
_INVALID_ARGUMENT, _OUT_OF_RANGE = 3, 11

#: Bytes of a TF_TString.
_STRING_SIZE = 24

_POINTER, _TEXT, _INT = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
_SIZES = ctypes.POINTER(ctypes.c_int64)


class _Output(ctypes.Structure):
    _fields_ = (("operation", _POINTER), ("index", _INT))


_POINTERS, _OUTPUTS = ctypes.POINTER(_POINTER), ctypes.POINTER(_Output)

#: Of each function of the C interface that is called: what it gives and what it takes.
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "TF_NewStatus": (_POINTER, []),
    "TF_DeleteStatus": (None, [_POINTER]),
    "TF_GetCode": (_INT, [_POINTER]),
    "TF_Message": (_TEXT, [_POINTER]),
    "TF_NewGraph": (_POINTER, []),
    "TF_DeleteGraph": (None, [_POINTER]),
    "TF_NewSessionOptions": (_POINTER, []),
    "TF_DeleteSessionOptions": (None, [_POINTER]),
    "TF_LoadSessionFromSavedModel": (
        _POINTER,
        [_POINTER, _POINTER, _TEXT, ctypes.POINTER(_TEXT), _INT, _POINTER, _POINTER, _POINTER],
    ),
    "TF_CloseSession": (None, [_POINTER, _POINTER]),
    "TF_DeleteSession": (None, [_POINTER, _POINTER]),
    "TF_GraphOperationByName": (_POINTER, [_POINTER, _TEXT]),
    "TF_SessionRun": (
        None,
        [_POINTER, _POINTER, _OUTPUTS, _POINTERS, _INT, _OUTPUTS, _POINTERS, _INT, _POINTER, _INT, _POINTER, _POINTER],
    ),
    "TF_AllocateTensor": (_POINTER, [_INT, _SIZES, _INT, ctypes.c_size_t]),
    "TF_DeleteTensor": (None, [_POINTER]),
    "TF_TensorData": (_POINTER, [_POINTER]),
    "TF_TensorByteSize": (ctypes.c_size_t, [_POINTER]),
    "TF_TensorType": (_INT, [_POINTER]),
    "TF_NumDims": (_INT, [_POINTER]),
    "TF_Dim": (ctypes.c_int64, [_POINTER, _INT]),
    "TF_StringInit": (None, [_POINTER]),
    "TF_StringCopy": (None, [_POINTER, _TEXT, ctypes.c_size_t]),
    "TF_StringDealloc": (None, [_POINTER]),
    "TF_StringGetSize": (ctypes.c_size_t, [_POINTER]),
    "TF_StringGetDataPointer": (_POINTER, [_POINTER]),
}


@cache
def library() -> Any:
    """The C library that the package brings, made quiet, its functions declared; the package itself is not imported."""
    found = importlib.util.find_spec("tensorflow")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    folder = Path(found.submodule_search_locations[0])
    with _nothing_said():
        ctypes.CDLL(str(next(folder.glob("libtensorflow_framework.*"))))
    whole = ctypes.CDLL(str(next(folder.glob("libtensorflow_cc.*"))))
    for name, (gives, takes) in _FUNCTIONS.items():
        function = getattr(whole, name)
        function.restype, function.argtypes = gives, takes
    return whole


@contextmanager
def _nothing_said() -> Iterator[None]:
    """Standard error goes nowhere: what TensorFlow says while it is loaded, no setting keeps it from saying."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class _Session:
    """A loaded graph with its variables and tables."""

    def __init__(self, files: dict[str, NDArray[np.uint8]]) -> None:
        self._library = library()
        self._graph = self._library.TF_NewGraph()
        self._operations: dict[str, _Output] = {}
        with tempfile.TemporaryDirectory(prefix="model-") as folder:
            for name, data in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data.data)
            self._session = self._load(folder)

    def run(self, arrays: Mapping[str, NDArray[Any]], outputs: list[str]) -> list[NDArray[Any]]:
        """The graph's tensors of these names, given others."""
        library = self._library
        answers = (_POINTER * len(outputs))()
        inputs = (_Output * len(arrays))(*map(self._output, arrays))
        asked = (_Output * len(outputs))(*map(self._output, outputs))
        # An answer may be an input's very strings, so it is copied while those are there.
        with self._tensors(arrays) as given, self._status() as status:
            library.TF_SessionRun(
                *(self._session, None, inputs, given, len(arrays), asked, answers, len(outputs), None, 0, None, status)
            )
            self._check(status)
            try:
                return [self._array(tensor) for tensor in answers]
            finally:
                for tensor in answers:
                    library.TF_DeleteTensor(tensor)

    def __del__(self) -> None:
        if getattr(self, "_session", None):
            with self._status() as status:
                self._library.TF_CloseSession(self._session, status)
                self._library.TF_DeleteSession(self._session, status)
        if getattr(self, "_graph", None):
            self._library.TF_DeleteGraph(self._graph)

    def _load(self, folder: str) -> Any:
        library, options = self._library, self._library.TF_NewSessionOptions()
        tags = (_TEXT * 1)(b"serve")
        try:
            with self._status() as status:
                session = library.TF_LoadSessionFromSavedModel(
                    options, None, folder.encode(), tags, len(tags), self._graph, None, status
                )
                if library.TF_GetCode(status):
                    raise ValueError(f"TensorFlow cannot load the model: {self._message(status)}")
                return session
        finally:
            library.TF_DeleteSessionOptions(options)

    def _output(self, name: str) -> _Output:
        if name not in self._operations:
            operation, _, index = name.partition(":")
            found = self._library.TF_GraphOperationByName(self._graph, operation.encode())
            if not found:
                raise ValueError(f"The graph has no operation {operation}, which a signature names.")
            self._operations[name] = _Output(found, int(index or 0))
        return self._operations[name]

    @contextmanager
    def _tensors(self, arrays: Mapping[str, NDArray[Any]]) -> Iterator[Any]:
        """The arrays as TensorFlow's, for as long as it reads them."""
        made: list[tuple[Any, int]] = []
        try:
            made.extend(map(self._tensor, arrays.values()))
            yield (_POINTER * len(made))(*(tensor for tensor, _ in made))
        finally:
            for tensor, strings in made:
                start = self._library.TF_TensorData(tensor)
                for index in range(strings):
                    self._library.TF_StringDealloc(start + index * _STRING_SIZE)
                self._library.TF_DeleteTensor(tensor)

    def _tensor(self, array: NDArray[Any]) -> tuple[Any, int]:
        """TensorFlow's own copy of the array, and how many strings it has."""
        if array.dtype == object:
            return self._strings(array)
        tensor = self._allocated(array, _NUMBERS[array.dtype.name], array.nbytes)
        whole = np.ascontiguousarray(array)
        ctypes.memmove(self._library.TF_TensorData(tensor), whole.ctypes.data, array.nbytes)
        return tensor, 0

    def _strings(self, array: NDArray[Any]) -> tuple[Any, int]:
        tensor = self._allocated(array, _STRING, array.size * _STRING_SIZE)
        start = self._library.TF_TensorData(tensor)
        for index, text in enumerate(array.flat):
            place = start + index * _STRING_SIZE
            data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
            self._library.TF_StringInit(place)
            self._library.TF_StringCopy(place, data, len(data))
        return tensor, array.size

    def _allocated(self, array: NDArray[Any], number: int, size: int) -> Any:
        shape = (ctypes.c_int64 * array.ndim)(*array.shape)
        return self._library.TF_AllocateTensor(number, shape, array.ndim, size)

    def _array(self, tensor: Any) -> NDArray[Any]:
        """A copy of the tensor's values; strings are bytes, and bfloat16 is widened."""
        library, number = self._library, self._library.TF_TensorType(tensor)
        shape = [library.TF_Dim(tensor, axis) for axis in range(library.TF_NumDims(tensor))]
        start, size = library.TF_TensorData(tensor), library.TF_TensorByteSize(tensor)
        if number == _STRING:
            texts = np.empty(size // _STRING_SIZE, dtype=object)
            for index in range(len(texts)):
                place = start + index * _STRING_SIZE
                texts[index] = ctypes.string_at(library.TF_StringGetDataPointer(place), library.TF_StringGetSize(place))
            return texts.reshape(shape)
        data = ctypes.string_at(start, size) if size else b""
        if number == _BFLOAT16:
            wide = np.frombuffer(data, np.uint16).astype(np.uint32) << 16
            return wide.view(np.float32).reshape(shape)
        return np.frombuffer(data, TYPES[number]).reshape(shape)

    @contextmanager
    def _status(self) -> Iterator[Any]:
        status = self._library.TF_NewStatus()
        try:
            yield status
        finally:
            self._library.TF_DeleteStatus(status)

    def _check(self, status: Any) -> None:
        code = self._library.TF_GetCode(status)
        if code in (_INVALID_ARGUMENT, _OUT_OF_RANGE):
            raise InvalidInput("data", f"The model cannot take this data: {self._message(status)}")
        if code:
            raise RuntimeError(f"TensorFlow failed with code {code}: {self._message(status)}")

    def _message(self, status: Any) -> str:
        """The reason without the places in the graph that follow it."""
        text: str = self._library.TF_Message(status).decode("utf-8", "replace")
        return text.partition("\n")[0].partition("[[")[0].strip()[:300]
