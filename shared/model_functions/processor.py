"""Which precisions this machine's processor computes natively: engines emulate the others, many times slower."""

import os
from functools import cache
from pathlib import Path

#: The flags of /proc/cpuinfo any of which says that products of such numbers are computed.
FLAGS = {
    "bf16": {"avx512_bf16", "amx_bf16"},
    "int8": {"avx512_vnni", "avx_vnni", "amx_int8"},
}

#: Values of ``ONEDNN_MAX_CPU_ISA``, which keeps OpenVINO's kernels from newer instructions, and what they take away.
CAPS = {
    **dict.fromkeys(("SSE41", "AVX", "AVX2", "AVX512_CORE"), frozenset({"bf16", "int8"})),
    **dict.fromkeys(("AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE_VNNI"), frozenset({"bf16"})),
}


def computes(precision: str) -> bool:
    """Whether the processor has instructions for it; those of single precision are everywhere."""
    return precision not in FLAGS or precision in native(os.environ.get("ONEDNN_MAX_CPU_ISA", ""))


@cache
def native(cap: str = "", cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """The precisions of FLAGS that the processor computes; none where the system does not tell.

    Args:
        cap: a value of ``ONEDNN_MAX_CPU_ISA``.
    """
    found = frozenset(precision for precision, flags in FLAGS.items() if flags & _flags(cpuinfo))
    return found - CAPS.get(cap.upper(), frozenset())


def _flags(cpuinfo: Path) -> set[str]:
    try:
        with open(cpuinfo, encoding="ascii", errors="replace") as file:
            line = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return set()
    return set(line.partition(":")[2].split())
