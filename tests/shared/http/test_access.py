"""Who may ask a function and the gateway for what, in every protocol."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.publish import publish
from model_functions.access import tokens
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.families.tabular import TabularWrapper
from model_functions.families.text_generation import TextGenerationWrapper
from model_functions.families.token_classification import TokenClassificationWrapper
from model_functions.http.function import FamilyFunction
from model_functions.http.gateway import Gateway
from model_functions.http.message import Request, Response
from model_functions.http.permissions import PUBLIC
from model_functions.http.protocols import module_names
from model_functions.http.service import Service
from model_functions.repository import Repository
from model_functions.settings import Settings
from model_functions.store.folder import FolderStore
from tests import tiny_models
from tests.fakes.id_tokens import ACCOUNT, AUDIENCE, FakeGoogle, checked_by_the_platform
from tests.fakes.metadata import FakeMetadataServer
from tests.made_keys import Writer, made
from tests.shared.http.requests import body, message, request
from tests.shared.http.test_gateway import Site

ROW = dict.fromkeys(tiny_models.COLUMNS, 0.5)
MANY = ("predict", "warm", "metrics", "manage")

KEYS = {
    "all": made(may=MANY),
    "wine": made("tabular/wine", may=MANY),
    "tabular": made("tabular/*"),
    "names": made("token_classification/*", may=MANY),
    "ping": made(may=("warm",)),
    "scraper": made(may=("metrics",)),
    "user": made(may=("predict",)),
}


@pytest.fixture(scope="module")
def settings(
    tmp_path_factory: pytest.TempPathFactory,
    classifier: TabularWrapper,
    tagger: TokenClassificationWrapper,
    trust: Trust,
    key: SigningKey,
) -> Settings:
    """A store with two tables and a tagger, and the list of keys."""
    store = FolderStore(tmp_path_factory.mktemp("guarded"))
    repository = Repository(store, trust)
    for name in ("wine", "beer"):
        publish(classifier, name=name, examples=[ROW], repository=repository, key=key, engine="torch")
    publish(tagger, name="persons", examples=[tiny_models.TEXT], repository=repository, key=key, engine="torch")
    Writer(store, key).write(*KEYS.values())
    # Not this laptop's own: it counts on Google Cloud too.
    trusted = tmp_path_factory.mktemp("trusted") / "trust.json"
    trusted.write_text(json.dumps({"keys": [key.trusted("the tests").entry()]}))
    environment = {"MODEL_STORE": store.location, "MODEL_TRUST": str(trusted), "ACCESS": "keys"}
    return Settings.from_environment(environment)


@pytest.fixture(scope="module")
def function(settings: Settings) -> FamilyFunction:
    return FamilyFunction(TabularWrapper, settings)


@pytest.fixture(scope="module")
def site(settings: Settings) -> Iterator[Site]:
    site = Site(settings)
    yield site
    site.close()


@pytest.fixture(scope="module")
def gateway(settings: Settings, site: Site) -> Gateway:
    return Gateway(replace(settings, functions_url=site.url))


@pytest.fixture(params=["function", "gateway"])
def service(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> Service:
    found: Service = request.getfixturevalue(request.param)
    return found


def asked(service: Service, who: str | None, target: str, value: Any = None, method: str | None = None) -> Response:
    headers = {} if who is None else dict(KEYS[who].headers)
    data = b"" if value is None else json.dumps(value).encode()
    made = request(data, headers, method=method or ("GET" if value is None else "POST"), target=target)
    return service.handle(made)


def same(first: Response, second: Response) -> bool:
    """But for the request's id, and what a protocol repeats of the request."""

    def told(response: Response) -> str:
        return re.sub(rb'"request_id": "[^"]*"', b"", response.body).decode().replace("nothing", "beer")

    return told(first) == told(second) and first.headers.get("X-Error-Code") == second.headers.get("X-Error-Code")


def protocol_routes(service: Service) -> list[tuple[str, str]]:
    """Every method and path of every protocol that names a model."""
    found = []
    for name in module_names():
        table = service.routes.protocol(name).table
        found += [
            (method, template)
            for template, handlers in table.items()
            if "{model}" in template
            for method, handler in handlers.items()
            if callable(handler)
        ]
    return sorted(set(found))


