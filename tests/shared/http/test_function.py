import re
import threading
from asyncio import CancelledError
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from deploy.publish import publish
from model_functions.artifact.signing import Trust
from model_functions.artifact.signing_key import SigningKey
from model_functions.budget import MemoryBudget
from model_functions.cache import ModelCache
from model_functions.families.summarization import SummarizationWrapper
from model_functions.families.tabular import TabularWrapper
from model_functions.families.token_classification import TokenClassificationWrapper
from model_functions.http.function import FamilyFunction
from model_functions.loading import ModelLoader
from model_functions.once import Once
from model_functions.phases import Phases
from model_functions.repository import Repository
from model_functions.settings import Settings
from model_functions.store.folder import FolderStore
from tests.shared.http.requests import accepted, body, get, message, post, request
from tests.tiny_models import TEXT

ROW = [0.5, 1.0, 2.0]


@pytest.fixture
def settings(store_folder: Path, trust_file: Path) -> Settings:
    return settings_with(store_folder, trust_file)


def settings_with(store: Path, trust_file: Path, **more: str) -> Settings:
    return Settings.from_environment({"MODEL_STORE": str(store), "MODEL_TRUST": str(trust_file)} | more)


@pytest.fixture
def tabular(settings: Settings) -> FamilyFunction:
    return FamilyFunction(TabularWrapper, settings)


def test_a_prediction_says_which_model_and_revision_gave_it(tabular: FamilyFunction) -> None:
    response = tabular.handle(post({"model_name": "tiny_classifier", "data": ROW}))
    answer = body(response)
    assert response.status == 200
    assert answer["model_name"] == "tiny_classifier"
    assert answer["revision"] == response.headers["X-Model-Revision"]
    assert answer["body"]["prediction"] == "large"


def test_inputs_is_another_word_for_data(tabular: FamilyFunction) -> None:
    answers = [
        body(tabular.handle(post({"model_name": "tiny_classifier", word: [ROW, ROW]})))["body"]
        for word in ("data", "inputs")
    ]
    assert answers[0] == answers[1]
    assert len(answers[0]) == 2


def test_the_first_answer_is_cold_and_the_second_warm(tabular: FamilyFunction) -> None:
    timings = [tabular.handle(post({"data": ROW})).headers["Server-Timing"] for _ in range(2)]
    cold, warm = ([phase.split(";")[0] for phase in timing.split(", ")] for timing in timings)
    loading = ["manifest", "verify", "import", "download", "load"]
    assert [phase for phase in cold if phase not in ("boot", "idle")] == [*loading, "queue", "infer", "other", "total"]
    assert warm == ["queue", "infer", "other", "total"]


def test_the_only_model_needs_no_name(tabular: FamilyFunction) -> None:
    assert body(tabular.handle(post({"data": ROW})))["model_name"] == "tiny_classifier"


def test_a_query_string_asks_the_same(tabular: FamilyFunction, settings: Settings) -> None:
    target = "/predict?model_name=tiny_classifier&data=0.5,1,2&data=0,0,0&method=predict"
    assert len(body(tabular.handle(get(target)))["body"]) == 2
    summaries = FamilyFunction(SummarizationWrapper, settings)
    response = summaries.handle(get("/predict?data=hello+world&num_beams=2&num_return_sequences=2"))
    assert len(body(response)["body"]) == 2


def test_a_get_with_a_body_asks_the_same(tabular: FamilyFunction) -> None:
    asked = post({"data": ROW})
    response = tabular.handle(request(asked.read(-1), method="GET"))
    assert body(response)["body"]["prediction"] == "large"


def test_a_get_with_neither_is_405(tabular: FamilyFunction) -> None:
    response = tabular.handle(get("/predict"))
    assert response.status == 405
    assert response.headers["Allow"] == "OPTIONS, POST"
    assert body(response)["405"] == "Method Not Allowed"


