"""The page for everybody: by axe-core's rules, in both colours, at every width, by the keyboard alone."""

from collections.abc import Callable

import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver

from tests.browser.axe import problems
from tests.browser.models import MODELS
from tests.browser.playground import Playground

DESKTOP, PHONE = 1200, 360


@pytest.mark.parametrize("model", MODELS)
def test_nothing_of_an_answer_keeps_anybody_out(page: Playground, model: str) -> None:
    page.choose(model)
    page.show_parameters()
    page.send()
    assert page.text("#result")
    page.one("#raw summary").click()
    assert everywhere(page, problems) == []


@pytest.mark.parametrize(
    ("model", "parameter", "value"), [("summary_model", "num_beams", "99"), ("nli_model", "top_k", "0")]
)
def test_nothing_of_an_error_keeps_anybody_out(page: Playground, model: str, parameter: str, value: str) -> None:
    page.choose(model)
    page.show_parameters()
    page.fill(parameter, value)
    page.send()
    assert page.all("#result .error")
    assert everywhere(page, problems) == []


def test_the_folded_list_of_models_keeps_nobody_out(page: Playground) -> None:
    page.resize(PHONE)
    assert not page.one("#models").is_displayed()
    assert problems(page.driver) == []
    page.one("#choice > summary").click()
    assert problems(page.driver) == []


def test_the_page_keeps_nobody_out_while_it_is_empty(page: Playground) -> None:
    page.open_with("window.fetch = async () => Response.json({ function: 'gateway', models: [] })", "#empty")
    assert everywhere(page, problems) == []


def test_the_page_keeps_nobody_out_where_no_list_comes(page: Playground) -> None:
    page.open_with("window.fetch = async () => Response.json({}, { status: 503 })", "#notice .error")
    assert everywhere(page, problems) == []


def everywhere(page: Playground, look: Callable[[WebDriver], list[str]]) -> list[str]:
    """What is found in light and dark, on a desk and on a phone."""
    found = []
    for width in (DESKTOP, PHONE):
        page.resize(width)
        for scheme in ("light", "dark"):
            page.prefer(scheme)
            found += [f"{scheme}, {width} wide: {one}" for one in look(page.driver)]
    return found


@pytest.mark.parametrize("width", [320, 390])
@pytest.mark.parametrize("model", MODELS)
def test_a_phone_needs_no_sideways_scrolling(page: Playground, model: str, width: int) -> None:
    page.resize(width)
    page.choose(model)
    if model in ("entity_model", "summary_model", "translation_model"):
        page.fill("Text", "a" * 200)
    page.show_parameters()
    page.send()
    page.one("#raw summary").click()
    for client in page.clients():
        page.code(client)
        assert page.script("return document.documentElement.scrollWidth") == width


def test_every_field_has_a_label_and_every_link_a_name(page: Playground) -> None:
    for model in MODELS:
        page.choose(model)
        unlabelled = (
            "return [...document.querySelectorAll('input, select, textarea')].filter((one) => !one.labels.length)"
        )
        assert page.script(unlabelled) == []
    repeated = (
        "const ids = [...document.querySelectorAll('[id]')].map((one) => one.id); return ids.length - new Set(ids).size"
    )
    assert page.script(repeated) == 0


def test_a_call_is_made_by_the_keyboard_alone_and_the_focus_is_always_seen(page: Playground) -> None:
    page.open()
    passed = tab_to(page, "skip")
    page.press(Keys.ENTER)
    assert page.focus() == "name"
    passed += tab_to(page, "send")
    page.press(Keys.ENTER)
    page.wait_for_answer()
    assert page.focus() == "send"
    passed += tab_to(page, "copy")
    passed += tab_to(page, "curl")
    page.press(Keys.ARROW_RIGHT)
    assert page.content("#code").startswith("import requests")
    passed += tab_to(page, "code")
    assert all(passed)


def tab_to(page: Playground, wanted: str) -> list[bool]:
    """Presses Tab until it is there; of each thing that had the focus meanwhile, whether that was to be seen."""
    seen = []
    for _ in range(60):
        page.press(Keys.TAB)
        seen.append(page.focus_is_seen())
        if page.focus() == wanted:
            return seen
    pytest.fail(f"Tab does not come to {wanted}.")


def test_escape_stops_what_is_waited_for(page: Playground) -> None:
    page.choose("size_model")
    page.hold_requests()
    page.one("#send").click()
    page.wait(lambda: page.one("#stop").is_displayed())
    page.press(Keys.ESCAPE)
    page.wait_for_answer()
    assert page.text("#result") == "Stopped before an answer came."
    page.release_requests()


def test_the_colours_follow_the_system_until_they_are_chosen(page: Playground) -> None:
    page.prefer("light")
    light = page.ground()
    page.prefer("dark")
    dark = page.ground()
    assert light != dark
    assert page.one("#theme").get_attribute("aria-pressed") == "true"
    page.one("#theme").click()
    assert page.ground() == light
    assert page.one("#theme").get_attribute("aria-pressed") == "false"
    page.driver.refresh()
    assert page.ground() == light
    page.wait(lambda: page.one("#theme").is_displayed())
    page.one("#theme").click()  # back at what the system says
    assert page.ground() == dark
    page.prefer("light")
    assert page.ground() == light
    assert page.script("return localStorage.length") == 0


def test_the_colours_may_be_chosen_where_nothing_may_be_stored(page: Playground) -> None:
    page.open_with(
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no'); } })", "#send"
    )
    page.prefer("light")
    light = page.ground()
    page.one("#theme").click()
    assert page.ground() != light