def placed(template: str, model: str) -> str:
    places = {"model": model, "version": "1", "label": "prod", "project": "p", "location": "l"}
    return re.sub(r"\{(\w+)\}", lambda name: places[name[1]], template)


def ask_there(service: Service, who: str | None, method: str, template: str, model: str) -> Response:
    headers = {"content-type": "application/json"} | ({} if who is None else KEYS[who].headers)
    data = b"{}" if method in ("POST", "PUT") else b""
    return service.handle(request(data, headers, method=method, target=placed(template, model)))


def test_in_every_protocol_a_model_of_another_scope_is_as_one_that_is_not_there(service: Service) -> None:
    routes = protocol_routes(service)
    assert len(routes) > 40
    for method, template in routes:
        there, nowhere = (ask_there(service, "wine", method, template, model) for model in ("beer", "nothing"))
        if there.status == 404:
            # The family does not speak so, whatever the model.
            assert "generate" in template or "v1/" in template, template
            assert b"models do not answer" in there.body
        else:
            assert (there.status, there.headers["X-Error-Code"]) == (403, "forbidden"), (method, template)
        assert same(there, nowhere), (method, template)


def test_in_every_protocol_who_has_no_key_is_asked_for_one(service: Service) -> None:
    for method, template in protocol_routes(service):
        response = ask_there(service, None, method, template, "wine")
        assert (response.status, response.headers["X-Error-Code"]) == (401, "unauthenticated"), (method, template)
        assert response.headers["WWW-Authenticate"]


def test_in_every_protocol_a_key_opens_the_models_of_its_scope(function: FamilyFunction) -> None:
    for method, template in protocol_routes(function):
        response = ask_there(function, "wine", method, template, "wine")
        assert response.status not in (401, 403), (method, template)


def test_a_text_generators_routes_are_guarded_too(settings: Settings) -> None:
    writer = FamilyFunction(TextGenerationWrapper, settings)
    for method, template in protocol_routes(writer):
        there, nowhere = (ask_there(writer, "wine", method, template, model) for model in ("persons", "nothing"))
        assert (there.status, nowhere.status) in ((403, 403), (404, 404)), (method, template)
        if there.status == 404:
            assert template.endswith("/embeddings"), template


IN_A_BODY = [
    ("/predict", lambda name: {"model_name": name, "data": ROW}),
    ("/predict_proxy", lambda name: {"model_name": name, "data": ROW}),
    ("/warmup", lambda name: {"model_name": name}),
]


@pytest.mark.parametrize(("target", "value"), IN_A_BODY, ids=[target for target, _ in IN_A_BODY])
def test_a_model_that_a_body_names_is_guarded_as_well(service: Service, target: str, value: Any) -> None:
    there, nowhere = (asked(service, "wine", target, value(name)) for name in ("beer", "nothing"))
    assert (there.status, nowhere.status, same(there, nowhere)) == (403, 403, True)
    assert asked(service, "wine", target, value("wine")).status == 200
    assert asked(service, None, target, value("wine")).status == 401


@pytest.mark.parametrize("target", ["/predict?data=1&model_name={}", "/invocations?model_name={}"])
def test_a_model_that_a_query_names_is_guarded_as_well(service: Service, target: str) -> None:
    value = {"inputs": [ROW]} if "invocations" in target else None
    there, nowhere = (asked(service, "wine", target.format(name), value) for name in ("beer", "nothing"))
    assert (there.status, nowhere.status, same(there, nowhere)) == (403, 403, True)


@pytest.mark.parametrize("path", ["chat/completions", "completions"])
def test_openais_requests_name_a_model_in_their_body(settings: Settings, path: str) -> None:
    writer = FamilyFunction(TextGenerationWrapper, settings)
    asking = {"messages": [{"role": "user", "content": "x"}]} if "chat" in path else {"prompt": "x"}
    there, nowhere = (asked(writer, "wine", f"/v1/{path}", asking | {"model": name}) for name in ("beer", "nothing"))
    assert (there.status, nowhere.status, same(there, nowhere)) == (403, 403, True)


LISTS = [
    ("/", None),
    ("/v2/models", None),
    ("/v2/repository/index", {}),
    ("/v2/models/stats", None),
    ("/v1/models", None),
    ("/models", None),
    ("/openapi.json", None),
    ("/docs", None),
    ("/predict", {"data": ROW}),
    ("/warmup", {}),
    ("/models/nothing", None),
]


