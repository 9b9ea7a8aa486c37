import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.publish import publish
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.errors import ModelError, Overloaded
from model_functions.families.feature_extraction import FeatureExtractionWrapper
from model_functions.families.summarization import SummarizationWrapper
from model_functions.families.text_classification import TextClassificationWrapper
from model_functions.http.function import FamilyFunction
from model_functions.http.message import Response
from model_functions.http.protocols import hugging_face
from model_functions.repository import Repository
from model_functions.settings import Settings
from model_functions.store.folder import FolderStore
from model_functions.wrapper import ModelWrapper
from tests import tiny_models
from tests.shared.http.requests import body, get, post, request

PNG = tiny_models.picture()


def function_of(wrapper: ModelWrapper, folder: Path, key: SigningKey, trust: Trust, trust_file: Path) -> FamilyFunction:
    repository = Repository(FolderStore(folder / "store"), trust)
    publish(wrapper, name="tiny", examples=["hello"], repository=repository, key=key, engine="torch")
    environment = {"MODEL_STORE": str(folder / "store"), "MODEL_TRUST": str(trust_file)}
    return FamilyFunction(type(wrapper), Settings.from_environment(environment))


@pytest.fixture(scope="module")
def judging(
    tmp_path_factory: pytest.TempPathFactory, key: SigningKey, trust: Trust, trust_file: Path
) -> FamilyFunction:
    """A model of entailment, which knows labels of its own too."""
    folder = tmp_path_factory.mktemp("judging")
    model = tiny_models.text_classifier_folder(folder / "model", ("contradiction", "neutral", "entailment"))
    return function_of(TextClassificationWrapper.from_source(str(model)), folder, key, trust, trust_file)


@pytest.fixture(scope="module")
def embedding(
    tmp_path_factory: pytest.TempPathFactory, key: SigningKey, trust: Trust, trust_file: Path
) -> FamilyFunction:
    folder = tmp_path_factory.mktemp("embedding")
    wrapper = FeatureExtractionWrapper.from_source(str(tiny_models.sentence_folder(folder / "model")))
    return function_of(wrapper, folder, key, trust, trust_file)


@pytest.fixture(scope="module")
def summarizing(store_folder: Path, trust_file: Path) -> FamilyFunction:
    environment = {"MODEL_STORE": str(store_folder), "MODEL_TRUST": str(trust_file)}
    return FamilyFunction(SummarizationWrapper, Settings.from_environment(environment))


def asked(function: FamilyFunction, inputs: Any, **parameters: Any) -> Any:
    response = function.handle(post({"inputs": inputs, "parameters": parameters}, "/"))
    assert response.status == 200, response.body
    return body(response)


def predicted(function: FamilyFunction, data: Any, **parameters: Any) -> Any:
    return body(function.handle(post({"data": data, "parameters": parameters})))["body"]


def refused(response: Response, status: int = 422, kind: str = "validation") -> str:
    assert response.status == status
    found = body(response)
    assert set(found) == {"error", "error_type"}
    assert found["error_type"] == kind
    assert response.headers["X-Error-Code"]
    text: str = found["error"]
    return text


# The shape of each task's answer


def test_labels_of_a_text_are_nested(judging: FamilyFunction) -> None:
    expected = predicted(judging, "hello")
    assert asked(judging, "hello") == body(judging.handle(post({"inputs": "hello"}, "/models/tiny"))) == [expected]
    assert asked(judging, ["hello", "one"]) == predicted(judging, ["hello", "one"])
    best = asked(judging, "hello", top_k=1, function_to_apply="sigmoid")
    assert best == [predicted(judging, "hello", top_k=1, function_to_apply="sigmoid")]


