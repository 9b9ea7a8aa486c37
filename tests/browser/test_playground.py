"""The front page in a real browser over the real emulator."""

import base64
import io
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys

from tests import tiny_models
from tests.browser.models import CHAT, EMOJI_TEXT, HOSTILE, MODELS, PAIR, PICTURE, RANK, SIMILAR
from tests.browser.playground import Playground
from tests.running import call

AWKWARD = "Anna's \"report\" \\ says 'hello' 😀\nBerlin $HOME `id` !"


def test_lists_what_is_published(page: Playground) -> None:
    assert sorted(page.models()) == MODELS
    page.choose("size_model")
    assert page.text("#description") == "Tells small from large."
    revision = page.text("#facts").split()[-1]
    page.send()
    assert page.answer()["revision"] == revision
    assert f"revision {revision}" in page.text("#timing")


@pytest.mark.parametrize("path", ["/", "/gateway", "/gateway/"])
def test_works_wherever_it_is_mounted(page: Playground, path: str) -> None:
    page.open(path, "size_model")
    base = page.url + path.rstrip("/")
    page.send()
    assert page.answer()["body"]["prediction"] == "large"
    assert page.command().startswith(f"curl '{base}/predict' ")
    assert page.one("#docs").get_property("href") == f"{base}/docs"
    assert page.one("#openapi").get_property("href") == f"{base}/openapi.json"


def test_the_choice_is_kept_in_the_address(page: Playground) -> None:
    page.choose("summary_model")
    page.driver.refresh()
    page.wait(lambda: page.text("#name") == "summary_model")
    assert page.text("#models a[aria-current=true]").startswith("summary_model")
    page.choose("size_model")
    page.driver.back()
    page.wait(lambda: page.text("#name") == "summary_model")


def test_a_text_model_has_a_text_field_and_its_examples(page: Playground) -> None:
    page.choose("summary_model")
    assert page.value("Text") == tiny_models.TEXT
    assert [button.text for button in page.all("#examples button")] == [tiny_models.TEXT, EMOJI_TEXT]
    page.use_example(1)
    assert page.value("Text") == EMOJI_TEXT
    assert page.asked() == {"model_name": "summary_model", "data": EMOJI_TEXT}


def test_a_row_model_has_a_field_a_column_in_their_order(page: Playground) -> None:
    page.choose("size_model")
    assert tuple(label.text for label in page.all("#input .columns label")) == tiny_models.COLUMNS
    assert [page.value(column) for column in tiny_models.COLUMNS] == ["1.5", "2", "0.5"]
    page.use_example(1)  # a list: in the columns' order
    page.fill("weight", "7.25")
    assert page.asked()["data"] == {"length": -1.5, "width": -2, "weight": 7.25}


def test_several_rows_are_edited_in_a_table_and_answered_in_one(page: Playground) -> None:
    page.choose("size_model")
    add = "#input > div > div > button"
    page.one(add).click()
    page.one(add).click()
    assert page.text(add) == "Add a row"
    assert [cell.text for cell in page.all("#input thead th")] == list(tiny_models.COLUMNS)
    cells = page.all("#input tbody input")
    assert [cell.get_attribute("aria-label") for cell in cells[3:6]] == [
        f"{name}, row 2" for name in tiny_models.COLUMNS
    ]
    cells[3].clear()
    cells[3].send_keys("-9")
    page.all("#input tbody button")[2].click()
    first = {"length": 1.5, "width": 2, "weight": 0.5}
    assert page.asked()["data"] == [first, first | {"length": -9}]
    page.send()
    assert [row["prediction"] for row in page.answer()["body"]] == ["large", "small"]
    assert [parts[:2] for parts in page.parts("#result tr")] == [["Row 1", "large"], ["Row 2", "small"]]
    page.all("#input tbody button")[0].click()
    assert page.asked()["data"] == first | {"length": -9}
    assert tuple(label.text for label in page.all("#input .columns label")) == tiny_models.COLUMNS


def test_a_wrong_cell_of_a_table_is_marked(page: Playground) -> None:
    page.choose("size_model")
    page.one("#input > div > div > button").click()
    page.all("#input tbody input")[4].clear()
    page.send()
    assert page.text("#result strong") == 'The column "width" is null. Send a number.'
    marked = [cell.get_attribute("aria-label") for cell in page.all("#input [aria-invalid='true']")]
    assert marked == ["width, row 2"]


