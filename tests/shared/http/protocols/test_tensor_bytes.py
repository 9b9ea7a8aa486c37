import numpy as np
import pytest

from model_functions.errors import InvalidInput
from model_functions.http.protocols.datatypes import DTYPES, SIZES
from model_functions.http.protocols.tensor_bytes import datatype_of, from_bytes, to_bytes
from model_functions.tensors import TensorSpec


@pytest.mark.parametrize("datatype", SIZES)
@pytest.mark.parametrize("offset", range(8))
def test_bytes_become_an_array_wherever_they_lie(datatype: str, offset: int) -> None:
    values = np.array([0, 1, 2], "float32" if datatype == "BF16" else DTYPES[datatype])
    data = memoryview(b"x" * offset + bytes(to_bytes(values, datatype)))[offset:]
    found = from_bytes(data, datatype, [3, 1], "x")
    assert found.flags.aligned
    assert (found.shape, found.reshape(-1).tolist()) == ((3, 1), values.tolist())


def test_what_lies_well_is_not_copied() -> None:
    data = np.arange(4, dtype=np.float32)
    found = from_bytes(data.data.cast("B"), "FP32", [2, 2], "x")
    assert np.shares_memory(found, data)
    assert np.shares_memory(np.frombuffer(to_bytes(data, "FP32"), np.uint8), data)


def test_bfloat16_is_rounded_to_the_nearest_and_keeps_what_is_no_number() -> None:
    spec = TensorSpec("x", "bfloat16", (None,))
    # A half of the last place, ties to even; beyond the largest it is infinite.
    given = np.array([1.0, 1 + 2**-8, 1 + 3 * 2**-8, -2.5, 3.4e38, np.inf, -np.inf, np.nan], np.float32)
    assert datatype_of(given, spec) == "BF16"
    data = to_bytes(given, "BF16")
    assert len(data) == 2 * len(given)
    found = from_bytes(memoryview(data), "BF16", [len(given)], "x")
    np.testing.assert_array_equal(found, [1, 1, 1 + 2**-6, -2.5, np.inf, np.inf, -np.inf, np.nan])


def test_strings_have_their_lengths_before_them() -> None:
    given = np.array([b"", b"a\x00", "é".encode()], object)
    data = to_bytes(given, "BYTES")
    assert data == b"\0\0\0\0\2\0\0\0a\0\2\0\0\0\xc3\xa9"
    assert from_bytes(memoryview(data), "BYTES", [3], "x").tolist() == given.tolist()


def test_arrays_that_are_not_in_order_are_put_so() -> None:
    data = np.arange(6, dtype=np.int16).reshape(2, 3).T
    assert from_bytes(memoryview(to_bytes(data, "INT16")), "INT16", [3, 2], "x").tolist() == data.tolist()
    assert to_bytes(np.zeros((0, 2)), "FP64") == b""


@pytest.mark.parametrize(
    ("datatype", "data", "message"),
    [
        ("FP32", b"123", "x has 3 bytes; FP32 of the shape [2] has 8."),
        ("BOOL", b"1", "x has 1 bytes; BOOL of the shape [2] has 2."),
        ("BYTES", b"\1\0", "x ends in the middle of string 0. Send its length in 4 bytes, then its bytes."),
        ("BYTES", b"\0\0\0\0\xff\xff\xff\xffa", "x ends in the middle of string 1."),
        ("BYTES", b"\0\0\0\0", "x holds 1 strings, and its shape has 2. Send as many."),
        ("BYTES", bytes(4 * 9), "x holds more than 2 strings, and its shape has 2. Send as many."),
    ],
)
def test_bytes_that_are_no_tensor_are_refused(datatype: str, data: bytes, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        from_bytes(memoryview(data), datatype, [2], "x")
    assert caught.value.message.startswith(message)
