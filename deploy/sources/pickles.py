"""What a pickle would import, read off its opcodes: nothing of it is loaded."""

import bz2
import lzma
import pickletools
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Bytes of a pickle that are looked at: its classes stand before most of its arrays.
_LOOKED_AT = 8 * 1024 * 1024

#: What joblib compresses with, by the first bytes.
_DECOMPRESSORS: dict[bytes, Callable[[], Any]] = {
    b"\x1f\x8b": lambda: zlib.decompressobj(wbits=31),
    b"\x78": zlib.decompressobj,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ": lzma.LZMADecompressor,
    b"\x5d\x00": lzma.LZMADecompressor,
}

#: How a compressed pickle begins.
COMPRESSED = tuple(_DECOMPRESSORS)

#: What no model needs while it is loaded, and whoever wants to run commands does.
_SUSPICIOUS = ("eval", "exec", "compile", "__import__", "getattr", "open")
_SUSPICIOUS_MODULES = (
    *("os", "posix", "nt", "subprocess", "sys", "socket", "shutil", "runpy", "importlib", "pty", "ctypes"),
    *("urllib", "webbrowser", "multiprocessing", "asyncio", "pdb", "timeit"),
)


def is_pickle(head: bytes) -> bool:
    """Whether the bytes begin a pickle, compressed or not; of the oldest protocols, which have no mark, not."""
    return head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")


def content(path: Path) -> bytes:
    """The start of a pickle's file, decompressed as joblib would do it. Raises ValueError for a broken one."""
    with open(path, "rb") as file:
        data = file.read(_LOOKED_AT)
    for prefix, decompressor in _DECOMPRESSORS.items():
        if data.startswith(prefix):
            try:
                return bytes(decompressor().decompress(data, _LOOKED_AT))
            except (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError) as exc:
                raise ValueError(f"{path.name} is compressed, and cannot be decompressed: {exc}") from exc
    return data


def names_in(data: bytes) -> tuple[str, ...]:
    """Every ``module:name`` that the pickle names, as far as it can be read; an array in its stream may end that."""
    found: dict[str, None] = {}
    strings: list[str] = []
    memo: dict[int, str] = {}
    top = ""
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in ("MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT"):
                memo[len(memo) if argument is None else int(argument)] = top
                continue
            top = memo.get(int(argument or 0), "") if opcode.name.endswith("GET") else ""
            if opcode.name in ("GLOBAL", "INST"):
                found[str(argument).replace(" ", ":", 1)] = None
            elif opcode.name == "STACK_GLOBAL":
                found[":".join(strings[-2:])] = None
            elif isinstance(argument, str):
                top = argument
            if top:
                strings.append(top)
    except Exception:  # noqa: BLE001 - not every byte of a file that holds a pickle is one
        return tuple(found)
    return tuple(found)


def suspicious(names: tuple[str, ...]) -> list[str]:
    """Those that a model has no need of. It is no proof: what is not named here may do harm too."""
    return [full for full in names if _is_suspicious(*full.split(":", 1))]


def _is_suspicious(module: str, name: str = "") -> bool:
    # A name may reach through a harmless module, as os.system of one that has imported os.
    tops = {module.partition(".")[0], *(name.split(".")[:-1])}
    return bool(tops & set(_SUSPICIOUS_MODULES)) or (
        module in ("builtins", "__builtin__", "io", "_io") and name in _SUSPICIOUS
    )