def test_a_column_may_be_a_text_a_number_or_a_boolean_and_missing(page: Playground) -> None:
    page.choose("hostile_model")
    page.use_example(1)
    assert list(page.asked()["data"].values()) == ["blue", None, False]
    page.fill("height", "2.5")
    page.fill("is_ripe", "true")
    assert list(page.asked()["data"].values()) == ["blue", 2.5, True]
    page.fill("is_ripe", "–")
    page.fill("height", "")
    page.fill(f"colour {HOSTILE}", "")  # may not be missing: an empty text is one
    assert list(page.asked()["data"].values()) == ["", None, None]


def test_only_changed_parameters_are_sent(page: Playground) -> None:
    page.choose("translation_model")
    assert "parameters" not in page.asked()
    page.show_parameters()
    assert page.value("max_new_tokens") == "8"
    assert page.field("num_beams").get_property("max") == "8"
    page.fill("num_beams", "2")
    page.fill("length_penalty", "0.5")
    page.fill("prefix", "hello ")
    page.field("early_stopping").click()
    page.fill("seed", "3")
    page.fill("top_k", "50")
    changed = {"num_beams": 2, "length_penalty": 0.5, "prefix": "hello ", "early_stopping": True, "seed": 3}
    assert page.asked()["parameters"] == changed
    assert page.text("#changed") == "5 changed"


def test_entities_are_highlighted_in_place(page: Playground) -> None:
    page.choose("entity_model")
    page.use_example(1)
    page.send()
    entities = page.answer()["body"]
    assert entities
    marked = [[EMOJI_TEXT[entity["start"] : entity["end"]], entity["entity_group"]] for entity in entities]
    assert page.parts("#result .text mark") == marked
    assert "".join(page.parts("#result .text")[0]) == EMOJI_TEXT
    scores = [cell.text for cell in page.all("#result td.number")]
    assert scores == [f"{100 * entity['score']:.1f} %" for entity in entities]


def test_tokens_are_highlighted_without_aggregation(page: Playground) -> None:
    page.choose("entity_model")
    page.show_parameters()
    page.fill("aggregation_strategy", "none")
    page.send()
    labels = [small.text for small in page.all("#result .text small")]
    assert labels == [entity["entity"] for entity in page.answer()["body"]]
    assert labels


def test_a_text_without_entities_says_so(page: Playground) -> None:
    page.choose("entity_model")
    page.show_parameters()
    page.fill("threshold", "1")
    page.send()
    assert page.text("#result") == f"{tiny_models.TEXT}\nNo entity was found."


@pytest.mark.parametrize(
    ("model", "key"), [("translation_model", "translation_text"), ("summary_model", "summary_text")]
)
def test_an_answer_in_words_is_shown_as_text(page: Playground, model: str, key: str) -> None:
    page.choose(model)
    page.send()
    assert page.text("#result") == page.answer()["body"][key] != ""
    page.show_parameters()
    page.fill("num_beams", "2")
    page.fill("num_return_sequences", "2")
    page.send()
    assert [item.text for item in page.all("#result li")] == [answer[key] for answer in page.answer()["body"]]


def test_a_prediction_is_shown_with_its_probabilities_sorted(page: Playground) -> None:
    page.choose("size_model")
    page.use_example(1)
    page.send()
    body = page.answer()["body"]
    assert page.text("#result .prediction") == body["prediction"] == "small"
    ranked = sorted(body["probabilities"].items(), key=lambda item: -item[1])
    assert [cell.text for cell in page.all("#result th")] == [label for label, _ in ranked]
    assert [cell.text for cell in page.all("#result td.number")] == [f"{100 * share:.1f} %" for _, share in ranked]
    widths = [bar.size["width"] for bar in page.all("#result .bar")]
    assert widths[0] > widths[1]
    page.show_parameters()
    page.fill("method", "predict")
    page.send()
    assert page.text("#result") == "small"


SHAPES = "pixels is (4, 4), as the model takes it"


