"""What the page writes as code does what the page does: each snippet is run, by the client that it is written for."""

import ast
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import tiny_models
from tests.browser.models import MODELS
from tests.browser.playground import Playground
from tests.browser.snippets import Interpreters, Ran, run_in_the_browser, run_shell

AWKWARD = "Anna's \"report\" \\ says 'hello' 😀\nBerlin $HOME `id` !\u2028{x}"

EVERYWHERE = ["curl", "Python", "JavaScript"]

#: By whose means else each model can be asked.
OFFERED = {
    "entity_model": ["Hugging Face", "Triton", "KServe"],
    "hostile_model": ["Hugging Face", "Triton", "KServe"],
    "image_model": ["Hugging Face", "Triton", "KServe"],
    "nli_model": ["Hugging Face", "Triton", "KServe"],
    "picture_model": ["Triton", "KServe"],
    "size_model": ["Hugging Face", "Triton", "KServe"],
    "summary_model": ["Hugging Face", "Triton", "KServe"],
    "sums_model": ["Triton", "KServe"],
    "translation_model": ["Hugging Face", "Triton", "KServe"],
    "untouched_model": ["Hugging Face", "Triton", "KServe"],
    "vector_model": ["Hugging Face", "OpenAI", "Triton", "KServe"],
    "writing_model": ["Hugging Face", "OpenAI"],
}


@pytest.fixture(scope="module")
def interpreters() -> Iterator[Interpreters]:
    found = Interpreters()
    yield found
    found.close()


@pytest.mark.parametrize("model", MODELS)
def test_the_clients_that_fit_are_offered(page: Playground, model: str) -> None:
    page.choose(model)
    assert page.clients() == EVERYWHERE + OFFERED[model]


@pytest.mark.parametrize("model", MODELS)
def test_every_example_is_asked_the_same_way_by_every_client(
    page: Playground, model: str, tmp_path: Path, interpreters: Interpreters
) -> None:
    page.choose(model)
    if model == "image_model":
        take_picture(page, tmp_path)
    examples = len(page.all("#examples button")) if model != "image_model" else 1
    for index in range(examples):
        if model != "image_model":
            page.use_example(index)
        check_every_client(page, tmp_path, interpreters)


def test_an_awkward_text_is_the_same_in_every_language(
    page: Playground, tmp_path: Path, interpreters: Interpreters
) -> None:
    page.choose("summary_model")
    page.fill("Text", AWKWARD)
    assert page.asked()["data"] == AWKWARD
    check_every_client(page, tmp_path, interpreters)


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        ("entity_model", {"aggregation_strategy": "none"}),
        ("nli_model", {"top_k": "1"}),
        ("nli_model", {"candidate_labels": "paris\nberlin", "hypothesis_template": "it is {}"}),
        ("summary_model", {"num_beams": "2", "length_penalty": "0.5"}),
        ("translation_model", {"max_new_tokens": "5"}),
        ("image_model", {"top_k": "2"}),
        ("vector_model", {"normalize": None}),
        ("writing_model", {"max_new_tokens": "6", "min_new_tokens": "6", "stop": "q\\nq", "repetition_penalty": "1.2"}),
        ("writing_model", {"do_sample": None, "temperature": "0.7", "seed": "3", "top_k": "5"}),
    ],
)
def test_parameters_are_asked_the_same_way_by_every_client(
    page: Playground, model: str, parameters: dict[str, str | None], tmp_path: Path, interpreters: Interpreters
) -> None:
    page.choose(model)
    if model == "image_model":
        take_picture(page, tmp_path)
    page.show_parameters()
    for name, value in parameters.items():
        if value is None:
            page.field(name).click()
        else:
            page.fill(name, value)
    streams = int(model == "writing_model")  # which the page asks for by itself
    assert page.text("#changed") == f"{len(parameters) + streams} changed"
    check_every_client(page, tmp_path, interpreters)


def test_a_stream_may_be_asked_as_a_whole(page: Playground, tmp_path: Path, interpreters: Interpreters) -> None:
    page.choose("writing_model")
    page.show_parameters()
    page.field("stream").click()
    tensors = {0: ["Triton"], 1: []}  # which say no chat
    for index, tensor_clients in tensors.items():
        page.use_example(index)
        assert page.clients() == [*EVERYWHERE, "Hugging Face", "OpenAI", *tensor_clients, "KServe"]
        check_every_client(page, tmp_path, interpreters)


