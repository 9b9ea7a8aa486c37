import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_functions.artifact import stream
from model_functions.artifact.manifest import WeightsLayout
from model_functions.artifact.region import Region
from model_functions.engines import Half
from model_functions.errors import GlobalRefused
from model_functions.wrapper import ModelWrapper
from tests.tiny_models import TEXT

ROOT = Path(__file__).parents[3]


def round_trip(value: Any) -> Any:
    serialized = stream.dump(value)
    _, names = stream.load_and_list(serialized)
    region = Region.of(serialized.weights, serialized.layout)
    return stream.load(serialized.stream, region, names)


@pytest.mark.parametrize("name", ["tagger", "summarizer", "translator", "classifier"])
def test_a_wrapper_predicts_the_same_after_a_round_trip(name: str, request: pytest.FixtureRequest) -> None:
    wrapper: ModelWrapper = request.getfixturevalue(name)
    data: Any = [0.5, 1.0, 2.0] if name == "classifier" else TEXT
    assert round_trip(wrapper).predict(data) == wrapper.predict(data)


def test_shared_and_strided_tensors_stay_so() -> None:
    import torch

    base = torch.arange(12, dtype=torch.bfloat16).reshape(3, 4)
    first, second, tied, empty = round_trip([base, base.t()[1:], base, torch.empty(0)])
    assert torch.equal(second, base.t()[1:])
    assert first is tied
    first[0, 1] = 99
    assert second[0, 0] == 99, "a view must still look at the same memory"
    assert empty.shape == (0,)


def test_a_parameter_can_be_written_to_after_loading() -> None:
    import torch

    layer = round_trip(torch.nn.Linear(2, 2))
    with torch.no_grad():
        layer.weight.zero_()
    assert not layer.weight.any()


def test_several_empty_arrays_are_no_trouble() -> None:
    arrays = round_trip([np.empty(0), np.empty((0, 3)), np.arange(3)])
    assert [array.shape for array in arrays] == [(0,), (0, 3), (3,)]


def test_a_halved_array_that_two_hold_is_stored_once_and_again_once() -> None:
    array = np.arange(4096, dtype=np.float32).reshape(64, 64)
    once = stream.dump([Half(array), Half(array)])
    again = stream.dump([Half(found) for found in stream.load_and_list(once)[0]])
    assert len(again.weights) == len(once.weights) == len(stream.dump([Half(array)]).weights)
    turned = stream.load_and_list(stream.dump([Half(array), Half(array.T)]))[0]
    assert np.array_equal(turned[1], turned[0].T)


@pytest.mark.slow
def test_the_same_model_gives_the_same_bytes_in_every_process(marian_folder: Path) -> None:
    code = (
        "import sys, hashlib\n"
        "from model_functions.families.translation import TranslationWrapper\n"
        "from model_functions.artifact import stream\n"
        "wrapper = TranslationWrapper.from_source(sys.argv[1])\n"
        "print(hashlib.sha256(b''.join(stream.dump((wrapper, {'a', 'b', 'c', 'd'}))[:2])).hexdigest())\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code, str(marian_folder)],
            env=os.environ | {"PYTHONPATH": str(ROOT / "shared"), "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_where_the_model_was_loaded_from_is_not_in_the_stream(marian_folder: Path, translator: ModelWrapper) -> None:
    assert str(marian_folder).encode() not in b"".join(stream.dump(translator)[:2])


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("echo gotcha >&2; touch gotcha",)


def test_an_import_that_is_not_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data, weights, layout = stream.dump(Evil())
    with pytest.raises(GlobalRefused, match="The artifact imports posix:system, which its manifest does not list"):
        stream.load(data, Region.of(weights, layout), ["collections:OrderedDict"])
    assert not (tmp_path / "gotcha").exists()


def test_what_cannot_be_serialized_is_named() -> None:
    with pytest.raises(ValueError, match="The wrapper cannot be serialized"):
        stream.dump({"frame": sys._getframe()})


def test_packages_are_those_of_the_imports(classifier: ModelWrapper) -> None:
    _, names = stream.load_and_list(stream.dump(classifier))
    packages = stream.packages_of(names)
    assert {"dill", "numpy", "scikit-learn"} <= set(packages)
    assert "torch" not in packages
    assert all(packages.values())


def test_a_stream_of_version_1_is_read() -> None:
    """Its tensors' bytes are in the stream."""
    import torch

    data = (Path(__file__).parent / "data" / "stream_v1.dill").read_bytes()
    names = ["torch._utils:_rebuild_tensor_v2", "torch:float32", "torch:bfloat16", "collections:OrderedDict"]
    base, view, small = stream.load(data, Region.of(b"", WeightsLayout(0, 0)), names)
    assert torch.equal(base, torch.arange(6, dtype=torch.float32).reshape(2, 3))
    base[0, 1] = 9
    assert view[0, 0] == 9
    assert small.dtype == torch.bfloat16