@pytest.mark.parametrize(
    ("asked", "status", "code", "text"),
    [
        ([], 422, "invalid_input", "The body is a list. Send an object"),
        ("x", 422, "invalid_input", "The body is a string. Send an object"),
        ({}, 422, "invalid_input", 'The request has no data. Send "data" or "inputs", once.'),
        ({"data": ROW, "inputs": ROW}, 422, "invalid_input", "The request has both data and inputs."),
        ({"data": ROW, "dat": 1}, 422, "invalid_input", '"dat" is no field of a request. The fields: model_name, data'),
        ({"data": ROW, "__class__": 1}, 422, "invalid_input", '"__class__" is no field of a request.'),
        ({"data": ROW, "model_name": 5}, 422, "invalid_input", '"model_name" is a number. Send the model\'s name'),
        ({"data": ROW, "parameters": []}, 422, "invalid_input", '"parameters" is a list. Send an object by name.'),
        ({"data": ROW, "parameters": {"x": 1}}, 422, "invalid_input", '"x" is no parameter of this model.'),
        ({"data": ROW, "parameters": {"method": "guess"}}, 422, "invalid_input", "Give one of predict, predict_proba."),
        ({"data": "text"}, 422, "invalid_input", "data is a string. Send a row as a list or an object"),
        ({"data": [1, 2]}, 422, "invalid_input", "data has 2 values; the model has 3 columns: length, width, weight."),
        ({"data": ROW, "model_name": "nope"}, 404, "model_not_found", 'No model "nope" is published as "prod"'),
        ({"data": ROW, "model_name": "../x"}, 404, "model_not_found", "is no model's name"),
        ({"data": ROW, "model_name": "tiny_tagger"}, 404, "model_not_found", 'No model "tiny_tagger"'),
    ],
)
def test_a_bad_request_is_named_and_never_a_500(
    tabular: FamilyFunction, asked: Any, status: int, code: str, text: str
) -> None:
    response = tabular.handle(post(asked))
    assert (response.status, response.headers["X-Error-Code"]) == (status, code)
    assert text in message(response)
    assert tabular.handle(post({"data": ROW})).status == 200


def test_an_empty_and_a_long_text_are_refused(settings: Settings) -> None:
    function = FamilyFunction(TokenClassificationWrapper, settings)
    for text, said in (("", "data is an empty text"), ("x" * 10_001, "data has 10001 characters; the limit is 10000")):
        response = function.handle(post({"data": text}))
        assert response.status == 422
        assert said in message(response)


def test_a_body_over_the_limit_is_413(store_folder: Path, trust_file: Path) -> None:
    small = settings_with(store_folder, trust_file, MAX_BODY_BYTES="50")
    response = FamilyFunction(TabularWrapper, small).handle(post({"data": [ROW] * 50}))
    assert (response.status, response.headers["X-Error-Code"]) == (413, "payload_too_large")


RAISED = [
    *(RuntimeError, MemoryError, RecursionError, ConnectionResetError, StopIteration, StopAsyncIteration),
    *(SystemExit, KeyboardInterrupt, GeneratorExit, CancelledError),
]


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize("step", ["preprocess", "forward_rows", "postprocess"])
def test_a_model_that_fails_takes_nothing_down(
    tabular: FamilyFunction, monkeypatch: pytest.MonkeyPatch, step: str, raised: type[BaseException]
) -> None:
    def fail(*_: Any) -> Any:
        raise raised("secret")

    with monkeypatch.context() as patched:
        patched.setattr(TabularWrapper, step, fail)
        response = tabular.handle(post({"data": ROW}))
    assert (response.status, response.headers["X-Error-Code"]) == (500, "model_error")
    assert b"secret" not in response.body
    assert tabular.handle(post({"data": ROW})).status == 200


def test_an_answer_that_is_no_number_is_the_models_error(
    tabular: FamilyFunction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TabularWrapper, "postprocess", lambda *_: [{"prediction": float("nan")}])
    response = tabular.handle(post({"data": ROW}))
    assert (response.status, response.headers["X-Error-Code"]) == (500, "model_error")
    assert "a number that is not finite" in message(response)


