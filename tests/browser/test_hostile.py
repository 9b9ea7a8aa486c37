"""Whatever stands in names, inputs, answers and errors is shown as text: markup that runs would say so."""

import json
from typing import Any

import pytest

from tests.browser.models import HOSTILE
from tests.browser.playground import Playground

SCRIPT = "<script>window.hostile = 1</script>"
MARKUP = f"{HOSTILE}{SCRIPT}</textarea></pre><svg onload=window.hostile=1><a href=javascript:window.hostile=1>x</a>"

#: A model of which everything is hostile, and whose answers are what the test says.
MODEL: dict[str, Any] = {
    "model_name": MARKUP,
    "family": "text_generation",
    "function": MARKUP,
    "alias": MARKUP,
    "revision": MARKUP,
    "description": MARKUP,
    "task": "text-generation",
    "kind": "text",
    "data": {"type": "string"},
    "examples": [MARKUP, MARKUP],
    "streams": True,
    "parameters": {
        MARKUP: {"type": "string", "description": MARKUP, "default": MARKUP},
        "choice": {"type": "string", "description": MARKUP, "default": MARKUP, "enum": [MARKUP, "other"]},
        "stream": {"type": "boolean", "description": MARKUP, "default": False},
    },
}

FETCH = """
    window.fetch = async (address, options) => {
        if (!options.body) return Response.json({ function: "gateway", models: %s });
        return new Response(...window.told);
    };
"""


@pytest.fixture
def hostile(page: Playground) -> Playground:
    """The page with the hostile model alone."""
    page.open_with(FETCH % json.dumps([MODEL]), "#send")
    return page


def answer_with(page: Playground, body: str, status: int = 200, kind: str = "application/json") -> None:
    headers = {"Content-Type": kind, "X-Request-Id": MARKUP, "X-Model-Revision": MARKUP, "Server-Timing": MARKUP}
    page.script("window.told = arguments[0]", [body, {"status": status, "headers": headers}])


def test_names_descriptions_examples_and_parameters_are_shown_as_text(hostile: Playground) -> None:
    hostile.show_parameters()
    assert hostile.text("#name") == hostile.text("#description") == hostile.value("Text") == MARKUP
    assert hostile.value(MARKUP) == MARKUP
    assert hostile.text("#examples button") == MARKUP[:200]
    assert_nothing_ran(hostile)
    for client in hostile.clients():
        assert json.dumps(MARKUP)[1:-1].replace("'", "'\\''" if client == "curl" else "'") in hostile.code(client)
        assert_nothing_ran(hostile)


@pytest.mark.parametrize("status", [400, 422, 503])
def test_an_error_is_shown_as_text(hostile: Playground, status: int) -> None:
    detail = {"path": MARKUP, "message": f"{MARKUP} again"}
    error = {"code": MARKUP, "message": MARKUP, "status": status, "request_id": MARKUP, "details": [detail]}
    answer_with(hostile, json.dumps({"error": error}), status)
    hostile.send()
    assert hostile.text("#result strong") == hostile.text("#result code") == MARKUP
    assert f"{MARKUP}: {MARKUP} again" in hostile.text("#result")
    assert MARKUP in hostile.text("#timing")
    assert MARKUP in hostile.calls()[0].text
    assert_nothing_ran(hostile)


@pytest.mark.parametrize(
    "body", [{MARKUP: MARKUP}, [MARKUP], MARKUP, {"generated_text": MARKUP, "stop_sequence": MARKUP}]
)
def test_an_answer_is_shown_as_text(hostile: Playground, body: Any) -> None:
    answer_with(hostile, json.dumps({"body": body}))
    hostile.send()
    assert json.dumps(MARKUP)[1:-1] in hostile.text("#result") or MARKUP in hostile.text("#result")
    assert_nothing_ran(hostile)


def test_a_stream_is_shown_as_text(hostile: Playground) -> None:
    whole = {"body": {"generated_text": MARKUP, "finish_reason": MARKUP}}
    events = f"data: {json.dumps({'text': MARKUP})}\n\nevent: answer\ndata: {json.dumps(whole)}\n\n"
    answer_with(hostile, events, kind="text/event-stream")
    hostile.send()
    assert hostile.content("#result .text") == MARKUP
    assert_nothing_ran(hostile)


def test_an_answer_that_is_not_ours_is_shown_as_none(hostile: Playground) -> None:
    answer_with(hostile, f"<h1>{MARKUP}</h1>", 502, "text/html")
    hostile.send()
    assert hostile.text("#result strong").startswith("What came back is no answer of this function")
    assert_nothing_ran(hostile)


@pytest.mark.parametrize(
    "address", [f"/#model={HOSTILE}", "/#model=%00", "/#%3Cscript%3E", f"/?{SCRIPT}#model={SCRIPT}"]
)
def test_an_address_runs_nothing(page: Playground, address: str) -> None:
    page.open(address)
    assert page.text("#name") == page.models()[0]
    assert_nothing_ran(page)


def test_markup_of_a_real_model_is_shown_as_text(page: Playground) -> None:
    page.choose("hostile_model")
    assert page.text("#description") == f"Says {HOSTILE}."
    assert page.value(f"colour {HOSTILE}") == HOSTILE
    page.send()
    assert page.text("#result .prediction") == f"label {HOSTILE}"
    assert page.text("#result th") == f"label {HOSTILE}"
    assert_nothing_ran(page)


def test_markup_in_a_text_is_shown_as_text(page: Playground) -> None:
    page.choose("entity_model")
    page.show_parameters()
    page.fill("aggregation_strategy", "none")
    page.fill("Text", f"Anna {HOSTILE}")
    page.send()
    assert page.all("#result .text mark")
    assert "".join(page.parts("#result .text")[0]) == f"Anna {HOSTILE}"
    assert_nothing_ran(page)


@pytest.mark.parametrize(
    "markup", ["document.body.innerHTML = arguments[0]", "document.write(arguments[0])", "setTimeout(arguments[0])"]
)
def test_the_browser_takes_no_text_for_markup_or_code(page: Playground, markup: str) -> None:
    assert page.script(f"try {{ {markup} }} catch (reason) {{ return reason.name }}", SCRIPT) == "TypeError"
    page.wait(
        lambda: any("TrustedHTML" in entry["message"] or "Trusted" in entry["message"] for entry in page.console())
    )


@pytest.mark.parametrize(
    "added",
    [
        "const one = document.createElement('img'); one.src = 'https://example.com/x.png'",
        "const one = document.createElement('style'); one.textContent = 'body { color: red }'",
        "const one = document.createElement('iframe'); one.src = 'https://example.com/'",
        "const one = document.createElement('form'); one.action = 'https://example.com/'",
    ],
)
def test_the_policy_refuses_what_is_not_the_page_s_own(page: Playground, added: str) -> None:
    page.script(f"{added}; document.body.append(one); one.submit?.()")
    page.wait(lambda: any("Content Security Policy" in entry["message"] for entry in page.console()))
    assert page.script("return window.hostile") is None


def assert_nothing_ran(page: Playground) -> None:
    assert page.all("img, svg, main script, main a[href^=javascript]") == []
    assert page.script("return window.hostile") is None
