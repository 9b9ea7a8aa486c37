"""What the processor computes is read off its flags, and a mask of the engine's counts."""

from pathlib import Path

import pytest

from model_functions import processor
from model_functions.processor import computes, native

#: Of processors that Google Cloud has, shortened.
FLAGS = {
    "Haswell": ("fpu sse4_2 avx avx2 fma", set()),
    "Cascade Lake": ("avx2 avx512f avx512bw avx512_vnni", {"int8"}),
    "Milan": ("avx avx2 fma vaes", set()),
    "Sapphire Rapids": ("avx2 avx512_vnni avx512_bf16 amx_bf16 amx_tile amx_int8", {"bf16", "int8"}),
    "Turin": ("avx2 avx_vnni avx512_bf16 avx512_vnni", {"bf16", "int8"}),
}


@pytest.fixture
def cpuinfo(tmp_path: Path) -> Path:
    return tmp_path / "cpuinfo"


@pytest.mark.parametrize("name", FLAGS)
def test_flags_tell(name: str, cpuinfo: Path) -> None:
    flags, expected = FLAGS[name]
    cpuinfo.write_text(f"processor\t: 0\nmodel name\t: {name}\nflags\t\t: {flags}\nbugs\t: avx512_bf16\n")
    assert native("", cpuinfo) == expected


@pytest.mark.parametrize(
    ("mask", "expected"),
    [("AVX2", set()), ("avx512_core", set()), ("AVX512_CORE_VNNI", {"int8"}), ("AVX512_CORE_BF16", {"bf16", "int8"})],
)
def test_what_the_engine_may_not_use_is_not_there(mask: str, expected: set[str], cpuinfo: Path) -> None:
    cpuinfo.write_text("flags\t\t: avx512_vnni avx512_bf16\n")
    assert native(mask, cpuinfo) == expected


def test_where_the_system_does_not_tell_nothing_is_native(cpuinfo: Path) -> None:
    assert native("", cpuinfo) == set()
    cpuinfo.write_text("Features\t: fp asimd bf16\n")
    assert native("AVX2", cpuinfo) == set()


def test_single_precision_is_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "native", lambda cap: frozenset())
    assert computes("fp32")
    assert computes("fp16")
    assert not computes("bf16")
