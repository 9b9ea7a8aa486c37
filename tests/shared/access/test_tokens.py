import base64
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from model_functions.access import renewal
from model_functions.access.tokens import MAX_CHARACTERS, IdTokens
from model_functions.errors import AuthUnavailable, Forbidden, ServingError, Unauthenticated
from model_functions.settings import ACTIONS
from tests.fakes.id_tokens import ACCOUNT, AUDIENCE, FakeGoogle, checked_by_the_platform

NOW = int(time.time())


@pytest.fixture(scope="module")
def google() -> Iterator[FakeGoogle]:
    with FakeGoogle() as google:
        yield google


@pytest.fixture
def tokens(google: FakeGoogle) -> IdTokens:
    google.status, google.asked = 200, 0
    return IdTokens({ACCOUNT: ("warm",)}, (AUDIENCE, "https://other.example"), host=google.host)


@pytest.fixture
def believing(google: FakeGoogle) -> IdTokens:
    google.status, google.asked = 200, 0
    return IdTokens({}, (), believed=True, host=google.host)


def refused(tokens: IdTokens, token: str) -> ServingError:
    with pytest.raises(ServingError) as error:
        tokens.caller(token)
    return error.value


def test_an_account_that_is_listed_is_known_by_its_token(google: FakeGoogle, tokens: IdTokens) -> None:
    for _ in range(3):
        caller = tokens.caller(google.token())
        assert caller.name == ACCOUNT
        caller.check_may("warm")
        with pytest.raises(Forbidden):
            caller.check_may("predict")
    tokens.caller(google.token(audience="https://other.example"))
    tokens.caller(google.token(ACCOUNT.upper()))
    tokens.caller(google.token(iss="accounts.google.com"))
    assert google.asked == 1, "certificates are kept"


def unsigned(token: str, **header: Any) -> str:
    _, payload, _ = token.split(".")
    return f"{base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip('=')}.{payload}."


WRONG: dict[str, Callable[[FakeGoogle], str]] = {
    "for somebody else": lambda google: google.token(audience="https://evil.example"),
    "for several": lambda google: google.token(audience=[AUDIENCE]),  # type: ignore[arg-type]
    "expired": lambda google: google.token(exp=NOW - 100, iat=NOW - 3700),
    "not yet": lambda google: google.token(iat=NOW + 1000),
    "without an end": lambda google: google.token(exp=None),
    "an end that is no number": lambda google: google.token(exp="tomorrow"),
    "of another issuer": lambda google: google.token(iss="https://evil.example"),
    "without an issuer": lambda google: google.token(iss=None),
    "of an address that nobody verified": lambda google: google.token(email_verified=False),
    "of an address that nobody speaks of": lambda google: google.token(email_verified=None),
    "without an address": lambda google: google.token(email=None),
    "by a key that is none": lambda google: google.token(kid="nobodys"),
    "without a key's name": lambda google: google.token(kid=None),
    "by a key that is a list": lambda google: google.token(kid=["first"]),
    "changed": lambda google: changed(google.token()),
    "unsigned": lambda google: unsigned(google.token(), alg="none", kid="first"),
    "signed by a word": lambda google: unsigned(google.token(), alg="HS256", kid="first") + "YWJj",
    "a header that is a list": lambda google: "W10." + google.token().partition(".")[2],
    "checked by the platform": lambda google: checked_by_the_platform(google.token()),
    "two parts": lambda google: google.token().rpartition(".")[0],
    "four parts": lambda google: google.token() + ".x",
    "nothing": lambda google: "",
    "dots": lambda google: "..",
    "no base64": lambda google: "é.é.é",
    "no JSON": lambda google: "eA.eA.eA",
    "deep": lambda google: base64.urlsafe_b64encode(b"[" * 5000).decode() + ".e30.eA",
    "long": lambda google: google.token() + "A" * MAX_CHARACTERS,
}


def changed(token: str) -> str:
    """Of another account, by a signature that was for this one."""
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    forged = base64.urlsafe_b64encode(json.dumps(claims | {"sub": "evil"}).encode()).decode().rstrip("=")
    return f"{header}.{forged}.{signature}"


@pytest.mark.parametrize("what", WRONG)
def test_a_token_that_google_did_not_sign_for_us_counts_nothing(
    google: FakeGoogle, tokens: IdTokens, what: str
) -> None:
    error = refused(tokens, WRONG[what](google))
    assert (type(error), error.status, "WWW-Authenticate" in error.headers) == (Unauthenticated, 401, True)


