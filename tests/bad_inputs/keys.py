"""Proofs of who asks that prove nothing, or not enough."""

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from model_functions.access.keys import AccessKey, KeyList, key_digest, key_id, new_key

_DAY = 24 * 3600


@dataclass
class Keys:
    """Access keys, each of which may something else, and the list that a function reads of them."""

    listed: KeyList = field(default_factory=lambda: KeyList(1, ()))
    texts: dict[str, str] = field(default_factory=dict)

    def add(self, what: str, scope: str = "*/*", **more: Any) -> None:
        text, now = new_key("test"), int(time.time())
        self.texts[what] = text
        key = AccessKey(key_id(text), key_digest(text).hex(), "test", ("predict",), (scope,), now - _DAY)
        self.listed = self.listed.with_keys(replace(key, **more))

    @classmethod
    def made(cls) -> "Keys":
        now, keys = int(time.time()), cls()
        keys.add("good")
        keys.add("other", "tabular/another_*")
        keys.add("expired", expires=now - _DAY)
        keys.add("future", not_before=now + _DAY)
        keys.add("revoked", revoked=now - _DAY)
        keys.add("slow", rate=1, burst=1)
        keys.texts["unknown"] = new_key("test")
        keys.texts["foreign"] = new_key("prod")
        return keys


Headers = Callable[[dict[str, str]], list[tuple[str, str]]]


@dataclass(frozen=True)
class Proof:
    """What a request for a prediction brings.

    Args:
        headers: made of the keys' texts.
        code: None: it is answered.
        query: behind the path, made of the keys' texts.
        model: another one than there is.
        times: it is sent so often; the last answer counts.
    """

    id: str
    headers: Headers
    code: str | None = "unauthenticated"
    query: Callable[[dict[str, str]], str] = lambda keys: ""
    model: str | None = None
    times: int = 1


def _key(made: Callable[[dict[str, str]], str]) -> Headers:
    return lambda keys: [("X-Api-Key", made(keys))]


def _named(what: str) -> Headers:
    return _key(lambda keys: keys[what])


def _authorization(made: Callable[[dict[str, str]], str]) -> Headers:
    return lambda keys: [("Authorization", made(keys))]


def _basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def _turned(letter: str) -> str:
    return "a" if letter != "a" else "b"


_TOKEN = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
_CLAIMS = base64.urlsafe_b64encode(b'{"email":"a@b.c","exp":9999999999,"aud":"x"}').decode().rstrip("=")

PROOFS = [
    Proof("C019 the header with underscores", lambda keys: [("X_API_KEY", keys["good"])]),
    Proof("C039 no key", lambda keys: []),
    Proof("C040 an empty key", _key(lambda keys: "")),
    Proof("C041 another first letter", _key(lambda keys: "n" + keys["good"][1:])),
    Proof("C041 another last letter", _key(lambda keys: keys["good"][:-1] + _turned(keys["good"][-1]))),
    Proof(
        "C041 another letter in the middle",
        _key(lambda keys: keys["good"][:30] + _turned(keys["good"][30]) + keys["good"][31:]),
    ),
    Proof("C041 one letter less", _key(lambda keys: keys["good"][:-1])),
    Proof("C041 one letter more", _key(lambda keys: keys["good"] + "a")),
    Proof("C042 é", _key(lambda keys: "\xe9")),
    Proof("C042 a byte that is no text", _key(lambda keys: keys["good"][:-1] + "\xff")),
    Proof("C042 emoji", _key(lambda keys: "🔑".encode().decode("latin-1"))),
    Proof("C043 8,000 letters", _key(lambda keys: "mf_test_" + "a" * 7_990)),
    Proof("C044 the same key twice", lambda keys: [("X-Api-Key", keys["good"]), ("X-Api-Key", keys["good"])]),
    Proof("C045 an expired key", _named("expired"), "key_expired"),
    Proof("C045 a key of tomorrow", _named("future")),
    Proof("C045 a revoked key", _named("revoked")),
    Proof("C046 a key of another environment", _named("foreign")),
    Proof("C046 a key that nobody made", _named("unknown")),
    Proof("C047 Basic", _authorization(lambda keys: _basic(f"x:{keys['good']}"))),
    Proof("C047 Bearer and nonsense", _authorization(lambda keys: "Bearer nonsense")),
    Proof("C047 Bearer alone", _authorization(lambda keys: "Bearer")),
    Proof("C048 a key for another model", _named("other"), "forbidden"),
    Proof("C049 a key for another model, and no such model", _named("other"), "forbidden", model="nobody"),
    Proof("C050 a key in the query", lambda keys: [], query=lambda keys: f"?api_key={keys['good']}&key={keys['good']}"),
    Proof("C051 more than the quota", _named("slow"), "rate_limited", times=2),
    Proof("D500 Bearer", _authorization(lambda keys: f"Bearer {keys['good']}"), None),
    Proof("D500 bearer", _authorization(lambda keys: f"bearer {keys['good']}"), None),
    Proof(
        "D500 a key beside nonsense", lambda keys: [("X-Api-Key", keys["good"]), ("Authorization", "Bearer x")], None
    ),
    Proof("D500 nonsense beside a key", lambda keys: [("X-Api-Key", "x"), ("Authorization", f"Bearer {keys['good']}")]),
    Proof("D501 a key in a cookie", lambda keys: [("Cookie", f"x-api-key={keys['good']}; api_key={keys['good']}")]),
    Proof("D501 a key in another header", lambda keys: [("Api-Key", keys["good"]), ("X-Goog-Api-Key", keys["good"])]),
    Proof("D502 a token without a signature", _authorization(lambda keys: f"Bearer {_TOKEN}.{_CLAIMS}.")),
    Proof("D502 a token of dots", _authorization(lambda keys: "Bearer " + "." * 5_000)),
    Proof("D503 SQL", _key(lambda keys: "' OR '1'='1")),
    Proof("D503 a path", _key(lambda keys: "../../access/keys.json")),
    Proof("D503 the key's digest", _key(lambda keys: key_digest(keys["good"]).hex())),
    Proof("D503 the key's id alone", _key(lambda keys: key_id(keys["good"]))),
    Proof("D503 the key in upper case", _key(lambda keys: keys["good"].upper())),
    Proof("D504 two keys with a comma", _key(lambda keys: f"{keys['good']},{keys['unknown']}")),
]

#: Routes, and what is told there to whoever has no key, and to whoever may only predict.
DOORS = [
    ("GET", "/health", 200, 200),
    ("HEAD", "/health", 200, 200),
    ("OPTIONS", "/predict", 204, 204),
    ("GET", "/nobody", 404, 404),
    ("DELETE", "/predict", 405, 405),
    ("GET", "/", 401, 200),
    ("GET", "/metrics", 401, 403),
    ("POST", "/warmup", 401, 403),
    ("POST", "/v2/repository/models/tabular_model/unload", 401, 403),
    ("POST", "/v2/repository/models/nobody/load", 401, 403),
    ("GET", "/v2/models", 401, 200),
    ("GET", "/v1/models", 401, 200),
    ("GET", "/openapi.json", 401, 200),
]
