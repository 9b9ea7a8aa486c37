"""One reader, fuzzed by coverage: ``python -m tests.torture.fuzzing READER SECONDS CORPUS``, where atheris is.

Ends with 0 after that time, and with the input in CORPUS/../crash-… as soon as a reader does what it may not.
"""

import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["model_functions"]):
    from tests.torture.fuzzing.readers import READERS, Reader

#: Processor seconds for one input: more is a hang.
LONGEST_S = 1.0

#: Longest inputs; what goes wrong with the size of a body is tried by hand.
MAX_BYTES = 64 * 1024

_ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, 0.5, -0.0, 1e308, "", "x", "..", "/", "\0", "\ud800", "é"),
    *([], {}, [[]], [None], {"": None}, "BYTES", "FP32", [0], [0, 2**62], [1] * 20, "sha256", "fp32", "9" * 50),
]


class Fuzzed:
    """A reader, with the longest time that it took."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.accepted = self.refused = 0
        self.longest_s = 0.0

    def __call__(self, data: bytes) -> None:
        began = time.process_time()
        try:
            self._reader.read(data)
            self.accepted += 1
        except self._reader.declared:
            self.refused += 1
        took = time.process_time() - began
        self.longest_s = max(self.longest_s, took)
        if took > LONGEST_S:
            raise TimeoutError(f"{took:.2f} s for {len(data)} bytes")


def mutated(data: bytes, max_size: int, seed: int) -> bytes:
    """The bytes with a value of their JSON changed, or changed as libFuzzer does it."""
    chance = random.Random(seed)
    head, begin, tail = _document(data)
    if begin is None or chance.random() < 0.4:
        return bytes(atheris.Mutate(data, max_size))
    holder = {"": begin}
    container, key = chance.choice(list(_places(holder)))
    _change(container, key, chance)
    try:
        return (head + json.dumps(holder.get("")).encode() + tail)[:max_size]
    except (ValueError, RecursionError):
        return bytes(atheris.Mutate(data, max_size))


def _document(data: bytes) -> tuple[bytes, Any, bytes]:
    """What stands before the first JSON object or list, the value, and what stands behind it."""
    start = min((place for place in (data.find(b"{"), data.find(b"[")) if place >= 0), default=-1)
    try:
        text = data[start:].decode()
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return data, None, b""
    return data[:start], value if start >= 0 else None, text[end:].encode()


def _places(container: Any) -> list[tuple[Any, Any]]:
    found, waiting = [], [container]
    while waiting:
        one = waiting.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one))
        found += [(one, key) for key in keys]
        waiting += [one[key] for key in keys if isinstance(one[key], dict | list)]
    return found


def _change(container: Any, key: Any, chance: random.Random) -> None:
    what = chance.randrange(5)
    if what == 0:
        container[key] = chance.choice(_ODD)
    elif what == 1 and key != "":
        del container[key]
    elif what == 2 and isinstance(container[key], int | float):
        container[key] += chance.choice([-1, 1, 1000, 0.5])
    elif what == 3 and isinstance(container, dict):
        container[chance.choice(["x", "data", "shape", "serial", "", "__class__"])] = container[key]
    elif isinstance(container, list):
        container.insert(key, container[chance.randrange(len(container))])
    else:
        container[key] = [container[key]]


def main(name: str, seconds: str, corpus: str) -> None:
    fuzzed = Fuzzed(READERS[name])
    out = Path(corpus).parent
    options = [
        *(corpus, f"-max_total_time={seconds}", f"-max_len={MAX_BYTES}", f"-artifact_prefix={out}/", "-seed=7"),
        *("-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1", "-verbosity=1"),
    ]
    # At the end libFuzzer leaves by itself.
    mutator = {"custom_mutator": mutated} if READERS[name].is_json else {}
    atheris.Setup([sys.argv[0], *options], _told(fuzzed, out / "told.json"), **mutator)
    atheris.Fuzz()


def _told(fuzzed: Fuzzed, path: Path) -> Any:
    """The function under test, which writes down now and then how far it got."""

    def run(data: bytes) -> None:
        fuzzed(data)
        count = fuzzed.accepted + fuzzed.refused
        if count < 100 or count % 256 == 0:
            told = {"accepted": fuzzed.accepted, "refused": fuzzed.refused, "longest_s": fuzzed.longest_s}
            path.write_text(json.dumps(told))

    return run


if __name__ == "__main__":
    main(*sys.argv[1:])