def test_candidate_labels_are_paired_with_their_scores(judging: FamilyFunction) -> None:
    own = {"candidate_labels": ["a", "one"], "multi_label": True, "hypothesis_template": "It is {}"}
    expected = predicted(judging, "hello", **own)
    found = asked(judging, "hello", **own)
    assert [(one["label"], one["score"]) for one in found] == list(
        zip(expected["labels"], expected["scores"], strict=True)
    )
    assert asked(judging, "hello", **own | {"candidate_labels": "a, one"}) == found
    for one in asked(judging, ["hello", "hello"], **own):
        assert {pair["label"]: pair["score"] for pair in one} == pytest.approx(
            dict(zip(expected["labels"], expected["scores"], strict=True)), abs=1e-6
        )


def test_entities_are_listed(tagging: FamilyFunction) -> None:
    expected = predicted(tagging, tiny_models.TEXT)
    assert asked(tagging, tiny_models.TEXT) == asked(tagging, tiny_models.TEXT, ignore_labels=["O"]) == expected
    assert asked(tagging, [tiny_models.TEXT] * 2) == [expected] * 2
    groups = {one["entity_group"] for one in expected}
    left = asked(tagging, tiny_models.TEXT, ignore_labels=["O", min(groups)])
    assert left == [one for one in expected if one["entity_group"] != min(groups)]
    assert "entity" in asked(tagging, tiny_models.TEXT, aggregation_strategy="none")[0]


def test_a_translation_is_a_list(translating: FamilyFunction) -> None:
    expected = predicted(translating, "hello", max_new_tokens=4)
    nested = {"generate_parameters": {"max_new_tokens": 4}, "clean_up_tokenization_spaces": True}
    for own in ({"max_new_tokens": 4}, nested, {"max_length": 5}):
        assert asked(translating, "hello", **own) == [expected]
    assert asked(translating, ["hello", "hello"], max_length=5, min_length=1) == [expected, expected]


def test_a_summary_is_a_list(summarizing: FamilyFunction) -> None:
    [found] = asked(summarizing, tiny_models.TEXT)
    assert found == predicted(summarizing, tiny_models.TEXT)
    assert list(found) == ["summary_text"]
    several = asked(summarizing, tiny_models.TEXT, num_beams=2, num_return_sequences=2)
    assert [list(one) for one in several] == [["summary_text"]] * 2


def test_vectors_are_nested_and_their_parameters_stand_at_the_root(embedding: FamilyFunction) -> None:
    expected = predicted(embedding, ["hello", "one two"], normalize=False, truncate=True)
    root = {"normalize": False, "truncate": True, "truncation_direction": "right", "dimensions": 6}
    found = body(embedding.handle(post({"inputs": ["hello", "one two"]} | root, "/")))
    assert found == expected
    alone = body(embedding.handle(post({"inputs": "hello", "encoding_format": "float"} | root, "/")))
    assert alone == [pytest.approx(expected[0], abs=1e-6)]


def test_sentences_are_compared(embedding: FamilyFunction) -> None:
    pair = {"source_sentence": "hello", "sentences": ["hello", "one"]}
    assert asked(embedding, pair) == predicted(embedding, pair)


def test_an_image_comes_as_a_file_or_in_base64(seeing: FamilyFunction) -> None:
    text = base64.b64encode(PNG).decode()
    expected = predicted(seeing, text)
    for headers in ({}, {"content-type": "image/png"}, {"content-type": "application/octet-stream"}):
        assert body(seeing.handle(request(PNG, headers, target="/models/tiny_eye"))) == expected
    assert asked(seeing, text, function_to_apply="softmax") == asked(seeing, text, top_k=50) == expected
    assert asked(seeing, text, top_k=2) == expected[:2]