def test_a_small_picture_is_drawn_and_its_labels_are_shown(page: Playground) -> None:
    page.choose("picture_model")
    assert page.text("#input label") == "Data, as JSON: pixels float32 (4, 4)"
    assert page.text("#shapes") == SHAPES
    assert page.asked()["data"] == PICTURE
    page.send()
    assert page.text("#result .prediction") == "left"
    assert [cell.text for cell in page.all("#result th")] == ["left", "right"]
    page.all("#input button")[0].click()  # clears it
    assert page.asked()["data"] == [[0] * 4] * 4
    canvas = page.one("canvas")
    quarter = canvas.size["width"] // 4
    # From the middle to the cell at the right, across its lower half.
    ActionChains(page.driver).move_to_element_with_offset(
        canvas, quarter // 2, quarter // 2
    ).click_and_hold().move_by_offset(quarter, 0).release().perform()
    assert page.asked()["data"] == [[0] * 4, [0] * 4, [0, 0, 1, 1], [0] * 4]
    page.send()
    assert page.text("#result .prediction") == "right"


def test_nested_lists_tell_their_shape_while_they_are_written(page: Playground) -> None:
    page.choose("picture_model")
    label = "Data, as JSON: pixels float32 (4, 4)"
    for text, told in (
        ("[[1, 2], [3, 4]]", "pixels is (2, 2); the model takes (4, 4)"),
        ("[[1, 2], [3]]", "2 items or rows, not equally long"),
        ("[[1, 2", "This is no JSON yet."),
        (json.dumps([PICTURE] * 3), f"3 items; the first: {SHAPES}"),
    ):
        page.fill(label, text)
        assert page.text("#shapes") == told
    page.send()
    assert [item.text for item in page.all("#result ol .prediction")] == ["left"] * 3
    page.fill(label, "[[1, 2")
    page.send()
    assert page.text("#result strong") == 'data is a string; "pixels" has the shape (4, 4). Send a list 2 deep.'


def test_a_json_file_is_taken_as_it_is(page: Playground, tmp_path: Path) -> None:
    page.choose("picture_model")
    file = tmp_path / "pictures.json"
    file.write_text(json.dumps([PICTURE] * 2))
    page.field("From a JSON file").send_keys(str(file))
    page.wait(lambda: page.asked()["data"] == [PICTURE] * 2)
    assert page.text("#shapes") == f"2 items; the first: {SHAPES}"
    page.send()
    assert [item.text for item in page.all("#result ol .prediction")] == ["left"] * 2


def test_rows_come_from_a_json_file(page: Playground, tmp_path: Path) -> None:
    page.choose("size_model")
    rows = [{"length": 1, "width": 2, "weight": 3}, [-1, -2, -3]]
    file = tmp_path / "rows.json"
    file.write_text(json.dumps(rows))
    page.field("From a JSON file").send_keys(str(file))
    page.wait(lambda: page.all("#input tbody tr"))
    assert page.asked()["data"] == [rows[0], {"length": -1, "width": -2, "weight": -3}]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"length": 1', "rows.json is no JSON: "),
        ("[[1, 2]]", "That is no row, nor a list of at most 50 rows, of length, width, weight."),
        (json.dumps([[1, 2, 3]] * 51), "That is no row, nor a list of at most 50 rows, of length, width, weight."),
        (" " * 2_100_000, "rows.json has 2.1 MB; the page takes 2 MB. Send it by code."),
    ],
)
def test_a_file_that_cannot_be_taken_is_told_of(page: Playground, tmp_path: Path, text: str, told: str) -> None:
    page.choose("size_model")
    before = page.asked()["data"]
    file = tmp_path / "rows.json"
    file.write_text(text)
    page.field("From a JSON file").send_keys(str(file))
    page.wait(lambda: page.text("#file-said").startswith(told))
    assert page.asked()["data"] == before


def test_models_are_found_by_name_and_task(page: Playground) -> None:
    page.fill("Find a model", "TABULAR")
    assert sorted(page.models()) == ["hostile_model", "size_model", "untouched_model"]
    page.fill("Find a model", "nothing like it")
    assert page.models() == []
    assert page.text("#none-found") == "No model is called so."
    page.fill("Find a model", "size")
    assert page.models() == ["size_model"]


