import ast
import dataclasses
import hmac
import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from model_functions.access import doorkeeper
from model_functions.access.doorkeeper import Doorkeeper, open_guard
from model_functions.access.identity import KeyHolder
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.errors import (
    AuthUnavailable,
    Forbidden,
    KeyExpired,
    RateLimited,
    ServingError,
    Unauthenticated,
)
from model_functions.once import Once
from model_functions.repository import Repository
from model_functions.settings import ACTIONS, Settings
from model_functions.store.folder import FolderStore
from tests.made_keys import Writer, made

ROOT = Path(__file__).parents[3]
NOW = int(time.time())


@pytest.fixture
def writer(repository: Repository, key: SigningKey) -> Writer:
    return Writer(repository.store, key)


@pytest.fixture
def guard(repository: Repository) -> Doorkeeper:
    return opened(repository)


def opened(repository: Repository, **settings: object) -> Doorkeeper:
    given = Settings(model_store="", access=("keys",))
    return open_guard(dataclasses.replace(given, **settings), Once(lambda: repository))  # type: ignore[arg-type]


def refused(guard: Doorkeeper, headers: Mapping[str, str], action: str = "predict") -> ServingError:
    with pytest.raises(ServingError) as error:
        guard.admit(headers, action).take()
    return error.value


def test_who_has_a_key_is_let_in_by_either_header(guard: Doorkeeper, writer: Writer) -> None:
    key = made()
    writer.write(made(), key)
    for headers in (
        {"x-api-key": key.text},
        {"authorization": f"Bearer {key.text}"},
        {"authorization": f"bearer {key.text}"},
        {"x-api-key": key.text, "authorization": "Bearer what.somebody.else.reads"},
    ):
        identity = guard.admit(headers, "predict")
        assert identity.name == key.record.id
        identity.check("tabular", "wine")


WRONG: dict[str, Callable[[str], dict[str, str]]] = {
    "missing": lambda key: {},
    "empty": lambda key: {"x-api-key": ""},
    "wrong first byte": lambda key: {"x-api-key": changed(key, key.rindex(key.split("_", 3)[3]))},
    "wrong last byte": lambda key: {"x-api-key": changed(key, len(key) - 1)},
    "one short": lambda key: {"x-api-key": key[:-1]},
    "one long": lambda key: {"x-api-key": key + "A"},
    "non-ASCII": lambda key: {"x-api-key": "é"},
    "a raw byte": lambda key: {"x-api-key": b"\xff".decode("latin-1")},
    "an emoji, as Latin-1": lambda key: {"x-api-key": "😀".encode().decode("latin-1")},
    "a lone surrogate": lambda key: {"x-api-key": "\ud800"},
    "8 KB": lambda key: {"x-api-key": key * 120},
    "doubled header": lambda key: {"x-api-key": f"{key},{key}"},
    "doubled header, with a wrong one": lambda key: {"x-api-key": f"wrong,{key}"},
    "underscore header": lambda key: {"x_api_key": key},
    "another case": lambda key: {"x-api-key": key.upper()},
    "space around it": lambda key: {"x-api-key": f" {key}"},
    "another environment": lambda key: {"x-api-key": key.replace("mf_test_", "mf_prod_")},
    "unknown": lambda key: {"x-api-key": made().text},
    "of the same id": lambda key: {"x-api-key": made().text.replace(made().record.id, key.split("_")[2])},
    "Basic": lambda key: {"authorization": f"Basic {key}"},
    "no scheme": lambda key: {"authorization": key},
    "Bearer and rubbish": lambda key: {"authorization": "Bearer ..."},
    "Bearer twice": lambda key: {"authorization": f"Bearer {key},Bearer {key}"},
    "wrong beside a right one": lambda key: {"x-api-key": "x", "authorization": f"Bearer {key}"},
    "an ID token where none counts": lambda key: {"authorization": "Bearer e30.e30.SIGNATURE_REMOVED_BY_GOOGLE"},
}


def changed(text: str, index: int) -> str:
    return text[:index] + ("A" if text[index] != "A" else "B") + text[index + 1 :]


@pytest.mark.parametrize("what", WRONG)
def test_whatever_is_wrong_with_a_key_is_told_by_the_same_words(guard: Doorkeeper, writer: Writer, what: str) -> None:
    key = made()
    writer.write(key)
    error = refused(guard, WRONG[what](key.text))
    assert (type(error), error.status, error.details) == (Unauthenticated, 401, None)
    assert error.message == (
        'Nobody is let in without an access key that counts. Send yours as "X-Api-Key: KEY", or as '
        '"Authorization: Bearer KEY".'
    )
    assert error.headers == {"WWW-Authenticate": 'ApiKey realm="models", Bearer realm="models"'}


