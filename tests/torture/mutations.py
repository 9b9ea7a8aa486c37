"""Changes of a published artifact's objects, by somebody who can write to the store and has no key."""

import base64
import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from model_functions.artifact.signing import canonical

Objects = Mapping[str, bytes]
#: Of an object, given all of them: what it is changed to.
Mutation = Callable[[bytes, str, Objects, random.Random], bytes]


#: Of an object that is put in a smaller one's place.
_MOST_BYTES = 64 * 1024


def _flipped(data: bytes, name: str, objects: Objects, chance: random.Random) -> bytes:
    place = chance.randrange(8 * len(data))
    return data[: place // 8] + bytes([data[place // 8] ^ (1 << place % 8)]) + data[place // 8 + 1 :]


def _set(data: bytes, name: str, objects: Objects, chance: random.Random) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :]


def _cut(data: bytes, name: str, objects: Objects, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def _inserted(data: bytes, name: str, objects: Objects, chance: random.Random) -> bytes:
    place = chance.randrange(len(data) + 1)
    return data[:place] + chance.randbytes(1 + chance.randrange(16)) + data[place:]


def _removed(data: bytes, name: str, objects: Objects, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    return data[:start] + data[start + 1 + chance.randrange(64) :]


def _repeated(data: bytes, name: str, objects: Objects, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    end = start + 1 + chance.randrange(4096)
    return data[:end] + data[start:end] + data[end:]


def _exchanged(data: bytes, name: str, objects: Objects, chance: random.Random) -> bytes:
    """Two blocks in each other's place: chunks where there are several."""
    size = min(4 * 1024 * 1024 if len(data) > 4 * 1024 * 1024 else 64, len(data) // 2)
    first, second = sorted(chance.sample(range(len(data) // size), 2)) if size and len(data) >= 2 * size else (0, 0)
    a, b = slice(first * size, (first + 1) * size), slice(second * size, (second + 1) * size)
    if first == second:
        return _flipped(data, name, objects, chance)
    return data[: a.start] + data[b] + data[a.stop : b.start] + data[a] + data[b.stop :]


def _wiped(data: bytes, name: str, objects: Objects, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    return (data[:start] + bytes(1 + chance.randrange(256)) + data[start:])[: len(data)]


def _anothers(data: bytes, name: str, objects: Objects, chance: random.Random) -> bytes:
    """Another object's bytes, most often of one with the same part to play: a model's, a family's, a revision's."""
    others = [other for other in objects if len(objects[other]) <= max(len(data), _MOST_BYTES)]
    alike = [other for other in others if other.endswith(name.rpartition("/")[2])]
    return objects[chance.choice(alike if chance.random() < 0.8 else others)]


def _mixed(data: bytes, name: str, objects: Objects, chance: random.Random) -> bytes:
    """The start of this one and the end of another."""
    place = chance.randrange(len(data))
    return data[:place] + _anothers(data, name, objects, chance)[place:]


def _respelled(data: bytes, name: str, objects: Objects, chance: random.Random) -> bytes:
    """The same JSON in another spelling."""
    value = json.loads(data)
    spelling = chance.randrange(5)
    if spelling == 0:
        return json.dumps(value, indent=chance.randrange(4)).encode() + b"\n"
    if spelling == 1:
        return json.dumps(value, separators=(",", ":")).encode("utf-16") + b"\n"
    if spelling == 2:
        return canonical(dict(reversed(value.items()))) + b" " * chance.randrange(9) + b"\n"
    place = chance.randrange(1, len(data) - 1)
    if spelling == 3:
        return data[:place] + chance.choice([b" ", b"\n", b"\t", b"\r"]) + data[place:]
    letter = data[place : place + 1]
    return data[:place] + (b"\\u00%02x" % letter[0] if letter.isalnum() else b" " + letter) + data[place + 1 :]


def _doubled(data: bytes, name: str, objects: Objects, chance: random.Random) -> bytes:
    """A field twice, of which a reader may take either."""
    envelope = json.loads(data)
    field = chance.choice(list(envelope))
    forged = canonical({field: _changed_value(envelope[field], chance)})[1:-1]
    whole = canonical(envelope)
    return (b"{" + forged + b"," + whole[1:] if chance.random() < 0.5 else whole[:-1] + b"," + forged + b"}") + b"\n"


def _edited(data: bytes, name: str, objects: Objects, chance: random.Random) -> bytes:
    """A value of the document changed, and spelled as it must be."""
    envelope = json.loads(data)
    holder, key = chance.choice(list(_places(envelope)))
    holder[key] = _changed_value(holder[key], chance)
    return canonical(envelope) + b"\n"


def _resigned(data: bytes, name: str, objects: Objects, chance: random.Random) -> bytes:
    """The signature in another spelling of base64, or of somebody else's document."""
    envelope = json.loads(data)
    text: str = envelope["signature"]
    raw = base64.b64decode(text)
    spare = chr(ord(text[-3]) ^ 1)
    others = [other for other in objects if other.endswith(".json") and other != name]
    envelope["signature"] = chance.choice(
        [
            base64.urlsafe_b64encode(raw).decode().rstrip("="),
            text[:-3] + spare + text[-2:],
            text + chance.choice(["=", "\n", " ", "AAAA"]),
            base64.b16encode(raw).decode(),
            base64.b64encode(raw[32:] + raw[:32]).decode(),
            base64.b64encode(
                raw[:32] + (int.from_bytes(raw[32:], "little") + _ORDER).to_bytes(33, "little")[:32]
            ).decode(),
            json.loads(objects[chance.choice(others)])["signature"],
            "",
        ]
    )
    return canonical(envelope) + b"\n"


#: Of Ed25519's group: a signature plus it is the same number, and another spelling of the signature.
_ORDER = 2**252 + 27742317777372353535851937790883648493


def _places(value: Any) -> list[tuple[Any, Any]]:
    found, waiting = [], [value]
    while waiting:
        one = waiting.pop()
        keys = list(one) if isinstance(one, dict) else list(range(len(one)))
        found += [(one, key) for key in keys]
        waiting += [one[key] for key in keys if isinstance(one[key], dict | list)]
    return found


def _changed_value(value: Any, chance: random.Random) -> Any:
    if isinstance(value, str) and value and chance.random() < 0.7:
        place = chance.randrange(len(value))
        return value[:place] + chance.choice("0123456789abcdefg/._") + value[place + 1 :]
    if isinstance(value, int | float) and chance.random() < 0.7:
        return value + chance.choice([-1, 1, 4096, 0.5])
    return chance.choice([None, True, 0, -1, 2**64, "", "0" * 64, [], {}, [value], {"x": value}])


_BYTES: tuple[Mutation, ...] = (
    *(_flipped, _flipped, _set, _cut, _inserted, _removed, _repeated, _exchanged, _wiped, _anothers, _mixed),
)
_DOCUMENTS: tuple[Mutation, ...] = (*_BYTES, _respelled, _doubled, _edited, _edited, _resigned)


def mutated(name: str, objects: Objects, payload: bytes, chance: random.Random) -> bytes:
    """The object changed in one way, and not what it was.

    Args:
        payload: a dill stream that must never be loaded.
    """
    data = objects[name]
    while True:
        if name.endswith(".dill") and chance.random() < 0.1:
            place = chance.randrange(len(data))
            found = chance.choice([payload, payload + data, data[:place] + payload, payload + data[len(payload) :]])
        else:
            found = chance.choice(_DOCUMENTS if name.endswith(".json") else _BYTES)(data, name, objects, chance)
        if found != data:
            return found
