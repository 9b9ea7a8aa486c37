import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_functions.access.keys import KeyList, is_environment, is_key, is_scope, key_digest, key_id, new_key
from model_functions.errors import ManifestInvalid
from tests.made_keys import made


def test_a_key_names_its_environment_and_its_id_and_has_256_random_bits() -> None:
    key = new_key("prod")
    assert re.fullmatch(r"mf_prod_[a-z0-9]{8}_[A-Za-z0-9_-]{43}[A-Za-z0-9_-]{2}", key)
    assert (key_id(key), is_key(key)) == (key.split("_")[2], True)
    assert len({new_key("prod") for _ in range(100)}) == 100


@given(st.text() | st.from_regex(r"mf_[a-z]{0,4}_[a-z0-9]{0,9}_[\w-]{0,60}"))
def test_whatever_is_presented_has_an_id_and_a_digest_and_is_no_key(text: str) -> None:
    assert isinstance(key_id(text), str)
    assert len(key_digest(text)) == 32
    assert not is_key(text)


def test_another_key_is_told_from_it_wherever_it_differs() -> None:
    key = new_key("prod")
    others = {key[:index] + ("a" if key[index] != "a" else "b") + key[index + 1 :] for index in range(len(key))}
    assert key_digest(key) not in {key_digest(other) for other in others}
    assert not is_key(key[:-1])
    assert not is_key(key + "a")


@pytest.mark.parametrize("scope", ["*/*", "tabular/*", "*/wine_model", "tabular/wine-?.*", "text_generation/a"])
def test_a_scope_is_a_family_and_a_model(scope: str) -> None:
    assert is_scope(scope)


@pytest.mark.parametrize(
    "scope", ["", "*", "tabular", "tabular/", "/x", "a/b/c", "Tabular/x", "a/b c", "[a]/b", "a/\n"]
)
def test_what_is_no_scope(scope: str) -> None:
    assert not is_scope(scope)


@pytest.mark.parametrize("text", ["", "prod_1", "Prod", "p" * 17])
def test_what_is_no_environment(text: str) -> None:
    assert not is_environment(text)


def test_a_list_is_read_as_it_was_written() -> None:
    keys = made("tabular/*", may=("predict", "warm"), rate=2.5, burst=7, note="ours"), made(expires=5, revoked=4)
    written = KeyList(3, tuple(key.record for key in keys))
    assert KeyList.from_document(written.document()) == written
    assert not any(key.text.split("_", 3)[3] in str(written.document()) for key in keys)


def test_a_change_makes_the_next_list() -> None:
    first, second = made().record, made().record
    listed = KeyList(0, ()).with_keys(first).with_keys(second)
    assert (listed.serial, listed.keys) == (2, (first, second))
    assert listed.with_keys(first).keys == (first, second)
    assert (listed.find(second.id), listed.find("nobody")) == (second, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "The key list has the version 2; this code reads 1."),
        ({"version": None}, "The key list has the version None; this code reads 1."),
        ({"keys": [{}]}, "The key list does not have the fields of one."),
        ({"keys": None}, "The key list does not have the fields of one."),
        ({"serial": "x"}, "The key list does not have the fields of one."),
    ],
)
def test_what_is_no_list_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ManifestInvalid) as refused:
        KeyList.from_document(KeyList(1, (made().record,)).document() | change)
    assert refused.value.message.startswith(message)