@pytest.mark.parametrize(
    ("when", "kind"),
    [
        ({"revoked": 0}, Unauthenticated),
        ({"revoked": 0, "expires": -1000}, Unauthenticated),
        ({"not_before": 1000}, Unauthenticated),
        ({"expires": -1000}, KeyExpired),
        ({"expires": -30}, None),
        ({"not_before": 30}, None),
        ({"expires": 1000}, None),
    ],
    ids=["revoked", "revoked and over", "not yet", "over", "over a moment ago", "in a moment", "for a while"],
)
def test_a_key_counts_in_its_time_give_or_take_a_minute_of_the_clock(
    guard: Doorkeeper, writer: Writer, when: dict[str, int], kind: type[ServingError] | None
) -> None:
    key = made(**{field: int(time.time()) + seconds for field, seconds in when.items()})  # type: ignore[arg-type]
    writer.write(key)
    if kind is None:
        guard.admit(key.headers, "predict")
        return
    error = refused(guard, key.headers)
    assert (type(error), error.status) == (kind, 401)
    # That a wrong key's id has expired is nobody's business.
    assert type(refused(guard, {"x-api-key": changed(key.text, len(key.text) - 5)})) is Unauthenticated


@pytest.mark.parametrize("action", ACTIONS)
def test_a_key_may_what_it_was_made_for(guard: Doorkeeper, writer: Writer, action: str) -> None:
    keys = {what: made(may=(what,)) for what in ACTIONS}
    writer.write(*keys.values())
    for what, key in keys.items():
        if what == action:
            guard.admit(key.headers, action)
        else:
            error = refused(guard, key.headers, action)
            assert (type(error), error.status) == (Forbidden, 403)


def test_a_quota_is_one_keys_own_and_tells_when_to_come_back(guard: Doorkeeper, writer: Writer) -> None:
    greedy, other = made(rate=0.5, burst=3), made(rate=0.5, burst=3)
    writer.write(greedy, other)
    for _ in range(3):
        guard.admit(greedy.headers, "predict").take()
    error = refused(guard, greedy.headers)
    assert (type(error), error.headers["Retry-After"]) == (RateLimited, "2")
    assert error.message == "The access key may ask 0.5 times a second. Ask again in 2 s."
    for _ in range(3):
        guard.admit(other.headers, "predict").take()


def test_what_a_key_has_used_up_it_has_used_up_after_the_list_was_read_again(
    repository: Repository, writer: Writer
) -> None:
    guard, key = opened(repository, access_refresh_s=0), made(rate=0.001, burst=2)
    writer.write(key)
    for _ in range(2):
        guard.admit(key.headers, "predict").take()
    writer.write(key, made())
    time.sleep(0.01)
    assert type(refused(guard, key.headers)) is RateLimited
    more = dataclasses.replace(key.record, burst=4)
    writer.write(more)
    time.sleep(0.01)
    guard.admit(key.headers, "predict").take()


@pytest.mark.parametrize(
    "data",
    [None, b"", b"{", b"{}", b'{"keys": []}', b"\xff\xfe", b'{"document":{},"key":"","signature":""}\n'],
    ids=repr,
)
def test_without_a_list_that_counts_nobody_is_let_in(guard: Doorkeeper, writer: Writer, data: bytes | None) -> None:
    if data is not None:
        writer.write_bytes(data)
    for headers in ({}, made().headers):
        error = refused(guard, headers)
        assert (type(error), error.status) == (AuthUnavailable, 503)
        assert error.message == "Nobody can be let in without the key list, and there is none. Ask again in 5 s."
    with pytest.raises(AuthUnavailable):
        guard.check()


def test_an_empty_list_lets_nobody_in_either(guard: Doorkeeper, writer: Writer) -> None:
    writer.write()
    assert type(refused(guard, made().headers)) is Unauthenticated


def test_only_a_publisher_makes_keys(guard: Doorkeeper, repository: Repository) -> None:
    key = made()
    Writer(repository.store, SigningKey.generate()).write(key)
    assert type(refused(guard, key.headers)) is AuthUnavailable


def test_another_signed_document_is_no_list(guard: Doorkeeper, writer: Writer, key: SigningKey) -> None:
    writer.write_bytes(key.sign("manifest", {"version": 1, "serial": 1, "keys": []}))
    assert type(refused(guard, made().headers)) is AuthUnavailable


def test_an_old_list_that_is_put_back_does_not_bring_back_a_revoked_key(repository: Repository, writer: Writer) -> None:
    guard, key = opened(repository, access_refresh_s=0), made()
    writer.write(key)
    guard.admit(key.headers, "predict")
    old = repository.store.read("access/keys.json").data
    writer.write(dataclasses.replace(key.record, revoked=NOW))
    time.sleep(0.01)
    assert type(refused(guard, key.headers)) is Unauthenticated
    writer.write_bytes(old)
    time.sleep(0.01)
    assert type(refused(guard, key.headers)) is Unauthenticated


def test_the_list_may_be_a_file_as_a_secret_is_mounted(repository: Repository, writer: Writer, tmp_path: Path) -> None:
    key = made()
    writer.write(key)
    file = tmp_path / "keys.json"
    guard = opened(repository, access_keys=file)
    assert type(refused(guard, key.headers)) is AuthUnavailable, "and not the store's"
    file.write_bytes(repository.store.read("access/keys.json").data)
    opened(repository, access_keys=file).admit(key.headers, "predict")