def test_a_tables_columns_are_rows(tabular: FamilyFunction) -> None:
    columns = {name: [0.5, 2.0] for name in tiny_models.COLUMNS}
    spelled = {name: ["0.5", "2.0"] for name in tiny_models.COLUMNS}
    rows = [dict(zip(tiny_models.COLUMNS, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    expected = [one["prediction"] for one in predicted(tabular, rows)]
    for table in (columns, spelled):
        assert body(tabular.handle(post({"parameters": {}, "table": table}, "/"))) == expected
        assert asked(tabular, {"data": table}) == expected
    assert asked(tabular, rows) == expected
    assert asked(tabular, rows[0]) == expected[:1]


# Text generation


def test_a_text_is_a_list_of_its_answers(writing: FamilyFunction) -> None:
    expected = predicted(writing, "hello world")["generated_text"]
    assert asked(writing, "hello world") == [{"generated_text": expected}]
    assert asked(writing, ["hello world", "one"])[0] == [{"generated_text": expected}]
    assert asked(writing, "hello world", return_full_text=True) == [{"generated_text": "hello world" + expected}]
    several = asked(writing, "hello world", do_sample=True, num_return_sequences=3, seed=1)
    assert len(several) == 3


@pytest.mark.parametrize(
    "own", [{}, {"temperature": 1.5, "seed": 4}, {"stop": ["e", "s"], "max_new_tokens": 40}], ids=str
)
def test_details_say_how_an_answer_ended(writing: FamilyFunction, own: dict[str, Any]) -> None:
    [found] = asked(writing, "hello world", **own, details=True, watermark=False, best_of=1)
    drawn = {"do_sample": True} if "temperature" in own else {}
    expected = predicted(writing, "hello world", **own, **drawn, logprobs=0)
    assert found["generated_text"] == expected["generated_text"]
    details = found["details"]
    reason = {"stop": "eos_token"}.get(expected["finish_reason"], expected["finish_reason"])
    assert details["finish_reason"] == ("stop_sequence" if "stop_sequence" in expected else reason)
    assert (details["generated_tokens"], details["input_length"]) == (
        expected["generated_tokens"],
        expected["prompt_tokens"],
    )
    assert (details["prefill"], details["seed"]) == ([], own.get("seed"))
    assert details["tokens"] == [
        {name: token[name] for name in ("id", "text", "logprob", "special")} for token in expected["tokens"]
    ]
    assert "top_tokens" not in details


def test_the_likeliest_tokens_are_told_too(writing: FamilyFunction) -> None:
    [found] = asked(writing, "hello world", details=True, top_n_tokens=2)
    top = found["details"]["top_tokens"]
    assert [len(one) for one in top] == [2] * len(found["details"]["tokens"])
    assert all(set(token) == {"id", "text", "logprob", "special"} for one in top for token in one)


def test_an_answer_is_drawn_where_only_drawing_could_do_what_is_asked(writing: FamilyFunction) -> None:
    own = {"seed": 3, "max_new_tokens": 20}
    drawn = predicted(writing, "hello world", do_sample=True, temperature=1.9, **own)["generated_text"]
    greedy = predicted(writing, "hello world", **own)["generated_text"]
    assert asked(writing, "hello world", temperature=1.9, **own) == [{"generated_text": drawn}]
    assert asked(writing, "hello world", temperature=1.9, do_sample=False, **own) == [{"generated_text": greedy}]


def test_typical_tokens_are_drawn_as_langchain_asks_for_them(writing: FamilyFunction) -> None:
    own = {"seed": 3, "max_new_tokens": 20, "temperature": 1.9, "typical_p": 0.6}
    drawn = predicted(writing, "hello world", do_sample=True, **own)["generated_text"]
    assert asked(writing, "hello world", watermark=False, **own) == [{"generated_text": drawn}]
    assert drawn != predicted(writing, "hello world", do_sample=True, **own | {"typical_p": 1})["generated_text"]


def streamed(response: Response) -> Iterator[Any]:
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.chunks is not None
    for chunk in response.chunks:
        yield json.loads(chunk.decode().removeprefix("data: "))


@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize(
    "own", [{}, {"temperature": 1.9, "seed": 4}, {"stop": ["e", "svc"], "temperature": 1.2, "seed": 2}], ids=str
)
def test_a_stream_has_an_event_a_token(writing: FamilyFunction, own: dict[str, Any], details: bool) -> None:
    own |= {"max_new_tokens": 40}
    [whole] = asked(writing, "hello world", **own, details=True)
    parameters = own | {"details": details}
    *events, last = streamed(
        writing.handle(post({"inputs": "hello world", "parameters": parameters, "stream": True}, "/"))
    )
    tokens = [event["token"] for event in (*events, last)]
    assert [token["id"] for token in tokens] == [token["id"] for token in whole["details"]["tokens"]]
    assert [event["index"] for event in (*events, last)] == list(range(1, len(tokens) + 1))
    told = "".join(token["text"] for token in tokens if not (details and token["special"]))
    assert told == whole["generated_text"]
    assert all(event["generated_text"] is None and event["details"] is None for event in events)
    assert last["generated_text"] == whole["generated_text"]
    assert last["details"].items() <= whole["details"].items()


def test_a_model_from_before_tokens_were_told_streams_without_their_numbers(
    writing: FamilyFunction, monkeypatch: pytest.MonkeyPatch
) -> None:
    from model_functions.phases import Phases

    expected = predicted(writing, "hello world")["generated_text"]
    with writing.cache().use("tiny_writer", Phases()) as model:
        old = {name: parameter for name, parameter in model.wrapper.parameters.items() if name != "logprobs"}
        monkeypatch.setattr(model.wrapper, "parameters", old)
    events = list(streamed(writing.handle(post({"inputs": "hello world", "stream": True}, "/"))))
    assert "".join(event["token"]["text"] for event in events) == expected == events[-1]["generated_text"]
    wanted = writing.handle(post({"inputs": "hello world", "parameters": {"details": True}}, "/"))
    assert refused(wanted).startswith('"top_n_tokens" is no parameter of this model.')


# What is told of a model


def test_a_model_tells_its_limits(writing: FamilyFunction, seeing: FamilyFunction) -> None:
    for path in ("/info", "/models/tiny_writer/info"):
        found = body(writing.handle(get(path)))
        assert (found["model_id"], found["model_pipeline_tag"]) == ("tiny_writer", "text-generation")
        assert (found["max_total_tokens"], found["max_client_batch_size"]) == (128, 32)
        assert found["model_sha"]
    assert "max_total_tokens" not in body(seeing.handle(get("/info")))
    assert writing.handle(get("/models/tiny_writer/health")).status == 200
    assert refused(writing.handle(get("/models/nobody/health")), 404).startswith('No model "nobody"')


# What is refused


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({}, 'The request has no "inputs". Send them.'),
        ({"inputs": ""}, "inputs is an empty text. Send at least one character."),
        ({"inputs": ["hello", None]}, "inputs[1] is null. Send a text, or a chat as a list of messages."),
        ({"inputs": "a", "parameters": []}, '"parameters" is a list. Send an object by name.'),
        ({"inputs": "a", "nonsense": 1}, '"nonsense" is no field of a text-generation request.'),
        (
            {"inputs": "a", "parameters": {"max_new_tokens": 0}},
            '"max_new_tokens": 0 is out of bounds. Give an integer from 1 to 127.',
        ),
        (
            {"inputs": "a", "parameters": {"top_n_tokens": 50}},
            '"top_n_tokens": 50 is out of bounds. Give an integer from 0 to 20.',
        ),
        (
            {"inputs": "a", "parameters": {"grammar": {"type": "json"}}},
            '"grammar" is {"type": "json"}, which is not done here. Leave it out.',
        ),
        (
            {"inputs": "a", "parameters": {"decoder_input_details": True}},
            '"decoder_input_details" is true, which is not done here. Leave it out.',
        ),
        ({"inputs": "a", "parameters": {"details": 1}}, '"details" is a number. Send true or false.'),
        ({"inputs": "a", "stream": 1}, '"stream" is a number. Send true or false.'),
        (
            {"inputs": ["a", "b"], "stream": True},
            '"stream" is true, which tells one answer to one text. Leave it out.',
        ),
    ],
    ids=str,
)
def test_a_wrong_request_is_refused_in_its_words(writing: FamilyFunction, sent: Any, message: str) -> None:
    response = writing.handle(post(sent, "/models/tiny_writer"))
    assert refused(response) == message
    assert response.headers["X-Error-Message"] == message


def test_what_a_task_cannot_do_is_refused(
    tagging: FamilyFunction,
    judging: FamilyFunction,
    embedding: FamilyFunction,
    seeing: FamilyFunction,
    tabular: FamilyFunction,
    translating: FamilyFunction,
) -> None:
    text = base64.b64encode(PNG).decode()
    cases: list[tuple[FamilyFunction, Any, str]] = [
        (tagging, {"inputs": "a", "parameters": {"stride": 5}}, '"stride" is 5, which is not done here. Leave it out.'),
        (
            tagging,
            {"inputs": "a", "parameters": {"ignore_labels": []}},
            '"ignore_labels" is [], and what is outside of entities is never told. Add "O".',
        ),
        (
            judging,
            {"inputs": "a", "stream": True},
            '"stream" is true, and text-classification models do not stream. Leave it out.',
        ),
        (
            embedding,
            {"inputs": "a", "dimensions": 3},
            '"dimensions" is 3, and the vectors here have 6. Leave it out.',
        ),
        (
            embedding,
            {"inputs": "a", "encoding_format": "base64"},
            '"encoding_format" is "base64", which is not done here. Leave it out.',
        ),
        (
            seeing,
            {"inputs": text, "parameters": {"function_to_apply": "none"}},
            '"function_to_apply" is "none", and this model\'s is softmax. Leave it out.',
        ),
        (
            tabular,
            {"table": {"length": [1], "width": [1, 2], "weight": []}},
            'The columns of "table" have [0, 1, 2] values. Send as many in each.',
        ),
        (tabular, {}, 'The request has no "inputs". Send them.'),
        (
            translating,
            {"inputs": "a", "parameters": {"truncation": "longest_first"}},
            '"truncation" is "longest_first", which is not done here. Leave it out.',
        ),
        (
            translating,
            {"inputs": "a", "parameters": {"generate_parameters": 5}},
            '"generate_parameters" is a number. Send an object by name.',
        ),
    ]
    for function, sent, message in cases:
        assert refused(function.handle(post(sent, "/"))) == message


def test_bodies_are_refused_in_its_shape(writing: FamilyFunction, seeing: FamilyFunction) -> None:
    sent = request(PNG, {"content-type": "image/png"}, target="/")
    assert refused(writing.handle(sent), 415) == (
        'The body is a file, and text-generation models read {"inputs": …} as JSON.'
    )
    assert refused(writing.handle(request(b"{", target="/")), 400).startswith("The body is not JSON: ")
    assert refused(writing.handle(post([], "/"))).startswith("The body is a list. Send an object: ")
    assert refused(seeing.handle(request(b"no image", target="/"))) == (
        "inputs is no image. Send a PNG, JPEG, WebP or GIF image."
    )
    assert refused(writing.handle(post({}, "/models/nobody")), 404) == (
        'No model "nobody" is published as "prod" in text_generation. GET / lists the models; python -m deploy '
        "publish adds one."
    )


def test_kinds_of_errors_are_those_that_its_client_raises() -> None:
    sent = request(target="/")
    busy = hugging_face.refuse(Overloaded("Too many wait.", retry_after=4), sent)
    assert refused(busy, 503, "overloaded") == "Too many wait."
    assert busy.headers["Retry-After"] == "4"
    assert refused(hugging_face.refuse(ModelError("It raised."), sent), 500, "generation") == "It raised."


def test_a_message_that_no_header_takes_stands_in_the_body_alone() -> None:
    for text in ("ü", "two\nlines", "x" * 2000):
        assert "X-Error-Message" not in hugging_face.refuse(ModelError(text), request(target="/")).headers