def test_what_a_parameter_may_be_is_told_beside_it(page: Playground) -> None:
    page.choose("writing_model")
    page.show_parameters()
    hints = {field: page.hint(field) for field in ("max_new_tokens", "seed", "stop", "stream", "top_p")}
    assert hints["max_new_tokens"].endswith("\n1 to 4096, default 8")
    assert hints["seed"].endswith("\nat least 0")
    assert hints["stop"].endswith("\nat most 8 lines")
    assert hints["stream"].endswith("as server-sent events.")
    assert hints["top_p"].endswith("\n0.01 to 1, default 1")
    page.choose("nli_model")
    page.show_parameters()
    assert page.hint("hypothesis_template").endswith("\nat most 300 characters, default This example is {}.")


def test_several_tensors_have_a_part_of_the_answer_each(page: Playground) -> None:
    page.choose("sums_model")
    assert page.text("#shapes").splitlines() == [
        "values is (2), as the model takes it",
        "weights is (2), as the model takes it",
    ]
    page.send()
    assert [heading.text for heading in page.all("#result h4")] == ["products", "scaled"]
    assert [cell.text for cell in page.all("#result td.number")] == ["3", "-8"]
    assert page.text("#result .prediction") == "-10"


def test_an_image_is_shown_and_its_labels_as_bars(page: Playground, tmp_path: Path) -> None:
    page.choose("image_model")
    assert page.one("#preview").get_attribute("src").startswith("data:image/png;base64,")
    page.send()
    body = page.answer()["body"]
    assert page.text("#result .prediction") == body[0]["label"]
    assert [cell.text for cell in page.all("#result th")] == [one["label"] for one in body]
    assert [cell.text for cell in page.all("#result td.number")] == [f"{100 * one['score']:.1f} %" for one in body]
    file = tmp_path / "picture.webp"
    file.write_bytes(tiny_models.picture(kind="WEBP"))
    page.field("Image").send_keys(str(file))
    page.wait(lambda: page.one("#preview").get_attribute("src").startswith("data:image/webp;base64,"))
    assert page.command() == (
        f"curl '{page.url}/predict?model_name=image_model' \\\n  -H 'Content-Type: image/webp' \\\n"
        "  --data-binary @image.webp"
    )
    page.send()
    shown = page.answer()
    environment = os.environ | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    command = page.command().replace("image.webp", str(file))
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, check=True)
    assert json.loads(done.stdout) == shown


def test_an_example_image_is_chosen_by_its_thumbnail(page: Playground) -> None:
    page.choose("image_model")
    page.all("#examples img")[1].click()
    assert page.one("#preview").get_attribute("src").startswith("data:image/jpeg;base64,")


def test_an_image_is_pasted_and_dropped(page: Playground) -> None:
    page.choose("image_model")
    for kind, field in (("paste", "clipboardData"), ("drop", "dataTransfer")):
        page.script(
            """
            const [kind, field, text] = arguments;
            const held = new DataTransfer();
            const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
            held.items.add(new File([bytes], "x", { type: "image/gif" }));
            const Kind = kind === "paste" ? ClipboardEvent : DragEvent;
            const happening = new Kind(kind, { [field]: held, bubbles: true, cancelable: true });
            document.querySelector("#data").dispatchEvent(happening);
            """,
            kind,
            field,
            base64.b64encode(tiny_models.picture(kind="GIF")).decode(),
        )
        page.wait(lambda: page.one("#preview").get_attribute("src").startswith("data:image/gif;base64,"))
        page.use_example(0)


def test_a_drawing_is_sent_cut_out_and_may_be_cleared(page: Playground) -> None:
    page.choose("image_model")
    before = page.one("#preview").get_attribute("src")
    pad = page.one("#pad")
    ActionChains(page.driver).move_to_element_with_offset(pad, -90, -90).click_and_hold().move_by_offset(
        0, 60
    ).release().perform()
    page.wait(lambda: page.one("#preview").get_attribute("src") != before)
    drawn = page.one("#preview").get_attribute("src").partition(",")[2]
    ink = 255 - np.asarray(Image.open(io.BytesIO(base64.b64decode(drawn))).convert("L")).astype(int)
    rows, columns = np.nonzero(ink > 127)
    assert abs(rows.mean() - 140) < 4
    assert abs(columns.mean() - 140) < 4
    assert rows.max() - rows.min() > 190
    page.send()
    assert page.text("#result .prediction") in ("cat", "dog", "bird")
    page.one("#clear-pad").click()
    assert not page.one("#preview").is_displayed()
    page.send()
    assert page.text("#result strong").startswith("data is empty: 0 bytes.")