def test_keys_are_rotated_and_revoked_while_they_are_used(repository: Repository, writer: Writer) -> None:
    guard, old, new = opened(repository, access_refresh_s=0), made(), made()
    writer.write(old)
    failed: list[ServingError] = []
    asked: list[str] = []
    current, ended, turn = [old], threading.Event(), threading.Lock()

    def ask() -> None:
        while not ended.is_set():
            with turn:
                try:
                    asked.append(guard.admit(current[0].headers, "predict").name or "")
                except ServingError as error:
                    failed.append(error)
            time.sleep(0.001)

    thread = threading.Thread(target=ask)
    thread.start()
    for _ in range(5):
        writer.write(old, new)
        time.sleep(0.02)
        # Whoever has the old one has changed to the new one before that is revoked.
        with turn:
            current[0] = new
        writer.write(dataclasses.replace(old.record, revoked=NOW), new)
        time.sleep(0.02)
        old, new = new, made()
    ended.set()
    thread.join()
    assert not failed
    assert len(set(asked)) > 1


def test_a_guard_that_knows_the_list_waits_for_nothing(guard: Doorkeeper, writer: Writer) -> None:
    key = made()
    writer.write(key)
    assert not guard.is_fresh(key.headers)
    guard.prepare()
    deadline = time.monotonic() + 5
    while not guard.is_fresh(key.headers) and time.monotonic() < deadline:
        time.sleep(0.001)
    assert guard.is_fresh(key.headers)
    guard.admit(key.headers, "predict")


def test_secrets_are_compared_by_compare_digest_alone() -> None:
    """A digest is looked at by one function, and no secret is looked at by any."""
    tree = ast.parse(Path(doorkeeper.__file__).read_text())
    compared = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Compare)]
    assert not [text for text in compared if "digest" in text or "presented" in text or "expected" in text]
    calls = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert [call for call in calls if call.startswith("hmac.")] == [
        "hmac.compare_digest(key_digest(presented), expected)"
    ]
    for path in (ROOT / "shared/model_functions/access").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.Compare) and ".digest" in ast.unparse(node)), path


def test_a_key_that_is_on_no_list_is_compared_too(
    guard: Doorkeeper, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = made()
    writer.write(key)
    compared: list[tuple[int, int]] = []

    def compare(left: bytes, right: bytes) -> bool:
        compared.append((len(left), len(right)))
        return left == right

    monkeypatch.setattr(hmac, "compare_digest", compare)
    refused(guard, made().headers)
    refused(guard, {})
    guard.admit(key.headers, "predict")
    assert compared == [(32, 32)] * 3


def test_nothing_that_holds_keys_shows_one(guard: Doorkeeper, writer: Writer, trust: Trust) -> None:
    key = made()
    writer.write(key)
    identity = guard.admit(key.headers, "predict")
    assert isinstance(identity, KeyHolder)
    shown = repr([guard, identity, identity.key, vars(guard), vars(identity)]) + json.dumps(
        vars(identity), default=repr
    )
    secret = key.text.split("_", 3)[3]
    assert secret not in shown


@pytest.mark.parametrize(
    ("scopes", "family", "model", "seen"),
    [
        (("*/*",), "tabular", "wine", True),
        (("*/*",), None, "wine", True),
        (("tabular/*",), "tabular", "wine", True),
        (("tabular/*",), "translation", "wine", False),
        (("tabular/wine",), "tabular", "wine", True),
        (("tabular/wine",), "tabular", "wine2", False),
        (("tabular/wine", "translation/*"), "translation", "x", True),
        (("*/wine*",), "tabular", "wine2", True),
        (("*/wine*",), None, "wine2", True),
        (("*/wine*",), None, "beer", False),
        (("tabular/*",), None, "wine", False),
        (("tabular/?",), "tabular", "../x", False),
        (("*/wine",), "tabular", "wine/../beer", False),
    ],
)
def test_a_scope_covers_models_that_are_there_and_that_are_not(
    guard: Doorkeeper, writer: Writer, scopes: tuple[str, ...], family: str | None, model: str, seen: bool
) -> None:
    key = made(*scopes)
    writer.write(key)
    identity = guard.admit(key.headers, "predict")
    if family is not None:
        assert identity.sees(family, model) is seen
    if seen:
        identity.check(family, model)
        return
    with pytest.raises(Forbidden) as error:
        identity.check(family, model)
    assert error.value.message == "This is not for the key or account that asks. Ask for one whose scope has it."


def test_the_store_is_read_once_however_many_are_refused(
    key: SigningKey, trust: Trust, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderStore(tmp_path)
    Writer(store, key).write(made())
    read: list[str] = []
    original = store.read
    monkeypatch.setattr(store, "read", lambda name: read.append(name) or original(name))  # type: ignore[func-returns-value]
    guard = opened(Repository(store, trust))
    for _ in range(200):
        refused(guard, made().headers)
    assert read == ["access/keys.json"]