@pytest.mark.parametrize(("target", "value"), LISTS, ids=[target for target, _ in LISTS])
def test_a_list_shows_what_the_key_is_for(service: Service, target: str, value: Any) -> None:
    for name in ("wine", "beer"):
        asked(service, "all", "/predict", {"model_name": name, "data": ROW})
    whole, part = asked(service, "all", target, value), asked(service, "wine", target, value)
    assert whole.status == part.status or (whole.status, part.status) == (404, 403)
    assert not re.search(rb"\bbeer\b", part.body), "of another scope"
    assert b"persons" not in part.body, "of another family"
    if (target, service.name) not in (("/models/nothing", service.name), ("/v2/models/stats", "gateway")):
        assert re.search(rb"\bbeer\b", whole.body)
        assert re.search(rb"\bwine\b", part.body)


def test_torchserves_description_of_a_model_shows_no_other(service: Service) -> None:
    there, nowhere = (asked(service, "wine", f"/predictions/{name}", method="OPTIONS") for name in ("beer", "nothing"))
    assert (there.status, nowhere.status, same(there, nowhere)) == (403, 403, True)
    assert asked(service, "wine", "/predictions/wine", method="OPTIONS").status == 200
    assert asked(service, "all", "/predictions/nothing", method="OPTIONS").status == 404


def test_a_key_for_one_family_finds_out_nothing_of_another_at_the_gateway(gateway: Gateway) -> None:
    for who, name in (("tabular", "persons"), ("tabular", "nothing"), ("names", "wine"), ("names", "nothing")):
        response = asked(gateway, who, "/predict", {"model_name": name, "data": ROW})
        assert (response.status, response.headers["X-Error-Code"]) == (403, "forbidden"), (who, name)
    assert asked(gateway, "tabular", "/predict", {"model_name": "beer", "data": ROW}).status == 200
    assert asked(gateway, "all", "/predict", {"model_name": "nothing", "data": ROW}).status == 404


def test_one_family_knows_its_own_models_that_are_not_there(function: FamilyFunction) -> None:
    assert asked(function, "tabular", "/predict", {"model_name": "nothing", "data": ROW}).status == 404