def test_what_a_client_has_no_words_for_is_not_offered_by_it(page: Playground) -> None:
    page.choose("nli_model")
    assert "Hugging Face" in page.clients()
    page.use_example(1)  # a pair
    assert "Hugging Face" not in page.clients()
    page.choose("vector_model")
    page.code("OpenAI")
    page.use_example(1)  # a ranking
    assert "OpenAI" not in page.clients()
    assert page.client("curl").is_selected()
    page.use_example(0)
    assert page.client("OpenAI").is_selected()


def test_a_body_too_long_for_an_argument_goes_by_another_way(page: Playground, tmp_path: Path) -> None:
    page.choose("sums_model")
    numbers = [float(number % 9) for number in range(60_000)]
    page.write(page.text("#input label"), json.dumps({"values": numbers, "weights": numbers}))
    found = curl_body(page.code("curl"), tmp_path)
    assert found["products"][-1] == numbers[-1] ** 2


def take_picture(page: Playground, folder: Path) -> None:
    """Hands the page a file, which lies where snippets look for it."""
    file = folder / "image.png"
    file.write_bytes(tiny_models.picture(grey=True))
    page.field("Image").send_keys(str(file))
    page.wait(lambda: "image.png" in page.code("curl"))


def check_every_client(page: Playground, folder: Path, interpreters: Interpreters) -> None:
    """Runs the call as every client writes it, and holds what comes against what the page got."""
    page.send()
    body = page.answer()["body"]
    for client in page.clients():
        code = page.code(client)
        if client == "curl":
            assert curl_body(code, folder) == body
        elif client == "JavaScript":
            said = run_in_the_browser(page, code)[-1]
            assert said.get("body", said) == body if isinstance(said, dict) else said == body
        else:
            ran = interpreters.run(client, code, folder)
            found, expected = READERS[client](ran, body)
            assert agrees(found, expected), f"{client} found {found}, not {expected}, by:\n{code}"


def curl_body(code: str, folder: Path) -> Any:
    """What is in the answer, or in the last event of a stream."""
    return json.loads(run_shell(code, folder).rstrip().rpartition("data: ")[2])["body"]


def requests_told(ran: Ran, body: Any) -> tuple[Any, Any]:
    if ran.answer is not None:
        return ran.answer["body"], body
    text = body["generated_text"]
    return (ran.printed.startswith(text), ast.literal_eval(ran.printed.removeprefix(text))["body"]), (True, body)


def hugging_face_told(ran: Ran, body: Any) -> tuple[Any, Any]:
    if not isinstance(body, dict):
        return ran.answer, body
    if "labels" in body:
        rows = zip(body["labels"], body["scores"], strict=True)
        return ran.answer, [{"label": label, "score": score} for label, score in rows]
    if "prediction" in body:
        return ran.answer, [body["prediction"]]
    return (ran.printed.rstrip("\n"), body["generated_text"]) if "generated_text" in body else (ran.answer, body)


def openai_told(ran: Ran, body: Any) -> tuple[Any, Any]:
    if isinstance(body, dict):
        return ran.printed.rstrip("\n"), body["generated_text"]
    found = [one["embedding"] for one in ran.answer["data"]]
    return found, body if isinstance(body[0], list) else [body]


def triton_told(ran: Ran, body: Any) -> tuple[Any, Any]:
    """One output at least, whatever else there is."""
    answer = ran.answer
    if "entities" in answer:
        return json.loads(answer["entities"][0]), body
    if "label" in answer:
        return answer["label"], [body[0]["label"]]
    if "embedding" in answer:
        return answer["embedding"], body if isinstance(body[0], list) else [body]
    if "prediction" in answer:
        return [answer["prediction"], answer["probabilities"]], [
            [body["prediction"]],
            [[*body["probabilities"].values()]],
        ]
    shared = [name for name in answer if name in body]
    return [answer[name] for name in shared], [[body[name]] for name in shared]


def kserve_told(ran: Ran, body: Any) -> tuple[Any, Any]:
    predictions = ran.answer["predictions"]
    return predictions, body if isinstance(body, list) and len(predictions) == len(body) > 1 else [body]


READERS: dict[str, Callable[[Ran, Any], tuple[Any, Any]]] = {
    "Python": requests_told,
    "Hugging Face": hugging_face_told,
    "OpenAI": openai_told,
    "Triton": triton_told,
    "KServe": kserve_told,
}


def agrees(found: Any, expected: Any) -> bool:
    """Whether what was found is that, and perhaps more; some clients have numbers of half the size."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(key in found and agrees(found[key], expected[key]) for key in expected)
    if isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(agrees, found, expected))
    return bool(found == (pytest.approx(expected, rel=1e-5, abs=1e-7) if isinstance(expected, float) else expected))
