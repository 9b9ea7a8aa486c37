"""``python -m deploy keys``, as a person types it."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from deploy import publisher
from deploy.__main__ import main
from deploy.key_list import KeptList
from model_functions.access.doorkeeper import open_guard
from model_functions.access.keys import AccessKey, KeyList, is_key, key_id
from model_functions.artifact.signing_key import SigningKey
from model_functions.errors import Conflict, KeyExpired, ServingError, Unauthenticated
from model_functions.once import Once
from model_functions.settings import Settings
from tests.fakes.bucket import FakeBucket
from tests.made_keys import made


def keys(*arguments: str) -> int:
    return main(["keys", *arguments])


@pytest.fixture
def run(workshop: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """What a command that goes well prints, as JSON."""

    def run(*arguments: str) -> Any:
        assert keys(*arguments, "--json") == 0
        return json.loads(capsys.readouterr().out)

    return run


def admitted(key: str, action: str = "predict") -> ServingError | None:
    """What a function that reads the list now says to the key."""
    guard = open_guard(Settings(model_store="", access=("keys",)), Once(publisher.open_repository))
    try:
        guard.admit({"x-api-key": key}, action)
    except ServingError as error:
        return error
    return None


def test_a_key_is_made_used_rotated_and_revoked(run: Any) -> None:
    first = run("create", "--note", "ours")
    assert is_key(first["key"])
    assert first["key"].startswith("mf_local_")
    assert admitted(first["key"]) is None

    second = run("rotate", first["id"], "--overlap", "1h")
    assert second["key"] != first["key"]
    assert [admitted(one["key"]) for one in (first, second)] == [None, None]
    old, new = run("list")
    assert (old["id"], new["id"]) == (first["id"], second["id"])
    assert (new["note"], old["expires"] - int(time.time())) == ("ours", pytest.approx(3600, abs=5))

    run("revoke", second["key"])
    assert isinstance(admitted(second["key"]), Unauthenticated)
    assert admitted(first["key"]) is None
    assert [one["state"].split()[0] for one in run("list")] == ["counts", "revoked"]


def test_rotating_without_an_overlap_ends_the_old_key(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run("create", "--expires", "10d")
    second = run("rotate", first["id"], "--overlap", "0s")
    assert second["expires"] - second["not_before"] == 10 * 86_400
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 120)
    assert isinstance(admitted(first["key"]), KeyExpired)
    assert admitted(second["key"]) is None


def test_a_key_is_made_as_it_was_asked_for(run: Any) -> None:
    made = run(
        *(
            "create",
            "--scope",
            "tabular/*",
            "--scope",
            "*/wine_model",
            "--may",
            "predict,warm",
            "--expires",
            "2099-12-31",
        ),
        *("--not-before", "2098-01-01T12:00", "--rate", "2.5", "--burst", "7", "--environment", "stage1"),
    )
    assert made["key"].startswith("mf_stage1_")
    [listed] = run("list")
    assert listed | {"state": ""} == {
        "id": key_id(made["key"]),
        "environment": "stage1",
        "may": ["predict", "warm"],
        "scopes": ["tabular/*", "*/wine_model"],
        "not_before": 4_039_416_000,
        "expires": 4_102_358_400,
        "revoked": None,
        "rate": 2.5,
        "burst": 7,
        "note": "",
        "state": "",
    }
    assert listed["state"] == "counts from 2098-01-01 12:00 UTC until 2099-12-31 00:00 UTC"


def test_a_key_is_shown_once_and_kept_nowhere(workshop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert keys("create", "--note", "the billing team", "--rate", "10") == 0
    told = capsys.readouterr().out
    [key] = [word for word in told.split() if is_key(word)]
    assert f"{key_id(key)} (the billing team): counts, may predict of */*, 10 a second\n" in told
    secret = key.split("_", 3)[3]
    for path in workshop.rglob("*"):
        assert path.is_dir() or secret.encode() not in path.read_bytes(), path
    assert keys("list") == 0
    assert secret not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "--scope", "wine"], '--scope wine: write FAMILY/MODEL, as "tabular/*" or "*/wine_model".'),
        (["create", "--may", "fly"], "--may fly: there are predict, warm, manage, metrics."),
        (["create", "--may", ""], "--may : there are predict"),
        (["create", "--expires", "soon"], '"soon" is no time. Write 90d, 12h, 2027-12-31 or 2027-12-31T18:00.'),
        (["create", "--expires", "xd"], '"xd" is no length of time. Write a number with s, m, h or d, as 12h.'),
        (["create", "--rate", "0"], "--rate 0: write a positive number of requests a second."),
        (["create", "--burst", "3"], "--burst 3: write a positive number, beside --rate."),
        (["create", "--environment", "Prod"], "--environment Prod: at most 16 of a-z and 0-9."),
        (["revoke", "nobody"], '"nobody" is the id of no key. There are: none.'),
        (["rotate", "nobody"], '"nobody" is the id of no key. There are: none.'),
    ],
)
def test_a_wrong_argument_is_named(
    workshop: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert keys(*arguments) == 1
    assert capsys.readouterr().err.startswith(f"error: {message}")
    assert not (workshop / "store" / "access" / "keys.json").exists()


def test_what_is_revoked_stays_so(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    made = run("create")
    [revoked] = run("revoke", made["id"])
    assert run("revoke", made["id"]) == [revoked]
    assert keys("rotate", made["id"]) == 1
    assert f"error: {made['id']} is revoked. Make a new key" in capsys.readouterr().err


def test_the_list_may_be_a_file_for_secret_manager(
    workshop: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = workshop / "secret" / "keys.json"
    assert keys("create", "--file", str(file), "--secret", "our-keys") == 0
    told = capsys.readouterr().out
    assert told.splitlines()[-1] == f"gcloud secrets versions add our-keys --data-file={file}"
    [key] = [word for word in told.split() if is_key(word)]
    assert key.startswith("mf_prod_")
    assert isinstance(admitted(key), ServingError), "the store has no list"
    guard = open_guard(Settings(model_store="", access=("keys",), access_keys=file), Once(publisher.open_repository))
    guard.admit({"x-api-key": key}, "predict")
    assert keys("revoke", key_id(key), "--file", str(file)) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"gcloud secrets versions add access-keys --data-file={file}"


def test_two_at_once_lose_nothing(
    workshop: Path, fake_bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch, key: SigningKey
) -> None:
    monkeypatch.setenv("MODEL_STORE", "gs://models/team")
    monkeypatch.setattr("deploy.key_list.PAUSE_S", 0.05)
    assert keys("create") == 0
    serial = KeptList.at(None).read().serial
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(keys("create"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [0] * 6
    found = KeptList.at(None).read()
    assert (len(found.keys), found.serial) == (7, serial + 6)
    assert [name for name in fake_bucket.names() if "access" in name] == ["team/access/keys.json"]


class Busy:
    """A store in which somebody else always writes first."""

    location = "busy"

    def __init__(self, kept: KeptList) -> None:
        self._store = kept.store
        self.read = self._store.read

    def write(self, name: str, data: bytes, **_: Any) -> int:
        raise Conflict("somebody was faster")


def test_who_never_gets_its_turn_is_told(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.key_list.PAUSE_S", 0.0)
    kept = KeptList.at(None)
    busy = KeptList(Busy(kept), kept.name, kept.trust, kept.release)  # type: ignore[arg-type]
    with pytest.raises(Conflict, match="The key list is written by others all the time"):
        busy.change(publisher.signing_key(), lambda found: found.with_keys(made().record))


def test_a_key_that_was_revoked_meanwhile_is_not_brought_back(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = made().record
    kept = KeptList.at(None)
    kept.change(publisher.signing_key(), lambda found: found.with_keys(key))
    original = KeptList.read

    def read_and_be_slow(self: KeptList) -> KeyList:
        found = original(self)
        kept.change(publisher.signing_key(), lambda found: found.with_keys(_revoked(key)))
        return found

    monkeypatch.setattr(KeptList, "read", read_and_be_slow)
    assert keys("rotate", key.id) == 1
    monkeypatch.undo()
    assert original(kept).keys == (_revoked(key),)


def _revoked(key: AccessKey) -> AccessKey:
    return AccessKey(**vars(key) | {"revoked": 1})


def test_a_laptops_key_does_not_sign_over_the_list_of_a_release(
    workshop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    release = SigningKey.generate()
    release.write(workshop / "release.pem")
    trust = workshop / "trust.json"
    trust.write_text(json.dumps({"keys": [release.trusted("release").entry()]}))
    monkeypatch.setattr(publisher, "RELEASE_TRUST", trust)
    with monkeypatch.context() as patch:
        patch.setenv("MODEL_SIGNING_KEY", str(workshop / "release.pem"))
        assert keys("create") == 0
    capsys.readouterr()
    assert keys("create") == 1
    assert capsys.readouterr().err.startswith("error: The key list is signed for Google Cloud, where this laptop's key")
    assert len(KeptList.at(None).read().keys) == 1


def test_a_list_that_was_tampered_with_is_not_written_over(
    workshop: Path, run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run("create")
    path = workshop / "store" / "access" / "keys.json"
    path.write_bytes(path.read_bytes().replace(b"predict", b"metrics"))
    before = path.read_bytes()
    assert keys("create") == 1
    assert "The key list's signature is wrong" in capsys.readouterr().err
    assert path.read_bytes() == before
