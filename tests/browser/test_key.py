"""The page where a key is asked for: it is sent, and stands nowhere."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from selenium.webdriver.remote.webdriver import WebDriver

from deploy.publisher import signing_key
from model_functions.store.folder import FolderStore
from tests.browser.axe import problems
from tests.browser.conftest import emulated
from tests.browser.playground import Playground
from tests.browser.snippets import Interpreters, run_in_the_browser, run_shell
from tests.made_keys import MadeKey, Writer, made
from tests.running import call

PLACEHOLDER = "YOUR-ACCESS-KEY"

#: Wherever a page can leave something.
_EVERYTHING = """
    return [document.documentElement.outerHTML, JSON.stringify([{ ...localStorage }, { ...sessionStorage }]),
        document.cookie, location.href, JSON.stringify(history.state), document.title,
        ...[...document.querySelectorAll("input, textarea")].map((one) => one.value)].join("\\n");
"""


@pytest.fixture(scope="module")
def writer(browser_store: Path) -> Writer:
    return Writer(FolderStore(browser_store), signing_key())


@pytest.fixture(scope="module")
def key(writer: Writer) -> MadeKey:
    key = made("onnx/*", "image_classification/*")
    writer.write(key)
    return key


@pytest.fixture(scope="module")
def guarded_site(browser_store: Path, key: MadeKey) -> Iterator[str]:
    with emulated(browser_store, ACCESS="keys", ACCESS_REFRESH_SECONDS="1") as url:
        yield url


@pytest.fixture
def page(browser: WebDriver, guarded_site: str) -> Iterator[Playground]:
    page = Playground(browser, guarded_site)
    page.driver.get("about:blank")
    page.driver.get(guarded_site)
    page.wait(lambda: page.one("#entrance").is_displayed())
    yield page
    page.as_at_first()
    unexpected = [entry for entry in page.console() if entry["source"] != "network" or "401" not in entry["message"]]
    assert unexpected == []


def enter(page: Playground, key: str) -> None:
    page.one("#key").send_keys(key)
    page.one("#entrance button").click()


def entered(page: Playground, key: MadeKey) -> None:
    enter(page, key.text)
    page.wait(lambda: page.one("#workbench").is_displayed())


def test_the_page_asks_for_a_key_and_then_shows_its_models(page: Playground, key: MadeKey) -> None:
    assert not page.one("#workbench").is_displayed()
    assert page.focus() == "key"
    assert page.text("#refusal") == ""
    enter(page, made().text)
    page.wait(lambda: page.text("#refusal"))
    assert page.text("#refusal").startswith("Nobody is let in without an access key that counts.")
    entered(page, key)
    assert not page.one("#entrance").is_displayed()
    assert page.models() == ["image_model", "picture_model", "sums_model"]


def test_it_keeps_nobody_out_who_cannot_see_it(page: Playground, key: MadeKey) -> None:
    assert problems(page.driver) == []
    enter(page, "wrong")
    page.wait(lambda: page.text("#refusal"))
    assert problems(page.driver) == []
    entered(page, key)
    assert problems(page.driver) == []


def test_the_key_stands_nowhere(page: Playground, key: MadeKey, tmp_path: Path) -> None:
    entered(page, key)
    page.choose("sums_model")
    page.send()
    assert page.text("#result")
    assert key.text not in page.script(_EVERYTHING)
    for client in page.clients():
        code = page.code(client)
        assert (PLACEHOLDER in code, key.text in code) == (True, False), client
        assert key.text not in page.script(_EVERYTHING)
    page.driver.refresh()
    page.wait(lambda: page.one("#entrance").is_displayed())
    assert page.one("#key").get_property("value") == ""
    assert key.text not in page.script(_EVERYTHING)


def test_a_client_sends_the_key_that_its_reader_puts_in(page: Playground, key: MadeKey, tmp_path: Path) -> None:
    entered(page, key)
    page.choose("sums_model")
    page.send()
    expected = page.answer()["body"]

    def code(client: str) -> str:
        return page.code(client).replace(PLACEHOLDER, key.text)

    assert json.loads(run_shell(code("curl"), tmp_path))["body"] == expected
    assert run_in_the_browser(page, code("JavaScript"))[-1] == expected
    interpreters = Interpreters()
    try:
        assert interpreters.run("Python", code("Python"), tmp_path).answer["body"] == expected
    finally:
        interpreters.close()
    # They take their time to be imported; each has its own word for it.
    assert f', headers={{"X-Api-Key": "{key.text}"}})' in code("Triton")
    assert f'    headers={{"X-Api-Key": "{key.text}"}},\n)' in code("KServe")


def test_the_key_is_forgotten_when_its_owner_says_so(page: Playground, key: MadeKey) -> None:
    entered(page, key)
    page.one("#leave").click()
    page.wait(lambda: page.one("#entrance").is_displayed())
    assert not page.one("#workbench").is_displayed()
    assert not page.one("#leave").is_displayed()


def test_a_key_that_is_revoked_meanwhile_is_asked_for_again(page: Playground, key: MadeKey, writer: Writer) -> None:
    short = made("onnx/*")
    writer.write(key, short)
    # The function has read the list as well as the gateway then.
    ready = f"{page.url}/v2/models/sums_model/ready"
    page.wait(lambda: call(ready, None, "GET", **{"X-Api-Key": short.text}).status == 200)
    entered(page, short)
    page.choose("sums_model")
    page.send()
    assert not page.all("#result .error")
    writer.write(key, replace(short.record, revoked=1))

    def refused() -> bool:
        if not page.one("#entrance").is_displayed():
            page.send()
        return bool(page.one("#entrance").is_displayed())

    page.wait(refused)
    assert problems(page.driver) == []
    assert page.text("#refusal").startswith("Nobody is let in without an access key that counts.")
    entered(page, key)
    assert "unauthenticated" in page.calls()[0].text
    page.choose("sums_model")
    page.send()
    assert not page.all("#result .error")


def test_the_docs_ask_for_a_key_and_then_show_what_it_may(page: Playground, key: MadeKey) -> None:
    entered(page, key)
    page.one("#docs").click()
    page.wait(lambda: page.focus() == "key")
    assert problems(page.driver) == []
    assert page.all("section") == []
    page.one("#key").send_keys(made().text)
    page.one("#door button").click()
    page.wait(lambda: page.text("#refusal"))
    assert page.text("#refusal") == "This key does not count here."
    assert page.focus() == "key"
    page.one("#key").send_keys(key.text)
    page.one("#door button").click()
    page.wait(lambda: page.all("section"))
    assert page.driver.title == "gateway: interface"
    assert 'with -H "X-Api-Key: YOUR-ACCESS-KEY" behind each' in page.text("#hint")
    assert f'curl -X POST "{page.url}/predict"' in page.script("return document.querySelector('main').textContent")
    assert key.text not in page.script(_EVERYTHING)
    assert problems(page.driver) == []


def test_a_command_of_the_docs_runs_with_the_key_behind_it(page: Playground, key: MadeKey, tmp_path: Path) -> None:
    page.driver.get(f"{page.url}/docs")
    page.one("#key").send_keys(key.text)
    page.one("#door button").click()
    page.wait(lambda: page.all("section"))
    commands = page.script("return [...document.querySelectorAll('figure pre')].map((one) => one.textContent)")
    command = next(one for one in commands if "sums_model" in one and "/predict" in one)
    assert "body" in json.loads(run_shell(f'{command} -H "X-Api-Key: {key.text}"', tmp_path))
