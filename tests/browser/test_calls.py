"""The calls of a visit: listed with what they took, and to be had back."""

import base64
import json
import re
from pathlib import Path

from tests import tiny_models
from tests.browser.models import EMOJI_TEXT
from tests.browser.playground import Playground


def test_calls_are_listed_newest_first_with_what_they_took(page: Playground) -> None:
    assert not page.one("#visit").is_displayed()
    page.choose("size_model")
    page.send()
    page.fill("weight", "7.25")
    page.send()
    took = page.text("#timing strong")
    page.choose("summary_model")
    page.send()
    assert [call.find_element("tag name", "strong").text for call in page.calls()] == [
        "summary_model",
        "size_model",
        "size_model",
    ]
    time, model, asked, outcome, duration = page.calls()[1].text.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d", time)
    assert (model, outcome, duration) == ("size_model", "WARM", took)
    assert asked == '{"length":1.5,"width":2,"weight":7.25}'


def test_the_input_and_the_answer_of_a_call_come_back(page: Playground) -> None:
    page.choose("summary_model")
    page.use_example(1)
    page.show_parameters()
    page.fill("num_beams", "2")
    page.fill("prefix", "hello ")
    page.send()
    asked, answer, timing = page.asked(), page.answer(), page.text("#timing")
    page.choose("size_model")
    page.send()
    page.calls()[1].click()
    assert page.text("#name") == "summary_model"
    assert page.driver.current_url.endswith("#model=summary_model")
    assert page.value("Text") == EMOJI_TEXT
    assert (page.asked(), page.answer(), page.text("#timing")) == (asked, answer, timing)
    assert [call.get_attribute("aria-current") for call in page.calls()] == [None, "true"]
    page.calls()[0].click()
    assert page.text("#result .prediction") == "large"
    page.driver.back()
    page.wait(lambda: page.text("#name") == "summary_model")


def test_a_parameter_that_was_not_sent_is_as_published_again(page: Playground) -> None:
    page.choose("writing_model")
    page.show_parameters()
    page.field("stream").click()
    page.send()
    asked = page.asked()
    page.field("stream").click()
    page.fill("max_new_tokens", "9")
    page.fill("seed", "3")
    page.calls()[0].click()
    assert page.asked() == asked == {"model_name": "writing_model", "data": tiny_models.TEXT}


def test_an_error_comes_back_with_what_was_wrong(page: Playground) -> None:
    page.choose("picture_model")
    page.write(page.text("#input label"), "[[1, 2")
    page.send()
    said = page.text("#result strong")
    assert page.calls()[0].text.splitlines()[3] == "invalid_input"
    page.use_example(0)
    page.send()
    page.calls()[1].click()
    assert page.text("#result strong") == said
    assert page.value(page.text("#input label")) == "[[1, 2"
    assert page.field(page.text("#input label")).get_attribute("aria-invalid") == "true"


def test_of_a_stopped_stream_what_was_written_comes_back(page: Playground) -> None:
    page.choose("writing_model")
    page.show_parameters()
    page.fill("min_new_tokens", "4000")
    page.fill("max_new_tokens", "4000")
    page.one("#send").click()
    page.wait(lambda: page.all("#result.streaming .text"))
    page.one("#stop").click()
    page.wait_for_answer()
    written = page.content("#result .text")
    assert written
    assert page.calls()[0].text.splitlines()[3] == "stopped"
    page.choose("size_model")
    page.send()
    page.calls()[1].click()
    assert page.content("#result .text") == written
    assert page.text("#timing") == "stopped"


def test_an_image_comes_back(page: Playground, tmp_path: Path) -> None:
    page.choose("image_model")
    file = tmp_path / "picture.webp"
    file.write_bytes(tiny_models.picture(kind="WEBP"))
    page.field("Image").send_keys(str(file))
    page.wait(lambda: page.one("#preview").get_attribute("src").startswith("data:image/webp;"))
    page.send()
    assert page.calls()[0].text.splitlines()[2] == "an image"
    page.use_example(0)
    page.calls()[0].click()
    sent = page.one("#preview").get_attribute("src").partition(",")[2]
    assert base64.b64decode(sent) == file.read_bytes()


def test_calls_are_forgotten_when_that_is_asked(page: Playground) -> None:
    page.choose("size_model")
    page.send()
    page.one("#forget").click()
    assert page.calls() == []
    assert not page.one("#visit").is_displayed()
    assert page.focus() == "answer-title"
    assert page.text("#result .prediction") == "large"


def test_only_so_many_calls_are_kept(page: Playground) -> None:
    page.choose("size_model")
    body = {"body": {"prediction": "large"}}
    page.script(f"window.fetch = async () => Response.json({json.dumps(body)})")
    for _ in range(52):
        page.script("document.querySelector('#send').click()")
        page.wait_for_answer()
    assert len(page.calls()) == 50


def test_nothing_of_a_visit_is_stored(page: Playground) -> None:
    page.choose("size_model")
    page.send()
    assert page.script("return [localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    page.driver.refresh()
    page.wait(lambda: page.one("#send").is_displayed())
    assert page.calls() == []
