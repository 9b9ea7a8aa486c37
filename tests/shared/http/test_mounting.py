"""A function as a site's application: its settings, and what it does without."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from model_functions import logs
from model_functions.errors import ConfigurationInvalid
from model_functions.families.tabular import TabularWrapper
from model_functions.http.mounting import asgi_application, django_urls, wsgi_application
from model_functions.http.wsgi_edge import Application
from tests.running import ROOT, clean_environment


@pytest.fixture(autouse=True)
def no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODEL_STORE", raising=False)
    monkeypatch.setattr(logs, "_is_the_sites", False)


def get(application: Application, path: str, accept: str = "application/json") -> str:
    environ: dict[str, Any] = {"PATH_INFO": path, "HTTP_ACCEPT": accept}
    setup_testing_defaults(environ)
    return b"".join(application(environ, lambda status, headers: None)).decode()


def test_it_serves_what_the_store_has(store_folder: Path, trust_file: Path) -> None:
    application = wsgi_application(TabularWrapper, model_store=store_folder, trust_file=str(trust_file))
    [model] = json.loads(get(application, "/"))["models"]
    assert model["model_name"] == "tiny_classifier"


def test_what_is_given_counts_more_than_the_environment(
    store_folder: Path, trust_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_STORE", "gs://other")
    monkeypatch.setenv("MODEL_ALIAS", "canary")
    monkeypatch.setenv("MODEL_TRUST", str(trust_file))
    application = wsgi_application(TabularWrapper, model_store=store_folder)
    assert json.loads(get(application, "/"))["models"] == []
    application = wsgi_application(TabularWrapper, model_store=store_folder, model_alias="prod")
    assert len(json.loads(get(application, "/"))["models"]) == 1


@pytest.mark.parametrize("mounted", [wsgi_application, asgi_application, django_urls])
def test_what_cannot_work_is_raised_at_once(mounted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationInvalid, match="MODEL_STORE is not set"):
        mounted(TabularWrapper)
    with pytest.raises(TypeError, match="'model_stroe'"):
        mounted(TabularWrapper, model_store="gs://models", model_stroe="gs://models")


def test_without_a_wrapper_it_is_the_gateway() -> None:
    page = get(wsgi_application(model_store="gs://models"), "/", "text/html")
    assert page.startswith("<!doctype html>")
    assert page.count("<script>") == 1


def test_nothing_starts_before_a_server_may_fork() -> None:
    before = threading.active_count()
    wsgi_application(TabularWrapper, model_store="gs://models", model_preload=True)
    asgi_application(TabularWrapper, model_store="gs://models", model_preload=True)
    assert threading.active_count() == before


def test_no_framework_is_needed() -> None:
    code = (
        "import sys\n"
        "from model_functions.families.tabular import TabularWrapper\n"
        "from model_functions.http.mounting import asgi_application, wsgi_application\n"
        "wsgi_application(TabularWrapper, model_store='gs://models')\n"
        "asgi_application(TabularWrapper, model_store='gs://models')\n"
        "frameworks = {'flask', 'werkzeug', 'starlette', 'functions_framework', 'django', 'asgiref', 'numpy'}\n"
        "sys.exit(repr(frameworks & set(sys.modules)) if frameworks & set(sys.modules) else 0)\n"
    )
    environment = clean_environment(PYTHONPATH=str(ROOT / "shared"))
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
