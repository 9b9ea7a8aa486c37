"""What a wrapper may hold comes back as it was: values, types, what is shared, and how memory is looked at."""

import json
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_functions.artifact import stream
from model_functions.artifact.region import Region
from model_functions.artifact.stream import Serialized
from model_functions.engines import Half

N = 5000


def round_trip(value: Any) -> Any:
    return loaded(stream.dump(value))


def loaded(serialized: Serialized) -> Any:
    _, names = stream.load_and_list(serialized)
    return stream.load(serialized.stream, Region.of(serialized.weights, serialized.layout), names)


def tensors() -> dict[str, Callable[[], Any]]:
    import torch

    base = torch.arange(N, dtype=torch.float32)
    dtypes = (
        *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
        *(torch.uint16, torch.uint32, torch.uint64, torch.float16, torch.bfloat16, torch.float32, torch.float64),
        *(torch.complex64, torch.complex128, torch.float8_e4m3fn, torch.float8_e5m2),
    )
    made: dict[str, Callable[[], Any]] = {str(dtype): partial(base.to, dtype) for dtype in dtypes}
    return made | {
        "scalar": lambda: torch.tensor(3.5),
        "empty": lambda: torch.empty(0, 3),
        "transposed": lambda: base.reshape(50, 100).t(),
        "strided": lambda: base[3::7],
        "expanded": lambda: base[:10].reshape(10, 1).expand(10, 40),
        "conjugate": lambda: torch.complex(base, base).conj(),
        "negated view": lambda: torch.complex(base, base).conj().imag,
        "sparse coo": lambda: torch.eye(40).to_sparse(),
        "sparse csr": lambda: torch.eye(40).to_sparse_csr(),
    }


def arrays() -> dict[str, Callable[[], Any]]:
    base = np.arange(N)
    padded = np.dtype({"names": ["a", "b"], "formats": ["u1", "f8"], "offsets": [0, 8], "itemsize": 24})
    structured = np.zeros(N, padded)
    structured["b"] = base
    dtypes = ("?", "u1", "i2", ">i4", "u8", "f2", "f4", ">f8", "g", "c8", "c16", "M8[s]", "m8[ms]", "U7", "S5")
    made: dict[str, Callable[[], Any]] = {dtype: partial(base.astype, dtype) for dtype in dtypes}
    return made | {
        "structured": lambda: structured,
        "record": lambda: np.rec.array(structured),
        "object": lambda: np.array([None, "x", 3] * N, dtype=object),
        "scalar": lambda: np.array(5.0),
        "fortran": lambda: np.asfortranarray(base.reshape(50, 100)),
        "transposed": lambda: base.reshape(50, 100).T,
        "backwards": lambda: base[::-1],
        "strided": lambda: np.arange(4 * N)[1::3],
        "broadcast": lambda: np.broadcast_to(base[:600], (9, 600)),
        "masked": lambda: np.ma.masked_array(base, base % 2 == 1),
        "small": lambda: np.arange(3),
    }


@pytest.mark.filterwarnings("ignore:Sparse CSR")
@pytest.mark.parametrize("name", tensors())
def test_a_tensor(name: str) -> None:
    import torch

    tensor = tensors()[name]()
    back = round_trip(tensor)
    assert (back.dtype, back.shape, back.layout) == (tensor.dtype, tensor.shape, tensor.layout)
    if tensor.layout == torch.strided:
        assert back.stride() == tensor.stride()
        assert (back.is_conj(), back.is_neg()) == (tensor.is_conj(), tensor.is_neg())
    else:
        back, tensor = back.to_dense(), tensor.to_dense()
    # Bit for bit: not every type can be compared by value.
    same = (value.resolve_conj().resolve_neg().contiguous().flatten().view(torch.uint8) for value in (back, tensor))
    assert torch.equal(*same)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor", "ignore:TypedStorage")
def test_a_quantized_tensor() -> None:
    import torch

    tensor = torch.quantize_per_tensor(torch.arange(N) / 7, 0.1, 3, torch.qint8)
    back = round_trip(tensor)
    assert torch.equal(back.int_repr(), tensor.int_repr())
    assert (back.q_scale(), back.q_zero_point(), back.dtype) == (0.1, 3, torch.qint8)


def test_a_meta_tensor_has_no_bytes() -> None:
    import torch

    serialized = stream.dump(torch.empty(N, N, device="meta"))
    assert serialized.weights == b""
    assert loaded(serialized).device.type == "meta"


def test_tied_weights_are_stored_once_and_stay_tied() -> None:
    import torch

    first, second = torch.nn.Linear(100, 100), torch.nn.Linear(100, 100)
    second.weight = first.weight
    serialized = stream.dump([first, second])
    assert len(serialized.weights) < 4096 + 100 * 100 * 4 + 2 * 100 * 4 + 200
    first, second = loaded(serialized)
    assert first.weight is second.weight
    assert isinstance(first.weight, torch.nn.Parameter)


def test_views_of_one_tensor_stay_views_of_it() -> None:
    import torch

    base = torch.zeros(N)
    whole, part, bits = round_trip([base, base[10:20], base.view(torch.int32)])
    part.fill_(1.0)
    assert whole[10:20].eq(1).all()
    assert bits[10] == 0x3F800000