def test_a_pair_is_sent_only_where_there_is_a_second_text(page: Playground) -> None:
    page.choose("nli_model")
    assert page.asked()["data"] == tiny_models.TEXT
    page.use_example(1)
    assert page.asked()["data"] == PAIR
    page.send()
    answer = page.answer()["body"]
    assert page.text("#result .prediction") == answer[0]["label"]
    assert [cell.text for cell in page.all("#result td.number")] == [f"{100 * one['score']:.1f} %" for one in answer]


def test_labels_of_ones_own_are_shown_with_their_scores(page: Playground) -> None:
    page.choose("nli_model")
    page.show_parameters()
    page.fill("candidate_labels", "paris\nberlin")
    page.send()
    answer = page.answer()["body"]
    assert [row.text for row in page.all("#result th")] == answer["labels"]
    assert page.text("#result .prediction") == answer["labels"][0]


def test_scores_that_are_no_shares_are_shown_as_numbers(page: Playground) -> None:
    page.choose("nli_model")
    page.show_parameters()
    page.fill("function_to_apply", "none")
    page.send()
    scores = [f"{one['score']:.4f}" for one in page.answer()["body"]]
    assert [cell.text for cell in page.all("#result td.number")] == scores


def test_texts_are_compared_in_a_matrix(page: Playground) -> None:
    page.choose("vector_model")
    assert page.asked()["data"] == ["anna", "sales"]
    page.fill("Texts, one a line", "anna\nsales\nanna")
    page.send()
    vectors = page.answer()["body"]
    cells = [cell.text for cell in page.all("#result .matrix tbody td")]
    expected = [sum(map(float.__mul__, one, other)) for one in vectors for other in vectors]
    assert [float(cell) for cell in cells] == pytest.approx(expected, abs=0.006)
    assert [item.text for item in page.all("#result ol li")] == ["anna", "sales", "anna"]
    page.fill("Texts, one a line", "anna")
    page.send()
    assert page.text("#result .prediction") == "6 numbers, together of length 1.000"


def test_a_ranking_and_similarities_are_shown_best_first(page: Playground) -> None:
    page.choose("vector_model")
    page.use_example(1)
    assert page.asked()["data"] == RANK
    page.send()
    answer = page.answer()["body"]
    assert [row.text for row in page.all("#result th")] == [one["document"] for one in answer]
    assert [cell.text for cell in page.all("#result td.number")] == [f"{one['score']:.3f}" for one in answer]
    page.use_example(2)
    assert page.asked()["data"] == SIMILAR
    page.send()
    scores = sorted(page.answer()["body"], reverse=True)
    assert [cell.text for cell in page.all("#result td.number")] == [f"{score:.3f}" for score in scores]


def test_the_first_call_is_cold_and_the_next_is_warm(page: Playground, site: str) -> None:
    # Another file's tests may have asked it before.
    assert call(f"{site}/v2/repository/models/untouched_model/unload", b"{}").status == 200
    page.choose("untouched_model")
    page.send()
    assert page.text("#timing").startswith("COLD")
    assert {"manifest", "download", "load", "queue", "infer"} <= set(page.text("#timing .legend").split())
    page.send()
    assert page.text("#timing").startswith("WARM")
    assert "load " not in page.text("#timing .legend")


def test_waiting_is_shown_and_nothing_is_sent_twice(page: Playground) -> None:
    page.choose("size_model")
    page.hold_requests()
    page.one("#send").click()
    page.wait(lambda: page.text("#clock").endswith(" s"))
    assert page.text("#waiting").startswith("Waiting.")
    assert page.one("#send").get_attribute("aria-disabled") == "true"
    page.field("length").send_keys(Keys.CONTROL, Keys.ENTER)
    page.release_requests()
    page.wait_for_answer()
    assert page.one("#send").get_attribute("aria-disabled") == "false"
    assert not page.one("#pending").is_displayed()
    assert page.script("return window.asked") == 1


