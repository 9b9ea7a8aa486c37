"""Which pages of other sites may ask."""

import pytest

from model_functions.errors import ConfigurationInvalid, ModelNotFound
from model_functions.http.front_door import FrontDoor
from model_functions.http.message import Request, Response
from model_functions.http.origins import ASKED_WITH, EXPOSED, Origins
from model_functions.http.routes import Routes
from model_functions.metrics import Metrics
from model_functions.settings import Settings
from tests.shared.http.requests import request

PAGE = "https://example.com"


def varying(asked: Request) -> Response:
    return Response.json({}, headers={"Vary": "Accept"})


def failing(asked: Request) -> Response:
    raise ModelNotFound("There is none.")


ROUTES = Routes({"/": {"GET": varying, "OPTIONS": varying}, "/predict": {"POST": failing}})
DOOR = FrontDoor(ROUTES, Metrics(), origins=Origins([PAGE, "http://localhost:3000"]))


def preflight(origin: str, target: str = "/predict") -> Response:
    headers = {"origin": origin, "access-control-request-method": "POST"}
    return DOOR.handle(request(b"", headers, method="OPTIONS", target=target))


def test_a_listed_page_may_ask_with_the_headers_of_all_clients() -> None:
    found = preflight(PAGE)
    assert found.status == 204
    assert found.headers["Access-Control-Allow-Origin"] == PAGE
    assert found.headers["Access-Control-Allow-Methods"] == "OPTIONS, POST"
    assert found.headers["Access-Control-Allow-Headers"] == ", ".join(ASKED_WITH)
    assert found.headers["Access-Control-Max-Age"] == "600"
    assert found.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in found.headers
    assert preflight("http://localhost:3000").headers["Access-Control-Allow-Origin"] == "http://localhost:3000"


@pytest.mark.parametrize("origin", ["null", "http://example.com", f"{PAGE}.evil.example", f"{PAGE}:443", "*", ""])
def test_any_other_is_told_nothing(origin: str) -> None:
    found = preflight(origin)
    assert (found.status, found.headers["Vary"]) == (204, "Origin")
    assert not [name for name in found.headers if name.startswith("Access-Control")]


def test_a_route_with_an_answer_of_its_own_to_options_answers_browsers_too() -> None:
    assert preflight(PAGE, "/").headers["Access-Control-Allow-Methods"] == "GET, OPTIONS"
    plain = DOOR.handle(request(b"", {"origin": PAGE}, method="OPTIONS", target="/"))
    assert (plain.status, plain.headers["Access-Control-Allow-Origin"]) == (200, PAGE)


def test_errors_can_be_read_by_the_page_and_what_varies_already_varies_by_both() -> None:
    for target in ("/predict", "/nowhere"):
        found = DOOR.handle(request(b"", {"origin": PAGE}, target=target))
        assert (found.status, found.headers["Access-Control-Allow-Origin"]) == (404, PAGE)
        assert "X-Error-Code" in found.headers["Access-Control-Expose-Headers"].split(", ")
    assert DOOR.handle(request(b"", method="GET", target="/")).headers["Vary"] == "Origin, Accept"
    assert len(set(EXPOSED)) == len(EXPOSED)


def test_without_a_list_nothing_is_said_of_origins() -> None:
    door = FrontDoor(ROUTES, Metrics())
    found = door.handle(request(b"", {"origin": PAGE}, target="/predict"))
    assert not [name for name in found.headers if name.startswith(("Access-Control", "Vary"))]


def settings(origins: str) -> Settings:
    return Settings.from_environment({"MODEL_STORE": "gs://models", "ALLOWED_ORIGINS": origins})


def test_origins_are_listed_exactly() -> None:
    assert settings("").allowed_origins == ()
    told = settings(f"{PAGE}, http://localhost:3000  https://[::1]:8443").allowed_origins
    assert told == (PAGE, "http://localhost:3000", "https://[::1]:8443")


@pytest.mark.parametrize(
    "wrong", ["*", "example.com", f"{PAGE}/", f"{PAGE}/a", "https://*.example.com", "null", "https://A.b"]
)
def test_what_is_no_origin_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=r"ALLOWED_ORIGINS has .*List whole origins, as https://example.com"):
        settings(wrong)