@pytest.mark.parametrize("name", arrays())
def test_an_array(name: str) -> None:
    array = arrays()[name]()
    back = round_trip(array)
    assert (type(back), back.dtype, back.shape) == (type(array), array.dtype, array.shape)
    assert back.flags.writeable == array.flags.writeable
    np.testing.assert_array_equal(back, array)


def test_a_memory_mapped_array_comes_back_as_a_plain_one(tmp_path: Path) -> None:
    np.arange(N).tofile(tmp_path / "x")
    back = round_trip(np.memmap(tmp_path / "x", np.int64))
    assert type(back) is np.ndarray
    np.testing.assert_array_equal(back, np.arange(N))


def test_views_of_one_array_stay_views_of_it() -> None:
    base = np.zeros((N, 2))
    whole, column, again = round_trip([base, base[::2, 1], base])
    column[:] = 7
    assert whole[0].tolist() == [0, 7]
    assert again is whole


def test_arrays_that_are_made_while_pickling_are_not_mixed_up() -> None:
    """Each dies before the next is made, at the same address."""

    class Maker:
        def __init__(self, number: int) -> None:
            self.number = number

        def __getstate__(self) -> dict[str, Any]:
            return {"array": np.full(N, self.number)}

    assert [maker.array[0] for maker in round_trip([Maker(number) for number in range(20)])] == list(range(20))


def test_long_bytes_leave_the_stream() -> None:
    serialized = stream.dump([b"x" * N, bytearray(b"y" * 10)])
    assert len(serialized.stream) < 1000
    assert loaded(serialized) == [b"x" * N, bytearray(b"y" * 10)]


def test_half_precision_is_widened_in_memory() -> None:
    first = np.linspace(-3, 3, N, dtype=np.float32).reshape(50, 100)
    second, whole = np.array([1.5, 2.5], np.float32), np.arange(N, dtype=np.float32)
    serialized = stream.dump([Half(first), whole, Half(second)])
    assert len(serialized.weights) < 4096 + 2 * N + 4 * N + 200
    one, three, two = loaded(serialized)
    assert one.dtype == two.dtype == np.float32
    np.testing.assert_array_equal(one, first.astype(np.float16).astype(np.float32))
    np.testing.assert_array_equal(two, second)
    np.testing.assert_array_equal(three, whole)


def estimators() -> dict[str, Callable[[], Any]]:
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    return {
        "forest": lambda: RandomForestRegressor(20, random_state=0),
        "boosting": lambda: HistGradientBoostingClassifier(max_iter=20, random_state=0),
        "neighbours": lambda: KNeighborsClassifier(),
        "svm": lambda: SVC(),
    }


@pytest.mark.parametrize("name", estimators())
def test_an_estimator_predicts_the_same(name: str) -> None:
    rows = np.random.default_rng(0).normal(size=(400, 5))
    estimator = estimators()[name]().fit(rows, (rows.sum(axis=1) > 0).astype(int))
    np.testing.assert_array_equal(round_trip(estimator).predict(rows), estimator.predict(rows))


def test_a_text_pipeline_predicts_the_same() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts = [f"word{number} word{number % 7} is {'good' if number % 2 else 'bad'}" for number in range(300)]
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [n % 2 for n in range(300)])
    np.testing.assert_array_equal(round_trip(pipeline).predict_proba(texts), pipeline.predict_proba(texts))


def test_a_tokenizer_encodes_the_same() -> None:
    from tests.tiny_models import TEXT, tokenizer

    own = tokenizer()
    assert round_trip(own)(TEXT).data == own(TEXT).data
    assert round_trip(own.backend_tokenizer).encode(TEXT).ids == own.backend_tokenizer.encode(TEXT).ids


def test_the_weights_are_valid_safetensors(tmp_path: Path) -> None:
    import torch
    from safetensors import safe_open

    odd = torch.arange(33, dtype=torch.bfloat16)
    serialized = stream.dump([torch.ones(3), odd, np.arange(N), b"z" * N, Half(np.ones((5, 5), np.float32))])
    file = tmp_path / "weights.safetensors"
    file.write_bytes(serialized.weights)
    with safe_open(file, "pt") as opened:
        found = [opened.get_tensor(name) for name in opened.keys()]  # noqa: SIM118 - no mapping
    assert any(tensor.dtype == torch.bfloat16 and torch.equal(tensor, odd) for tensor in found)
    assert any(tensor.dtype == torch.float16 and tensor.shape == (25,) for tensor in found)
    header = json.loads(serialized.weights[8 : serialized.layout.start])
    assert serialized.layout.start % 4096 == 0
    offsets = sorted(entry["data_offsets"] for entry in header.values())
    assert offsets[0][0] == 0
    assert all(before[1] == after[0] for before, after in pairwise(offsets))


def test_tensors_lie_aligned_in_memory() -> None:
    import torch

    found = round_trip([torch.ones(3), torch.ones(5, dtype=torch.int8), np.arange(N), torch.ones(7)])
    assert all(tensor.data_ptr() % 64 == 0 for tensor in found if isinstance(tensor, torch.Tensor))
    assert found[2].ctypes.data % 64 == 0
