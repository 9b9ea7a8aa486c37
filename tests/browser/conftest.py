"""A real browser, and a real site: the emulator over a store of tiny models."""

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webdriver import WebDriver

from deploy.project import ROOT
from deploy.publisher import open_repository, signing_key
from tests.browser.models import TRANSFORMERS_MODELS, publish_all
from tests.browser.playground import Playground
from tests.running import DIRECT

CHROMIUM_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,900",
)
START_DEADLINE_S = 60


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    driver = chromium(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


def chromium(profile: Path) -> WebDriver:
    """Chromium without a window."""
    options = webdriver.ChromeOptions()
    options.binary_location = _program("chromium", "chromium-browser", "google-chrome")
    for option in (*CHROMIUM_OPTIONS, f"--user-data-dir={profile}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(_program("chromedriver")))


def _program(*names: str) -> str:
    """The path of the first program that is installed."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is not None:
        return found
    message = f"{names[0]} is not on PATH. Install chromium and chromedriver to test the page."
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def browser_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the tiny models are published to."""
    store = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL_STORE", str(store))
        publish_all(open_repository(), signing_key(), tmp_path_factory.mktemp("models"))
    return store


@pytest.fixture(scope="session")
def site(browser_store: Path) -> Iterator[str]:
    """The URL of an emulator that serves the tiny models."""
    with emulated(browser_store) as url:
        _warm_up(url, TRANSFORMERS_MODELS)
        yield url


@contextlib.contextmanager
def emulated(store: Path, **environment: str) -> Iterator[str]:
    """The URL of an emulator over the store."""
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy", "emulate", "--port", "0"],
        cwd=ROOT,
        env=os.environ | {"MODEL_STORE": str(store), "PYTHONUNBUFFERED": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield _ready(process)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(START_DEADLINE_S)


def _ready(process: subprocess.Popen[str]) -> str:
    """The URL in the line that says so; the lines after it are read too, or the pipe would fill."""
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_drain, args=(process, lines), daemon=True).start()
    said = []
    while True:
        said.append(lines.get(timeout=START_DEADLINE_S))
        if said[-1].startswith("Ready: "):
            return said[-1].split()[1]
        if not said[-1]:
            pytest.fail("The emulator did not start:\n" + "".join(said))


def _drain(process: subprocess.Popen[str], lines: "queue.Queue[str]") -> None:
    assert process.stdout is not None
    with process.stdout as output:
        for line in output:
            lines.put(line)
    lines.put("")


def _warm_up(url: str, models: tuple[str, ...]) -> None:
    """Lets the models that take long load side by side while the first tests run."""
    for model in models:
        body = json.dumps({"model_name": model}).encode()
        request = urllib.request.Request(f"{url}/warmup", body, {"Content-Type": "application/json"})
        threading.Thread(target=_ask, args=(request,), daemon=True).start()


def _ask(request: urllib.request.Request) -> None:
    with contextlib.suppress(OSError), DIRECT.open(request) as answer:
        answer.read()


@pytest.fixture
def page(browser: WebDriver, site: str) -> Iterator[Playground]:
    """The front page, opened afresh; afterwards the console must be clean, the policy's refusals included."""
    page = Playground(browser, site)
    page.open()
    yield page
    page.as_at_first()
    problems = [entry for entry in page.console() if not _is_expected(entry)]
    assert problems == []


def _is_expected(entry: dict[str, Any]) -> bool:
    """Chromium reports every refused request, also one that the page shows as it should."""
    return entry["source"] == "network" and "422" in entry["message"]