@pytest.mark.parametrize(
    ("target", "value", "may"),
    [
        ("/predict", {"model_name": "wine", "data": ROW}, {"all", "wine", "tabular", "user"}),
        ("/warmup", {"model_name": "wine"}, {"all", "wine", "ping"}),
        ("/metrics", None, {"all", "wine", "names", "scraper"}),
        ("/v2/repository/models/wine/load", {}, {"all", "wine"}),
        ("/v2/repository/models/wine/unload", {}, {"all", "wine"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_key_may_what_it_was_made_for(function: FamilyFunction, target: str, value: Any, may: set[str]) -> None:
    for who in KEYS:
        response = asked(function, who, target, value)
        assert response.status == (200 if who in may else 403), (who, response.body)
    assert asked(function, None, target, value).status == 401


def test_what_is_for_everybody_tells_nothing(service: Service) -> None:
    asked(service, "all", "/predict", {"model_name": "wine", "data": ROW})
    for target in PUBLIC:
        response = asked(service, None, target)
        assert response.status == 200, target
        assert b"wine" not in response.body
        assert b"127.0.0.1" not in response.body


def test_everybody_may_ask_which_methods_there_are(service: Service) -> None:
    response = asked(service, None, "/predict", method="OPTIONS")
    assert (response.status, response.headers["Allow"]) == (204, "GET, OPTIONS, POST")


def test_the_page_is_for_everybody_and_what_it_asks_for_is_not(gateway: Gateway) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    assert gateway.handle(request(b"", browser, method="GET", target="/")).status == 200
    assert gateway.handle(request(b"", browser, method="HEAD", target="/")).status == 200
    assert gateway.handle(request(b"{}", browser, method="POST", target="/")).status == 401, "a prediction"
    assert gateway.handle(request(b"", {"accept": "*/*"}, method="GET", target="/")).status == 401
    assert asked(gateway, None, "/docs").status == 401


def test_the_docs_ask_a_browser_for_a_key_and_tell_nothing_before(service: Service) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}

    def docs(**more: str) -> Response:
        return service.handle(request(b"", browser | more, method="GET", target="/docs"))

    entrance, wrong, shown = docs(), docs(**made().headers), docs(**KEYS["wine"].headers)
    assert (entrance.status, wrong.status, shown.status) == (200, 401, 200)
    assert b'id="key"' in entrance.body
    assert not re.search(rb"wine|beer|persons|<b>POST</b>", entrance.body)
    assert b"wine" in shown.body
    assert docs(authorization="Bearer nothing").status == 401
    assert asked(service, None, "/openapi.json").status == 401


def test_ready_is_who_knows_whom_to_let_in(settings: Settings, trust: Trust, key: SigningKey, tmp_path: Path) -> None:
    function = FamilyFunction(TabularWrapper, replace(settings, model_store=str(tmp_path)))
    for target in ("/ready", "/v2/health/ready"):
        response = asked(function, None, target)
        assert (response.status, response.headers["X-Error-Code"]) == (503, "auth_unavailable"), target
    assert asked(function, None, "/health").status == 200
    for who in (None, "all"):
        assert asked(function, who, "/predict", {"data": ROW}).headers["X-Error-Code"] == "auth_unavailable"


def unread(size: int) -> bytes:
    raise AssertionError("the body was read")


def test_of_a_request_that_is_refused_no_byte_is_read(service: Service) -> None:
    for headers in ({}, {"x-api-key": "é" * 4000}, KEYS["ping"].headers):
        response = service.handle(request(b"x" * 10_000_000, dict(headers), read=unread))
        assert response.status in (401, 403)


def test_a_key_in_the_query_opens_nothing_and_is_not_repeated(
    service: Service, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    key = KEYS["all"].text
    response = service.handle(request(b"{}", target=f"/predict?api_key={key}&key={key}"))
    assert (response.status, key.encode() in response.body) == (401, False)
    assert key not in caplog.text + capsys.readouterr().out


def test_the_gateway_passes_the_callers_key_on_where_it_has_no_account(gateway: Gateway, site: Site) -> None:
    site.seen.clear()
    by_bearer = {"authorization": f"Bearer {KEYS['wine'].text}"}
    asking = json.dumps({"model_name": "wine", "data": ROW}).encode()
    for headers in (KEYS["wine"].headers, by_bearer):
        assert gateway.handle(request(asking, dict(headers))).status == 200
        assert site.seen[-1]["x-api-key"] == KEYS["wine"].text
        assert "authorization" not in site.seen[-1]


def test_a_message_names_no_model_of_another_scope(service: Service) -> None:
    told = message(asked(service, "wine", "/predict", {"data": ROW}))
    assert told.startswith('The request has no "model_name".')
    assert told.endswith("wine.")
    assert body(asked(service, "names", "/predict", {"data": ROW}))["error"]["status"] == 422


GATEWAY = "gateway@project.iam.gserviceaccount.com"


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGoogle]:
    """Whose metadata server the gateway asks, and whose certificates the functions read."""
    with FakeGoogle() as google:
        monkeypatch.setattr(tokens, "CERTIFICATES_HOST", google.host)
        with FakeMetadataServer(id_token=lambda audience: google.token(GATEWAY, audience)) as metadata:
            for name in ("GCE_METADATA_HOST", "GCE_METADATA_IP"):
                monkeypatch.setenv(name, metadata.host)
            # google-auth reads the first when it is imported, which another test may have done before.
            monkeypatch.setattr("google.auth.compute_engine._metadata._GCE_METADATA_HOST", metadata.host)
            monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
            yield google


def functions_for(settings: Settings, url: str, **access: Any) -> Settings:
    return replace(settings, access_audience=(f"{url}/tabular", f"{url}/token-classification"), **access)


def test_the_gateway_is_let_in_by_its_own_token_and_looks_after_the_keys_itself(
    settings: Settings, google: FakeGoogle
) -> None:
    site = Site(settings)
    site.serve(functions_for(settings, site.url, access_accounts={GATEWAY: MANY}))
    gateway = Gateway(replace(settings, functions_url=site.url, on_google_cloud=True))
    try:
        assert asked(gateway, "wine", "/predict", {"model_name": "wine", "data": ROW}).status == 200
        sent = site.seen[-1]
        assert sent["authorization"] == sent["x-serverless-authorization"]
        assert "x-api-key" not in sent, "the caller's key is the gateway's business"
        assert asked(gateway, "wine", "/predict", {"model_name": "beer", "data": ROW}).status == 403
        assert asked(gateway, None, "/predict", {"model_name": "wine", "data": ROW}).status == 401
        assert len(site.seen) == 1
    finally:
        site.close()


def test_a_function_that_does_not_let_the_gateway_in_is_no_fault_of_the_callers(
    settings: Settings, google: FakeGoogle
) -> None:
    site = Site(settings)
    gateway = Gateway(replace(settings, functions_url=site.url, on_google_cloud=True))
    try:
        for access in ({}, {"access_accounts": {"else@p.iam.gserviceaccount.com": MANY}}):
            site.serve(functions_for(settings, site.url, **access))
            response = asked(gateway, "wine", "/predict", {"model_name": "wine", "data": ROW})
            assert (response.status, response.headers["X-Error-Code"]) == (503, "function_unreachable")
            assert message(response) == (
                "The function tabular does not let the gateway in. Let the gateway in: grant its service account "
                "roles/run.invoker, and list it in the ACCESS_ACCOUNTS of a function with ACCESS=keys."
            )
    finally:
        site.close()


def by_token(service: Service, token: str, target: str, header: str = "authorization") -> Response:
    data = json.dumps({"model_name": "wine"}).encode()
    return service.handle(request(data, {header: f"Bearer {token}"}, target=target))


def test_the_warm_up_ping_has_a_token_of_its_own_account(settings: Settings, google: FakeGoogle) -> None:
    """As Cloud Scheduler sends it to a function that is deployed for everybody."""
    access = replace(settings, access_accounts={ACCOUNT: ("warm",)}, access_audience=(AUDIENCE,))
    function = FamilyFunction(TabularWrapper, access)
    assert by_token(function, google.token(), "/warmup").status == 200
    assert by_token(function, google.token(), "/predict").status == 403
    assert by_token(function, google.token("user@gmail.com"), "/warmup").status == 403
    assert by_token(function, google.token(audience="https://other"), "/warmup").status == 401
    assert by_token(function, checked_by_the_platform(google.token()), "/warmup").status == 401


def test_who_comes_through_googles_front_end_is_believed_in_the_mode_that_says_so(
    settings: Settings, google: FakeGoogle
) -> None:
    function = FamilyFunction(TabularWrapper, replace(settings, access=("iam",)))
    seen, forged = checked_by_the_platform(google.token()), checked_by_the_platform(google.token("boss@p"))
    assert by_token(function, seen, "/warmup").status == 200
    assert by_token(function, seen, "/warmup", "x-serverless-authorization").status == 200
    assert asked(function, "all", "/predict", {"model_name": "wine", "data": ROW}).status == 401, "keys do not count"
    # Of two, the front end has checked this one, and the other may say anything.
    both = {"x-serverless-authorization": f"Bearer {seen}", "authorization": f"Bearer {forged}"}
    made_request = request(b'{"model_name": "wine"}', both, target="/warmup")
    assert function.handle(made_request).status == 200
    assert identity_of(made_request) == ACCOUNT
    both["x-serverless-authorization"] = "Basic abc"
    assert function.handle(request(b'{"model_name": "wine"}', both, target="/warmup")).status == 401


def test_either_is_enough_where_both_count_and_nobody_is_believed(settings: Settings, google: FakeGoogle) -> None:
    access = replace(settings, access=("keys", "iam"), access_accounts={ACCOUNT: MANY}, access_audience=(AUDIENCE,))
    function = FamilyFunction(TabularWrapper, access)
    assert asked(function, "all", "/warmup", {"model_name": "wine"}).status == 200
    assert by_token(function, google.token(), "/warmup").status == 200
    assert by_token(function, checked_by_the_platform(google.token()), "/warmup").status == 401


def identity_of(request: Request) -> str | None:
    return request.identity.name


def test_a_request_knows_who_asks(function: FamilyFunction) -> None:
    made_request = request(json.dumps({"model_name": "wine", "data": ROW}).encode(), dict(KEYS["wine"].headers))
    assert function.handle(made_request).status == 200
    assert identity_of(made_request) == KEYS["wine"].record.id
