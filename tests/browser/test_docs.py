"""/docs in a browser: its commands run as they are pasted, and it is for everybody, on a phone and in the dark."""

import subprocess
from collections.abc import Iterator

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver

from tests.browser.axe import problems

_OPEN_ALL = "document.querySelectorAll('details').forEach((one) => { one.open = true; })"


@pytest.fixture
def docs(browser: WebDriver, site: str) -> Iterator[WebDriver]:
    browser.get(f"{site}/tabular/docs")
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("function", ["tabular", "image-classification", "text-classification"])
def test_every_command_runs_as_it_is_pasted(browser: WebDriver, site: str, function: str) -> None:
    browser.get(f"{site}/{function}/docs")
    commands = browser.execute_script(
        "return [...document.querySelectorAll('figure pre')].map((one) => one.textContent)"
    )
    assert len(commands) >= 40
    assert all(f'"{site}/{function}/' in command for command in commands)
    for command in commands:
        done = subprocess.run(["bash", "-c", f"{command} --silent --fail-with-body"], capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout[:500]}"


def test_nothing_keeps_anybody_out(docs: WebDriver) -> None:
    for scheme in ("light", "dark"):
        docs.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        assert problems(docs) == []
    docs.execute_script(_OPEN_ALL)
    assert problems(docs) == []


def test_a_phone_needs_no_sideways_scrolling(docs: WebDriver) -> None:
    metrics = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    docs.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    docs.execute_script(_OPEN_ALL)
    assert docs.execute_script("return document.documentElement.scrollWidth") == 360


def test_the_index_leads_to_an_operation_by_the_keyboard(docs: WebDriver) -> None:
    summary = docs.find_element(By.CSS_SELECTOR, "nav summary")
    summary.send_keys(Keys.ENTER)
    link = docs.find_element(By.CSS_SELECTOR, "nav a")
    link.send_keys(Keys.ENTER)
    target = docs.execute_script("return document.querySelector(':target h3').textContent")
    assert target == link.text == "POST /predict"


def test_what_a_publisher_wrote_is_no_markup(docs: WebDriver) -> None:
    assert "colour <img src=x onerror" in docs.find_element(By.TAG_NAME, "main").get_attribute("textContent")
    assert docs.execute_script("return [document.images.length, window.hostile]") == [0, None]