def test_the_answer_to_another_model_is_dropped(page: Playground) -> None:
    page.choose("size_model")
    page.hold_requests()
    page.one("#send").click()
    page.choose("summary_model")
    page.release_requests()
    page.wait_for_answer()
    assert page.text("#result") == "It appears here."


def test_control_and_enter_send(page: Playground) -> None:
    page.choose("size_model")
    page.field("length").send_keys(Keys.CONTROL, Keys.ENTER)
    page.wait_for_answer()
    assert page.text("#result .prediction") == "large"


def test_the_curl_command_does_the_same(page: Playground) -> None:
    page.choose("summary_model")
    page.fill("Text", AWKWARD)
    page.send()
    assert page.asked()["data"] == AWKWARD
    environment = os.environ | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    done = subprocess.run(["bash", "-c", page.command()], env=environment, capture_output=True, check=True)
    assert json.loads(done.stdout) == page.answer()


def test_the_command_is_copied(page: Playground) -> None:
    grant = {"origin": page.url, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    page.driver.execute_cdp_cmd("Browser.grantPermissions", grant)
    page.one("#copy").click()
    page.wait(lambda: page.text("#copy") == "Copied")
    copied = page.driver.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    assert copied == page.command()


def test_an_empty_text_is_refused_in_words(page: Playground) -> None:
    page.choose("summary_model")
    page.fill("Text", "")
    page.send()
    assert page.text("#result strong") == "data is an empty text. Send at least one word."
    assert "invalid_input" in page.text("#result .error")
    assert page.field("Text").get_attribute("aria-invalid") == "true"
    request_id = page.answer()["error"]["request_id"]
    assert f"request {request_id}" in page.text("#timing")
    page.use_example(0)
    page.send()
    assert page.field("Text").get_attribute("aria-invalid") == "false"


def test_a_bad_parameter_is_refused_in_words_and_marked(page: Playground) -> None:
    page.choose("summary_model")
    page.show_parameters()
    page.fill("num_beams", "99")
    page.show_parameters()  # closes them
    page.send()
    assert page.text("#result strong") == '"num_beams": 99 is out of bounds. Give an integer from 1 to 8.'
    assert page.field("num_beams").is_displayed()
    assert page.field("num_beams").get_attribute("aria-invalid") == "true"


def test_what_is_no_number_is_refused_in_words(page: Playground) -> None:
    page.choose("summary_model")
    page.show_parameters()
    page.fill("seed", "1e")
    page.send()
    assert page.text("#result strong").startswith('"seed": "" is no integer')


def test_a_missing_number_is_refused_in_words(page: Playground) -> None:
    page.choose("size_model")
    page.fill("width", "")
    page.send()
    assert page.text("#result strong") == 'The column "width" is null. Send a number.'
    assert page.field("width").get_attribute("aria-invalid") == "true"


def test_a_broken_network_is_told(page: Playground) -> None:
    page.choose("size_model")
    conditions = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    page.driver.execute_cdp_cmd("Network.enable", {})
    page.driver.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)
    page.send()
    page.driver.execute_cdp_cmd("Network.disable", {})
    assert page.text("#result strong").startswith("No answer came: ")
    assert not page.one("#raw").is_displayed()
    assert ["ERR_INTERNET_DISCONNECTED" in entry["message"] for entry in page.console()] == [True]
    page.send()
    assert page.text("#result .prediction") == "large"


def test_an_answer_that_is_not_ours_is_told(page: Playground) -> None:
    page.choose("size_model")
    page.script("window.fetch = async () => new Response('<h1>Bad gateway</h1>', { status: 502 })")
    page.send()
    assert page.text("#result strong").startswith("What came back is no answer of this function")
    assert "status 502" in page.text("#result .error")


def test_an_unknown_task_is_shown_as_json(page: Playground) -> None:
    page.choose("size_model")
    body = {"shape": [1, {"deep": "value"}]}
    page.script(f"window.fetch = async () => Response.json({json.dumps({'body': body})})")
    page.send()
    assert json.loads(page.content("#result pre")) == body


