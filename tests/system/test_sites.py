"""A function inside real sites, mounted by the very lines that the README shows, from a staged folder."""

import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.running import ROOT, Process, call, clean_environment, free_port, until_it_answers

README = (ROOT / "README.md").read_text().partition("## In a site of your own")[2]
CODE = README.partition("```python\n")[2].partition("```")[0]

DJANGO = """
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import include, path

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["127.0.0.1"],
    SECRET_KEY="x",
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
)
urlpatterns = [path("health", lambda request: HttpResponse("the site's own"))]
{mounted}
wsgi, asgi = get_wsgi_application(), get_asgi_application()
"""

FASTAPI = """
from fastapi import FastAPI

app = FastAPI()

@app.get("/health")
def health() -> str:
    return "the site's own"

{mounted}
"""

STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse

app = Starlette()
app.add_route("/health", lambda request: PlainTextResponse("the site's own"))
{mounted}
"""

ALONE = "{mounted}"

GUNICORN = "gunicorn --bind 127.0.0.1:{port} --threads 8"
UVICORN = "uvicorn --port {port} --log-level warning"


class Site(NamedTuple):
    """A module around the README's lines under a heading, and what serves it."""

    heading: str
    module: str
    command: str


SITES = {
    "django_wsgi": Site("Django", DJANGO, f"{GUNICORN} site_module:wsgi"),
    "django_asgi": Site("Django", DJANGO, f"{UVICORN} site_module:asgi"),
    "fastapi": Site("FastAPI", FASTAPI, f"{UVICORN} site_module:app"),
    "starlette": Site("FastAPI", STARLETTE, f"{UVICORN} site_module:app"),
    "gunicorn": Site("Whatever takes WSGI", ALONE, f"{GUNICORN} site_module"),
}


def mounted(heading: str, store: Path) -> str:
    """The README's lines, for text generation and the tests' store."""
    start, *parts = CODE.split("\n# ")
    [lines] = [part.partition("\n")[2] for part in parts if part.startswith(heading)]
    code = f"{start}\n{lines}".replace("gs://my-models", str(store))
    return code.replace("tabular", "text_generation").replace("TabularWrapper", "TextGenerationWrapper")


@pytest.fixture(params=SITES, scope="module")
def site(
    request: pytest.FixtureRequest, long_store: Path, staged_writer: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Process]]:
    """Its address, and its process."""
    heading, module, command = SITES[request.param]
    folder = tmp_path_factory.mktemp("site")
    (folder / "site_module.py").write_text(module.format(mounted=mounted(heading, long_store)))
    port = free_port()
    program, *arguments = command.format(port=port).split()
    environment = clean_environment(PYTHONPATH=str(staged_writer))
    if module == ALONE:
        environment["SCRIPT_NAME"] = "/models"
    process = Process([str(Path(sys.executable).parent / program), *arguments], folder, environment)
    url = f"http://127.0.0.1:{port}"
    try:
        until_it_answers(f"{url}/models", process)
        assert call(f"{url}/models/warmup", b"{}").status == 200, process.lines
        yield url, process
    finally:
        process.stop()


def asked(**parameters: Any) -> bytes:
    return json.dumps({"data": "hello world", "parameters": parameters}).encode()


def test_it_predicts(site: tuple[str, Process]) -> None:
    answer = call(f"{site[0]}/models/predict", asked(max_new_tokens=3))
    assert answer.status == 200
    assert json.loads(answer.body)["body"]["generated_text"]
    assert answer.headers["x-model-revision"]
    assert call(f"{site[0]}/models/predict?data=hello%20w%C3%B6rld&max_new_tokens=2").status == 200


def test_a_body_in_chunks_is_read(site: tuple[str, Process]) -> None:
    def blocks() -> Iterator[bytes]:
        yield from (asked(max_new_tokens=3)[:10], asked(max_new_tokens=3)[10:])

    assert httpx.post(f"{site[0]}/models/predict", content=blocks()).status_code == 200


def test_what_is_refused_has_our_shape(site: tuple[str, Process]) -> None:
    wrong = call(f"{site[0]}/models/predict", b"{}")
    assert (wrong.status, wrong.headers["x-error-code"]) == (422, "invalid_input")
    assert json.loads(wrong.body)["error"]["message"].startswith("The request has no data.")
    nothing = call(f"{site[0]}/models/nothing")
    assert json.loads(nothing.body)["error"]["message"] == "There is no '/nothing' here. GET /docs lists what there is."
    large = call(f"{site[0]}/models/predict", b"x" * 34_000_000)
    assert (large.status, large.headers["x-error-code"]) == (413, "payload_too_large")
    assert call(f"{site[0]}/models/predict", method="OPTIONS").headers["allow"] == "GET, OPTIONS, POST"


def test_pages_stand_under_the_prefix(site: tuple[str, Process]) -> None:
    page = call(f"{site[0]}/models/", Accept="text/html")
    assert (page.status, "long_writer" in page.body.decode()) == (200, True)
    assert page.headers["content-security-policy"]
    assert call(f"{site[0]}/models/docs").body.startswith(b"<!doctype html>")
    assert json.loads(call(f"{site[0]}/models/openapi.json").body)["openapi"] == "3.1.0"


def test_without_its_slash_the_prefix_leads_to_the_page(site: tuple[str, Process]) -> None:
    found = httpx.get(f"{site[0]}/models")
    assert found.is_redirect
    assert found.next_request is not None
    assert found.next_request.url.path == "/models/"


def test_pieces_come_while_the_rest_is_written(site: tuple[str, Process]) -> None:
    times: list[float] = []
    with streaming(site[0], max_new_tokens=2000, min_new_tokens=2000, do_sample=True) as lines:
        for _ in lines:
            times.append(time.perf_counter())
            if len(times) == 400:
                break
    # Pieces that somebody had collected would come at once.
    assert times[-1] - times[0] > 0.1


def test_the_pieces_end_with_the_answer(site: tuple[str, Process]) -> None:
    with streaming(site[0], max_new_tokens=5) as lines:
        *_, event, answer, _ = lines
    assert event == "event: answer"
    assert json.loads(answer.removeprefix("data: "))["model_name"] == "long_writer"


def test_who_hangs_up_is_done_with_soon(site: tuple[str, Process]) -> None:
    url = f"{site[0]}/models"
    before = predictions(url)
    for _ in range(3):
        with streaming(site[0], max_new_tokens=4000, min_new_tokens=4000, do_sample=True) as lines:
            next(lines)
    until = time.monotonic() + 20
    while predictions(url) < before + 3 and time.monotonic() < until:
        time.sleep(0.05)
    assert predictions(url) == before + 3


def predictions(url: str) -> int:
    """Those that ended, streams included."""
    metrics = call(f"{url}/metrics").body.decode()
    ended = re.search(r'requests_total{model="[^"]*",route="/predict",status="200"} (\d+)', metrics)
    return int(ended[1]) if ended else 0


def test_the_site_keeps_what_is_its_own(site: tuple[str, Process]) -> None:
    found = call(f"{site[0]}/health")
    assert b"the site's own" in found.body or b"does not start with SCRIPT_NAME" in found.body


@contextmanager
def streaming(url: str, **parameters: Any) -> Iterator[Iterator[str]]:
    body = asked(**parameters, stream=True)
    with httpx.Client(timeout=60) as client, client.stream("POST", f"{url}/models/predict", content=body) as response:
        assert response.headers["content-type"] == "text/event-stream"
        yield response.iter_lines()