def within_itself() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


@pytest.mark.parametrize(
    "answer",
    [object(), b"x", {1, 2}, "\ud800", within_itself()],
    ids=["object", "bytes", "set", "half a pair", "itself"],
)
def test_an_answer_that_json_does_not_have_is_the_models_error(
    tabular: FamilyFunction, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    monkeypatch.setattr(TabularWrapper, "postprocess", lambda *_: [{"prediction": answer}])
    response = tabular.handle(post({"data": ROW}))
    assert (response.status, response.headers["X-Error-Code"]) == (500, "model_error")
    assert message(response) == (
        "tiny_classifier answered with what JSON does not have. Report the input to its owner."
    )


def test_one_wrapper_predicts_for_one_thread_at_a_time(
    tabular: FamilyFunction, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, most = [0], [0]
    forward = TabularWrapper.forward_rows

    def counted(self: Any, *args: Any) -> Any:
        running[0] += 1
        most[0] = max(most[0], running[0])
        try:
            return forward(self, *args)
        finally:
            running[0] -= 1

    monkeypatch.setattr(TabularWrapper, "forward_rows", counted)
    threads = [threading.Thread(target=tabular.handle, args=(post({"data": [ROW] * 50}),)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1


def test_a_warm_up_loads_and_predicts_the_sample(tabular: FamilyFunction) -> None:
    for asked in (request(target="/warmup"), post({"model_name": "tiny_classifier"}, "/warmup")):
        response = tabular.handle(asked)
        assert response.status == 200
        assert "infer" in body(response)["phases"]
    assert body(tabular.handle(get("/ready")))["loaded"] == ["tiny_classifier"]


def test_a_model_larger_than_the_instance_is_refused_before_a_byte_of_it_is_read(
    store_folder: Path, trust_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: Any) -> None:
        pytest.fail("a byte of the model was read")

    monkeypatch.setattr(FolderStore, "open", read)
    function = FamilyFunction(TabularWrapper, settings_with(store_folder, trust_file, MEMORY_LIMIT="128Mi"))
    for _ in range(2):
        response = function.handle(post({"data": ROW}))
        assert (response.status, response.headers["X-Error-Code"]) == (500, "model_too_large")
        assert "Retry-After" not in response.headers
        assert "and this function has 128 MiB. Deploy it with --memory=256Mi." in message(response)


def test_a_model_that_does_not_fit_beside_one_in_use_is_503_with_the_time_to_wait(
    tmp_path: Path, trust: Trust, key: SigningKey, classifier: TabularWrapper, trust_file: Path
) -> None:
    repository = Repository(FolderStore(tmp_path), trust)
    for name in ("first", "second"):
        publish(classifier, name=name, examples=[ROW], repository=repository, key=key)
    function = FamilyFunction(TabularWrapper, settings_with(tmp_path, trust_file))
    pointer = repository.resolve("tabular", "first", "prod")
    need = repository.manifest("tabular", "first", pointer.revision).memory
    budget = MemoryBudget[Any](need.runtime + need.load + need.model - 1, 0)
    cache = ModelCache(ModelLoader(repository, TabularWrapper, "prod"), budget)
    function.cache = Once(lambda: cache)
    ask_second = post({"data": ROW, "model_name": "second"})

    with cache.use("first", Phases()):
        response = function.handle(ask_second)
    assert (response.status, response.headers["X-Error-Code"]) == (503, "insufficient_memory")
    assert response.headers["Retry-After"] == "1"
    assert re.search(r"second needs .* while first is in use\. Ask again in 1 s, or deploy", message(response))

    assert function.handle(post({"data": ROW, "model_name": "second"})).status == 200
    assert body(function.handle(get("/ready")))["loaded"] == ["second"]


def test_a_broken_model_is_not_read_for_every_request(
    tmp_path: Path, trust: Trust, key: SigningKey, classifier: TabularWrapper, trust_file: Path
) -> None:
    publish(classifier, name="wine", examples=[ROW], repository=Repository(FolderStore(tmp_path), trust), key=key)
    [path] = tmp_path.rglob("wrapper.dill")
    path.write_bytes(bytes(path.stat().st_size))
    function = FamilyFunction(TabularWrapper, settings_with(tmp_path, trust_file))
    ask = {"data": ROW, "model_name": "wine"}
    answers = [function.handle(post(ask)) for _ in range(2)]
    path.unlink()
    answers.append(function.handle(post(ask)))
    assert [(answer.status, answer.headers["X-Error-Code"]) for answer in answers] == [(503, "digest_mismatch")] * 3
    assert {answer.headers["Retry-After"] for answer in answers} == {"1"}
    assert len({message(answer) for answer in answers}) == 1


def test_metrics_show_the_memory(tabular: FamilyFunction) -> None:
    assert "functions_memory" not in tabular.handle(get("/metrics")).body.decode()
    tabular.handle(post({"data": ROW}))
    text = tabular.handle(get("/metrics")).body.decode()
    figures = dict(re.findall(r"^model_functions_(\w+) (\d+)$", text, re.MULTILINE))
    assert figures["models_loaded"] == "1"
    assert figures["evictions_total"] == "0"
    assert 0 < int(figures["memory_used_bytes"]) <= int(figures["memory_budget_bytes"])
    assert "# TYPE model_functions_evictions_total counter" in text


@pytest.mark.parametrize("asked", [{"model": "x"}, [], {"model_name": 5}])
def test_a_warm_up_of_something_else_is_refused(tabular: FamilyFunction, asked: Any) -> None:
    assert tabular.handle(post(asked, "/warmup")).status == 422


def test_health_answers_where_nothing_else_can(tmp_path: Path) -> None:
    settings = Settings.from_environment({"MODEL_STORE": str(tmp_path), "MODEL_TRUST": str(tmp_path / "none.json")})
    function = FamilyFunction(TabularWrapper, settings)
    assert function.handle(get("/health")).status == 200
    for asked in (get("/ready"), post({"data": ROW})):
        response = function.handle(asked)
        assert (response.status, response.headers["X-Error-Code"]) == (503, "configuration_invalid")
        assert "The function has no trust.json" in message(response)


def test_a_function_without_a_model_says_so(tmp_path: Path, trust_file: Path) -> None:
    settings = Settings.from_environment({"MODEL_STORE": str(tmp_path), "MODEL_TRUST": str(trust_file)})
    response = FamilyFunction(TabularWrapper, settings).handle(post({"data": ROW}))
    assert response.status == 422
    assert "none is published yet" in message(response)


def test_a_family_describes_itself_as_json_and_as_a_page(tabular: FamilyFunction) -> None:
    described = body(tabular.handle(get("/", {"accept": "*/*"})))
    [model] = described["models"]
    assert (described["function"], model["model_name"], model["kind"]) == ("tabular", "tiny_classifier", "row")
    page = tabular.handle(get("/", {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}))
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"tiny_classifier" in page.body


def test_the_openapi_document_describes_what_is_accepted(tabular: FamilyFunction) -> None:
    document = body(tabular.handle(get("/openapi.json")))
    schema = accepted(document)
    jsonschema.validate({"model_name": "tiny_classifier", "data": ROW}, schema)
    for wrong in ({"data": ROW[:2]}, {"data": ROW, "x": 1}, {}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_the_docs_work_offline(tabular: FamilyFunction) -> None:
    response = tabular.handle(get("/docs"))
    assert b"<b>POST</b> /predict" in response.body
    assert not re.findall(rb"""(?:src|href|action)=["'](?!#|data:)|url\((?!["']?data:)|@import""", response.body)
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


def test_text_families_answer_too(settings: Settings) -> None:
    function = FamilyFunction(TokenClassificationWrapper, settings)
    answer = body(function.handle(post({"model_name": "tiny_tagger", "data": [TEXT, "Berlin"]})))
    assert len(answer["body"]) == 2