def test_nothing_published_says_how_to_publish(page: Playground) -> None:
    page.open_with("window.fetch = async () => Response.json({ function: 'gateway', models: [] })", "#empty")
    assert "python -m deploy publish" in page.text("#empty")
    assert not page.one("#workbench").is_displayed()


#: Clicks Stop when the answer has become longer three times.
STOP_ONCE_IT_GROWS = """
const [result, stop] = ["result", "stop"].map((id) => document.getElementById(id));
const lengths = new Set();
const observer = new MutationObserver(() => {
  const text = result.querySelector(".text");
  if (text?.textContent) lengths.add(text.textContent.length);
  if (lengths.size < 3) return;
  observer.disconnect();
  window.stoppedWhile = { streaming: result.classList.contains("streaming"), offered: stop.checkVisibility() };
  stop.click();
});
observer.observe(result, { childList: true, characterData: true, subtree: true });
"""


def test_an_answer_is_seen_while_it_is_written(page: Playground) -> None:
    page.choose("writing_model")
    assert page.asked()["parameters"] == {"stream": True}
    assert page.command().startswith("curl -N '")
    page.show_parameters()
    page.fill("min_new_tokens", "4000")
    page.fill("max_new_tokens", "4000")
    # In the page itself: a driver on a busy machine looks too late.
    page.script(STOP_ONCE_IT_GROWS)
    page.one("#send").click()
    page.wait_for_answer()
    assert page.content("#result .text")
    assert page.text("#timing") == "stopped"
    assert page.script("return window.stoppedWhile") == {"streaming": True, "offered": True}
    assert not page.one("#stop").is_displayed()
    page.fill("min_new_tokens", "6")
    page.fill("max_new_tokens", "6")
    page.send()
    answer = page.answer()["body"]
    assert page.text("#result .soft") == f"cut at max_new_tokens · {answer['prompt_tokens']} tokens read, 6 written"
    assert page.content("#result .text") == answer["generated_text"]


def test_a_streamed_answer_is_the_one_that_comes_whole(page: Playground) -> None:
    page.choose("writing_model")
    page.show_parameters()
    page.fill("stop", "zz")
    page.send()
    streamed = page.answer()
    page.field("stream").click()
    assert page.asked()["parameters"] == {"stop": ["zz"]}
    assert page.command().startswith("curl 'http")
    page.send()
    assert page.answer() == streamed


def test_stop_sequences_stand_one_a_line(page: Playground) -> None:
    page.choose("writing_model")
    page.send()
    text = page.answer()["body"]["generated_text"]
    page.show_parameters()
    page.fill("stop", "a\\nb")
    assert page.asked()["parameters"]["stop"] == ["a\nb"]
    page.script("arguments[0].value = arguments[1]", page.field("stop"), f"never\n{text[3:5]}")
    page.send()
    assert page.answer()["body"]["stop_sequence"] == text[3:5]
    assert page.text("#result .soft").startswith(f'ended by "{text[3:5]}" · ')


def test_a_chat_is_a_list_of_messages(page: Playground) -> None:
    page.choose("writing_model")
    page.use_example(1)
    assert page.asked()["data"] == CHAT
    next(button for button in page.all("#input button") if button.text == "Add a message").click()
    areas = page.all("#input .message textarea")
    areas[-1].send_keys("two")
    assert page.asked()["data"] == [*CHAT, {"role": "assistant", "content": "two"}]
    page.all("#input .message button")[0].click()
    assert page.asked()["data"] == [CHAT[1], {"role": "assistant", "content": "two"}]
    page.send()
    assert page.answer()["body"]["generated_tokens"] == 8
    next(button for button in page.all("#input button") if button.text == "Text").click()
    assert page.asked()["data"] == tiny_models.TEXT


def test_an_error_of_a_stream_is_shown_like_any_other(page: Playground) -> None:
    page.choose("writing_model")
    page.show_parameters()
    page.fill("num_beams", "2")
    page.send()
    assert page.text("#result strong").startswith('"num_beams" is 2, and beams are chosen from at the end only.')
