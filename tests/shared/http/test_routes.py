from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model_functions.errors import ServingError
from model_functions.http import protocols
from model_functions.http.front_door import FrontDoor
from model_functions.http.message import Request, Response
from model_functions.http.routes import ProtocolRoutes, Routes
from model_functions.metrics import Metrics
from tests.shared.http.requests import body, get, post, request


def told(asked: Request) -> Response:
    return Response.json({"route": asked.route, "place": dict(asked.place)})


def in_its_words(error: ServingError, asked: Request) -> Response:
    return Response.json({"fault": error.code}, error.status, {"X-Error-Code": error.code} | error.headers)


def louder(error: ServingError, asked: Request) -> Response:
    return Response.json({"FAULT": error.code}, error.status)


TABLES: Mapping[str, ProtocolRoutes] = {
    "first": ProtocolRoutes(
        {
            "/p/{model}/versions/{version}/infer": {"POST": told},
            "/p/{model}/{version}": {"GET": told},
            "/p/{model}": {"GET": told},
        },
        in_its_words,
    ),
    "second": ProtocolRoutes(
        {"/p/{model}": {"POST": told}, "/p/{model}:ask": {"POST": told}, "/p/{model}/info": {"GET": told}}, louder
    ),
    "root": ProtocolRoutes({"/": {"OPTIONS": told}}, louder),
}


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> FrontDoor:
    monkeypatch.setattr(protocols, "_BEGINNINGS", {"/p": ("first", "second")})
    routes = Routes({"/": {"GET": told, "OPTIONS": "root"}, "/predict": {"POST": told}}, lambda name: TABLES[name])
    return FrontDoor(routes, Metrics())


def test_what_stands_in_the_path_is_told_by_name(door: FrontDoor) -> None:
    found = body(door.handle(post({}, "/p/a-b_1/versions/2/infer")))
    assert found == {"route": "/p/{model}/versions/{version}/infer", "place": {"model": "a-b_1", "version": "2"}}
    assert body(door.handle(post({}, "/p/m:ask")))["place"] == {"model": "m"}


def test_protocols_share_a_path_by_its_methods(door: FrontDoor) -> None:
    for asked in (get("/p/m"), post({}, "/p/m"), get("/p/m", {"accept": "*/*"})):
        assert body(door.handle(asked)) == {"route": "/p/{model}", "place": {"model": "m"}}
    refused = door.handle(request(method="PUT", target="/p/m"))
    assert (refused.status, refused.headers["Allow"]) == (405, "GET, OPTIONS, POST")
    assert body(refused) == {"fault": "method_not_allowed"}


def test_the_template_that_says_most_of_a_path_is_taken(door: FrontDoor) -> None:
    assert body(door.handle(get("/p/m/info"))) == {"route": "/p/{model}/info", "place": {"model": "m"}}
    assert body(door.handle(get("/p/m/1")))["place"] == {"model": "m", "version": "1"}
    refused = door.handle(request(b"{}", target="/p/m/info"))
    assert (refused.status, body(refused)) == (405, {"FAULT": "method_not_allowed"})


def test_a_method_of_a_path_of_ours_may_be_a_protocols(door: FrontDoor) -> None:
    assert body(door.handle(request(method="OPTIONS", target="/")))["route"] == "/"
    refused = door.handle(request(method="PUT", target="/"))
    assert refused.headers["Allow"] == "GET, OPTIONS"
    assert body(refused)["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/p", "/p/", "/p/m/", "/p/m/n/o", "/p/m:x", "/p/m/versions//infer", "/p/:ask"])
def test_an_unknown_path_is_refused_in_the_words_of_its_protocol(door: FrontDoor, path: str) -> None:
    refused = door.handle(get(path))
    assert refused.status == 404
    assert body(refused) == {"fault": "not_found"}


def test_a_path_of_no_protocol_is_refused_in_ours(door: FrontDoor) -> None:
    for path in ("/q/m", "/predict/", "/pp", ""):
        assert body(door.handle(get(path)))["error"]["code"] == "not_found"


def test_metrics_count_by_template(door: FrontDoor) -> None:
    for name in ("a", "b"):
        door.handle(get(f"/p/{name}"))
    assert 'requests_total{model="",route="/p/{model}",status="200"} 2' in door.metrics.render()


_SEGMENTS = st.sampled_from(["p", "m", "versions", "infer", "predict", "info", "m:ask", ":ask", "", "..", "%2e", "aaa"])


@given(path=st.lists(_SEGMENTS | st.text(max_size=8), max_size=7).map(lambda parts: "/" + "/".join(parts)))
@example("/")
@example("//")
@example("/p/m")
@example("/p/m\n")
@example("/p/m/versions/2/infer")
def test_any_path_has_exactly_one_row(path: str) -> None:
    """The row of a path that is known says all of the path; any other path is nobody's, whatever its method."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocols, "_BEGINNINGS", {"/p": ("first", "second")})
        routes = Routes({"/": {"GET": told}, "/predict": {"POST": told}}, lambda name: TABLES[name])
        found = {method: routes.find(request(method=method, target=path)) for method in ("GET", "POST", "BREW")}
    templates = {route.template for route in found.values()}
    assert len(templates) == 1
    [template] = templates
    for route in found.values():
        assert bool(route.handlers) == (template != "other")
        if template != "other":
            assert template.format(**route.place) == path.partition("?")[0]