def test_an_account_that_is_not_listed_is_known_and_not_let_in(google: FakeGoogle, tokens: IdTokens) -> None:
    assert type(refused(tokens, google.token("somebody@gmail.com"))) is Forbidden


def test_the_clock_may_be_wrong_by_a_minute(google: FakeGoogle, tokens: IdTokens) -> None:
    now = int(time.time())
    tokens.caller(google.token(exp=now - 30))
    tokens.caller(google.token(iat=now + 30))


def test_what_is_remembered_of_a_token_ends_with_it(
    google: FakeGoogle, tokens: IdTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = google.token()
    tokens.caller(token)
    later = time.time() + 3800
    monkeypatch.setattr(time, "time", lambda: later)
    assert type(refused(tokens, token)) is Unauthenticated


def test_a_new_certificate_is_looked_for_once_a_minute_whoever_asks(google: FakeGoogle, tokens: IdTokens) -> None:
    tokens.caller(google.token())
    for number in range(50):
        refused(tokens, google.token(kid=f"unknown {number}"))
    assert google.asked == 1, "it was read within this minute"
    tokens._certificates._began -= 61
    google.add_key("second")
    refused(tokens, google.token(key="second"))
    deadline = time.monotonic() + 5
    while google.asked < 2 or tokens._certificates._reading is not None:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    tokens.caller(google.token(key="second"))
    for number in range(50):
        refused(tokens, google.token(kid=f"unknown {number}"))
    assert google.asked == 2


def test_without_certificates_nobody_is_let_in_by_a_token(
    google: FakeGoogle, tokens: IdTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "RETRY_S", 0.0)
    google.status = 503
    error = refused(tokens, google.token())
    assert (type(error), error.headers["Retry-After"]) == (AuthUnavailable, "1")
    assert error.message.startswith("Nobody can be let in without the certificates of Google, and there is none.")
    google.status = 200
    assert tokens.caller(google.token()).name == ACCOUNT


def test_whom_the_platform_let_through_is_believed_where_all_come_through_it(
    google: FakeGoogle, believing: IdTokens
) -> None:
    token = checked_by_the_platform(google.token("anybody@project.iam.gserviceaccount.com"))
    assert believing.is_fresh(token)
    caller = believing.caller(token)
    assert caller.name == "anybody@project.iam.gserviceaccount.com"
    for action in ACTIONS:
        caller.check_may(action)
    assert google.asked == 0


def test_a_believed_token_has_an_end_too(google: FakeGoogle, believing: IdTokens) -> None:
    for claims in ({"exp": NOW - 100}, {"exp": None}, {"email": None}):
        token = checked_by_the_platform(google.token(**claims))
        assert type(refused(believing, token)) is Unauthenticated


def test_of_those_who_are_believed_only_the_accounts_and_audiences_that_are_listed(google: FakeGoogle) -> None:
    tokens = IdTokens({ACCOUNT: ("warm",)}, (AUDIENCE,), believed=True, host=google.host)
    tokens.caller(checked_by_the_platform(google.token())).check_may("warm")
    assert type(refused(tokens, checked_by_the_platform(google.token("x@gmail.com")))) is Forbidden
    assert type(refused(tokens, checked_by_the_platform(google.token(audience="x")))) is Unauthenticated


def test_a_token_that_the_platform_has_not_checked_is_not_believed(google: FakeGoogle, believing: IdTokens) -> None:
    """It was deployed for everybody, though it says that it is not; anybody can have a token for any audience."""
    assert type(refused(believing, google.token())) is Unauthenticated


def test_google_auth_is_imported_once_a_token_comes(google: FakeGoogle) -> None:
    code = (
        "import sys\n"
        "from model_functions.access import doorkeeper\n"
        "from model_functions.access.tokens import IdTokens\n"
        f"tokens = IdTokens({{{ACCOUNT!r}: ('warm',)}}, ({AUDIENCE!r},), host={google.host!r})\n"
        f"token = {google.token()!r}\n"
        "assert 'google.auth' not in sys.modules\n"
        "assert not tokens.is_fresh(token), 'the import is no work for an event loop'\n"
        "tokens.caller(token)\n"
        "assert tokens.is_fresh(token)\n"
        "assert not {'requests', 'urllib3', 'google.auth.transport.requests'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": "shared"})
