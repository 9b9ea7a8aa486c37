import base64
import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, request
from werkzeug.serving import make_server

from deploy.publish import publish
from model_functions import directory
from model_functions.artifact.signing_key import SigningKey
from model_functions.directory import Directory
from model_functions.families.image_classification import ImageClassificationWrapper
from model_functions.families.tabular import TabularWrapper
from model_functions.families.token_classification import TokenClassificationWrapper
from model_functions.http.flask_edge import flask_function
from model_functions.http.function import FamilyFunction
from model_functions.http.gateway import Gateway
from model_functions.http.upstream import FunctionClient, function_url
from model_functions.once import Once
from model_functions.repository import Repository
from model_functions.settings import Settings
from tests import tiny_models
from tests.fakes.metadata import FakeMetadataServer
from tests.shared.http import requests
from tests.shared.http.requests import body, get, message, post

ROW = [0.5, 1.0, 2.0]


class Site:
    """Functions under one address, as on Google Cloud; what they were sent is kept."""

    def __init__(self, settings: Settings) -> None:
        self.seen: list[dict[str, str]] = []
        self.answer: Callable[[], Response] | None = None
        self.serve(settings)
        app = Flask("site")

        @app.route("/<name>/<path:path>", methods=["GET", "POST"])
        def call(name: str, path: str) -> Response:
            self.seen.append({key.lower(): value for key, value in request.headers.items()})
            if self.answer is not None:
                return self.answer()
            request.environ["PATH_INFO"] = f"/{path}"
            function = self._functions[name]
            return function(type(request._get_current_object())(request.environ))  # type: ignore[attr-defined]

        self._server = make_server("127.0.0.1", 0, app, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def serve(self, settings: Settings) -> None:
        """From now on, by functions of these settings."""
        self._functions = {
            "tabular": flask_function(FamilyFunction(TabularWrapper, settings).steps),
            "token-classification": flask_function(FamilyFunction(TokenClassificationWrapper, settings).steps),
            "image-classification": flask_function(FamilyFunction(ImageClassificationWrapper, settings).steps),
        }

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def family_settings(store_folder: Path, trust_file: Path) -> Settings:
    return Settings.from_environment({"MODEL_STORE": str(store_folder), "MODEL_TRUST": str(trust_file)})


@pytest.fixture(scope="module")
def running(family_settings: Settings) -> Iterator[Site]:
    site = Site(family_settings)
    yield site
    site.close()


@pytest.fixture
def site(running: Site) -> Site:
    running.seen.clear()
    running.answer = None
    return running


@pytest.fixture
def gateway(family_settings: Settings, site: Site) -> Gateway:
    return Gateway(replace(family_settings, functions_url=site.url))


def test_a_name_leads_to_its_familys_function(gateway: Gateway, site: Site) -> None:
    response = gateway.handle(post({"model_name": "tiny_classifier", "data": ROW}))
    assert response.status == 200
    assert body(response)["body"]["prediction"] == "large"
    assert response.headers["X-Model-Revision"] == body(response)["revision"]
    tagged = gateway.handle(post({"model_name": "tiny_tagger", "data": "Anna"}))
    assert body(tagged)["model_name"] == "tiny_tagger"


def test_functions_may_have_hosts_of_their_own(family_settings: Settings, site: Site) -> None:
    url = f"{site.url}/{{function}}"
    gateway = Gateway(replace(family_settings, functions_url=url))
    response = gateway.handle(post({"model_name": "tiny_classifier", "data": ROW}))
    assert (response.status, body(response)["model_name"]) == (200, "tiny_classifier")


@pytest.mark.parametrize(
    ("functions_url", "url"),
    [
        pytest.param("https://r-p.cloudfunctions.net", "https://r-p.cloudfunctions.net/tabular", id="below"),
        pytest.param("https://{function}-1.r.run.app", "https://tabular-1.r.run.app", id="host"),
    ],
)
def test_a_function_has_the_url_that_the_variable_says(functions_url: str, url: str) -> None:
    assert function_url(functions_url, "tabular") == url


@pytest.mark.parametrize(
    ("functions_url", "not_by_it", "proxy"),
    [
        pytest.param("https://{function}-1.r.run.app", "127.0.0.1", "proxy.example", id="google"),
        pytest.param("https://{function}-1.r.run.app", ".run.app", None, id="not-by-it"),
        pytest.param("http://127.0.0.1:8081", "", None, id="this-machine"),
    ],
)
def test_families_are_asked_by_the_proxy_of_the_network(
    functions_url: str, not_by_it: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", not_by_it)
    found = FunctionClient(functions_url, send_tokens=False)._pool.proxy
    assert (found.host if found else None) == proxy


def test_the_request_keeps_its_id_and_the_answer_its_timing(gateway: Gateway, site: Site) -> None:
    response = gateway.handle(post({"model_name": "tiny_classifier", "data": ROW}))
    assert site.seen[0]["x-request-id"] == response.headers["X-Request-Id"]
    assert "infer;dur=" in response.headers["Server-Timing"]


def test_the_function_is_told_how_long_the_caller_still_waits(gateway: Gateway, site: Site) -> None:
    asked = post({"model_name": "tiny_classifier", "data": ROW})
    asked.headers = {**asked.headers, "x-request-timeout-ms": "60000"}
    assert gateway.handle(asked).status == 200
    assert 50_000 < int(site.seen[0]["x-request-timeout-ms"]) < 60_000


def test_who_hangs_up_ends_the_wait_for_the_next_piece(gateway: Gateway, site: Site) -> None:
    silent = threading.Event()

    def pieces() -> Iterator[str]:
        yield 'data: {"text": "one"}\n\n'
        silent.wait(60)

    site.answer = lambda: Response(pieces(), headers={"X-Request-Id": "ours"}, content_type="text/event-stream")
    asked = post({"model_name": "tiny_classifier", "data": ROW})
    asked.headers = {**asked.headers, "x-request-id": "ours"}
    response = gateway.handle(asked)
    assert response.chunks is not None
    assert b"one" in next(response.chunks)
    threading.Timer(0.3, asked.caller.hang_up).start()
    rest = list(response.chunks)
    silent.set()
    response.chunks.close()
    asked.caller.hang_up()
    assert b"function_unreachable" in b"".join(rest) or not rest


def test_who_hangs_up_ends_the_wait_for_an_answer(gateway: Gateway, site: Site) -> None:
    asked = post({"model_name": "tiny_classifier", "data": ROW})
    late = threading.Event()

    def answer() -> Response:
        asked.caller.hang_up()
        assert late.wait(30)
        return Response("late")

    site.answer = answer
    found = gateway.handle(asked)
    late.set()
    assert (found.status, found.headers["X-Error-Code"]) == (499, "caller_gone")


def test_a_query_is_passed_on_as_it_is(gateway: Gateway) -> None:
    response = gateway.handle(get("/predict?model_name=tiny_classifier&data=0.5,1,2&method=predict"))
    assert body(response)["body"] == {"prediction": "large"}


def test_a_get_with_a_body_is_asked_as_a_post(gateway: Gateway) -> None:
    asked = post({"model_name": "tiny_classifier", "data": ROW})
    assert gateway.handle(requests.request(asked.read(-1), method="GET")).status == 200


def test_a_get_with_neither_is_405(gateway: Gateway) -> None:
    response = gateway.handle(get("/predict"))
    assert (response.status, response.headers["Allow"]) == (405, "OPTIONS, POST")


def test_a_file_is_passed_on_as_it_is(gateway: Gateway, site: Site) -> None:
    image = tiny_models.picture()
    typed = {"content-type": "image/png; x=y"}
    raw = gateway.handle(requests.request(image, typed, target="/predict?model_name=tiny_eye&top_k=2"))
    assert site.seen[0]["content-type"] == "image/png; x=y"
    data = b'--xyz\r\nContent-Disposition: form-data; name="model_name"\r\n\r\ntiny_eye\r\n'
    data += b'--xyz\r\nContent-Disposition: form-data; name="top_k"\r\n\r\n2\r\n'
    data += (
        b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n' + image + b"\r\n--xyz--\r\n"
    )
    form = gateway.handle(requests.request(data, {"content-type": "multipart/form-data; boundary=xyz"}))
    text = base64.b64encode(image).decode()
    asked = gateway.handle(post({"model_name": "tiny_eye", "data": text, "parameters": {"top_k": 2}}))
    assert len(body(asked)["body"]) == 2
    assert body(raw) == body(form) == body(asked)


def test_a_file_for_a_family_that_takes_none_is_415(gateway: Gateway) -> None:
    typed = {"content-type": "image/png"}
    response = gateway.handle(requests.request(b"x", typed, target="/predict?model_name=tiny_tagger"))
    assert (response.status, response.headers["X-Error-Code"]) == (415, "unsupported_media_type")
    assert message(response) == 'The body is "image/png". Send application/json.'
    unnamed = gateway.handle(requests.request(b"x", typed))
    assert (unnamed.status, body(unnamed)["error"]["details"][0]["path"]) == (422, "model_name")


def test_a_functions_error_is_the_callers(gateway: Gateway) -> None:
    response = gateway.handle(post({"model_name": "tiny_classifier", "data": [1]}))
    assert (response.status, response.headers["X-Error-Code"]) == (422, "invalid_input")
    assert "data has 1 values; the model has 3 columns" in message(response)


@pytest.mark.parametrize(
    ("asked", "status", "text"),
    [
        ({"data": ROW}, 422, 'The request has no "model_name". The models here: tiny_classifier, tiny_eye,'),
        ({"data": ROW, "model_name": "nope"}, 404, 'No model "nope" is published here. GET / lists the models.'),
        ({"data": ROW, "model_name": "../../x"}, 404, "is published here"),
        ({"model_name": "tiny_classifier"}, 422, "The request has no data."),
        ({"model_name": "tiny_classifier", "data": ROW, "x": 1}, 422, '"x" is no field of a request.'),
        ([], 422, "The body is a list."),
    ],
)
def test_a_bad_request_never_leaves_the_gateway(
    gateway: Gateway, site: Site, asked: Any, status: int, text: str
) -> None:
    response = gateway.handle(post(asked))
    assert response.status == status
    assert text in message(response)
    assert site.seen == []


def test_a_new_model_is_found_without_a_restart(
    gateway: Gateway,
    repository: Repository,
    key: SigningKey,
    classifier: TabularWrapper,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gateway.directory = Once(lambda: Directory(repository))
    assert gateway.handle(post({"model_name": "new_model", "data": ROW})).status == 404
    publish(classifier, name="new_model", examples=[ROW], repository=repository, key=key)
    monkeypatch.setattr(directory, "MISS_TTL_S", 0)
    response = gateway.handle(post({"model_name": "new_model", "data": ROW}))
    assert "No model" in message(response), "found by the gateway, and unknown to the function's own store"
    assert "in tabular" in message(response)


def test_wrong_names_do_not_become_listings(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    listings: list[Any] = []
    names = gateway.repository().names

    def counted(family: str | None) -> Any:
        listings.append(names(family))
        return listings[-1]

    monkeypatch.setattr(gateway.repository(), "names", counted)
    for number in range(20):
        gateway.handle(post({"model_name": f"nope{number}", "data": ROW}))
    assert len(listings) == 1


def test_a_connection_that_ended_meanwhile_is_none_of_the_callers_trouble(family_settings: Settings) -> None:
    """The function's server reads the second request on a connection, and ends it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        served = threading.Thread(target=answer_once_a_connection, args=(server, 3), daemon=True)
        served.start()
        host, port = server.getsockname()
        gateway = Gateway(replace(family_settings, functions_url=f"http://{host}:{port}"))
        for number in range(3):
            asked = post({"model_name": "tiny_classifier", "data": ROW})
            asked.headers = {**asked.headers, "x-request-id": "ours"}
            assert (number, gateway.handle(asked).status) == (number, 200)
        served.join(10)


def test_a_function_that_ends_a_new_connection_is_not_asked_again(family_settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ending = threading.Thread(target=lambda: server.accept()[0].close(), daemon=True)
        ending.start()
        host, port = server.getsockname()
        gateway = Gateway(replace(family_settings, functions_url=f"http://{host}:{port}"))
        response = gateway.handle(post({"model_name": "tiny_classifier", "data": ROW}))
        assert (response.status, response.headers["X-Error-Code"]) == (503, "function_unreachable")
        ending.join(10)
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()


def answer_once_a_connection(server: socket.socket, connections: int) -> None:
    for _ in range(connections):
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as lines:
            for is_first in (True, False):
                length = 0
                while (line := lines.readline()).strip():
                    name, _, value = line.decode().partition(":")
                    length = int(value) if name.lower() == "content-length" else length
                lines.read(length)
                if is_first:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Request-Id: ours\r\nContent-Length: 2\r\n\r\n{}")


def test_a_function_that_is_away_is_503_with_a_retry(family_settings: Settings) -> None:
    gateway = Gateway(replace(family_settings, functions_url="http://127.0.0.1:9"))
    response = gateway.handle(post({"model_name": "tiny_classifier", "data": ROW}))
    assert (response.status, response.headers["X-Error-Code"]) == (503, "function_unreachable")
    assert response.headers["Retry-After"] == "2"
    assert message(response) == "The function tabular cannot be reached. Is it deployed, and FUNCTIONS_URL right?"


@pytest.mark.parametrize(
    ("status", "text"),
    [(403, "grant its service account roles/run.invoker"), (404, "Is it deployed"), (500, "status 500. Try again.")],
)
def test_a_page_of_googles_front_end_is_no_answer(gateway: Gateway, site: Site, status: int, text: str) -> None:
    site.answer = lambda: Response("<html>no</html>", status, content_type="text/html")
    response = gateway.handle(post({"model_name": "tiny_classifier", "data": ROW}))
    assert (response.status, response.headers["X-Error-Code"]) == (503, "function_unreachable")
    assert text in message(response)


def test_a_redirect_is_not_followed(gateway: Gateway, site: Site) -> None:
    site.answer = lambda: Response("", 302, {"Location": "http://127.0.0.1:9/"}, content_type="text/html")
    assert gateway.handle(post({"model_name": "tiny_classifier", "data": ROW})).status == 503


def test_on_google_cloud_an_id_token_goes_along(
    family_settings: Settings, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeMetadataServer() as metadata:
        for name in ("GCE_METADATA_HOST", "GCE_METADATA_IP"):
            monkeypatch.setenv(name, metadata.host)
        # google-auth reads the first when it is imported, which another test may have done before.
        monkeypatch.setattr("google.auth.compute_engine._metadata._GCE_METADATA_HOST", metadata.host)
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        gateway = Gateway(replace(family_settings, functions_url=site.url, on_google_cloud=True))
        gateway.repository = Gateway(family_settings).repository  # a local key does not count on Google Cloud
        for name in ("tiny_classifier", "tiny_classifier", "tiny_tagger"):
            data: Any = "Anna" if name == "tiny_tagger" else ROW
            assert gateway.handle(post({"model_name": name, "data": data})).status == 200
    assert metadata.audiences == [f"{site.url}/tabular", f"{site.url}/token-classification"]
    assert all(seen["authorization"].startswith("Bearer ey") for seen in site.seen)


def test_elsewhere_no_token_is_sent(gateway: Gateway, site: Site) -> None:
    gateway.handle(post({"model_name": "tiny_classifier", "data": ROW}))
    assert "authorization" not in site.seen[0]


def test_a_warm_up_is_passed_on(gateway: Gateway) -> None:
    response = gateway.handle(post({"model_name": "tiny_classifier"}, "/warmup"))
    assert response.status == 200
    assert "infer" in body(response)["phases"]


def test_a_warm_up_that_names_no_model_warms_the_gateway_itself(gateway: Gateway, site: Site) -> None:
    response = gateway.handle(requests.request(target="/warmup"))
    assert (response.status, "tiny_classifier" in body(response)["models"]) == (200, True)
    assert not site.seen


def test_a_browser_gets_the_page_and_a_program_the_models(gateway: Gateway) -> None:
    page = gateway.handle(get("/", {"accept": "text/html,*/*;q=0.8"}))
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "script-src 'sha256-" in page.headers["Content-Security-Policy"]
    unpacking = get("/", {"accept": "text/html,*/*;q=0.8", "accept-encoding": "gzip, deflate, br, zstd"})
    assert gzip.decompress(gateway.handle(unpacking).body) == page.body
    models = body(gateway.handle(get("/", {"accept": "application/json"})))["models"]
    names = [model["model_name"] for model in models]
    by_family = ["tiny_eye", "tiny_summarizer", "tiny_classifier", "tiny_writer", "tiny_tagger", "tiny_translator"]
    assert names == by_family


def test_a_gateway_that_knows_no_functions_says_so(family_settings: Settings) -> None:
    gateway = Gateway(family_settings)
    assert gateway.handle(get("/health")).status == 200
    for asked in (get("/ready"), post({"model_name": "tiny_classifier", "data": ROW})):
        response = gateway.handle(asked)
        assert (response.status, response.headers["X-Error-Code"]) == (503, "configuration_invalid")
        assert "FUNCTIONS_URL is not set." in message(response)
