"""KServe's client in its first protocol."""

from typing import Any

import httpx
import pytest

from tests.conformance.kserve.calls import asked
from tests.conformance.place import Place


def predicted(place: Place, family: str, model: str, body: dict[str, Any]) -> Any:
    return asked("v1", lambda client: client.infer(place.url(family), body, model_name=model))


def refused(place: Place, family: str, model: str, body: dict[str, Any]) -> httpx.HTTPStatusError:
    with pytest.raises(httpx.HTTPStatusError) as caught:
        predicted(place, family, model, body)
    return caught.value


def test_the_server_is_live(place: Place) -> None:
    assert asked("v1", lambda client: client.is_server_live(place.url("tabular"))) is True


def test_a_model_is_ready(place: Place) -> None:
    assert asked("v1", lambda client: client.is_model_ready(place.url("tabular"), "sizes")) is True


def test_an_unknown_model_is_not_found(place: Place) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        asked("v1", lambda client: client.is_model_ready(place.url("tabular"), "nothing"))


def test_rows_of_numbers(place: Place) -> None:
    answer = predicted(place, "tabular", "sizes", {"instances": [[3, 3, 3], [-3, -3, -3]]})
    assert [row["prediction"] for row in answer["predictions"]] == ["large", "small"]


def test_rows_by_name(place: Place) -> None:
    row = {"city": "Berlin", "rooms": 2.5, "balcony": True}
    answer = predicted(place, "tabular", "flats", {"instances": [row]})
    assert answer["predictions"][0]["prediction"] == "dear"


def test_tensors(place: Place) -> None:
    answer = predicted(place, "onnx", "half_plus_two", {"instances": [1.0, 2.0, 5.0]})
    assert answer["predictions"] == [2.5, 3.0, 4.5]


def test_whole_tensors(place: Place) -> None:
    answer = predicted(place, "onnx", "half_plus_two", {"inputs": [1.0, 2.0]})
    assert answer["predictions"] == [2.5, 3.0]


def test_texts(place: Place) -> None:
    answer = predicted(place, "text_classification", "sentiment", {"instances": ["anna lives", "sales fell"]})
    assert len(answer["predictions"]) == 2


def test_entities(place: Place) -> None:
    assert len(predicted(place, "token_classification", "tagger", {"instances": ["anna lives"]})["predictions"]) == 1


def test_summaries(place: Place) -> None:
    answer = predicted(place, "summarization", "summarizer", {"instances": ["anna lives in berlin"]})
    assert "summary_text" in answer["predictions"][0]


def test_an_unknown_model_is_refused(place: Place) -> None:
    error = refused(place, "tabular", "nothing", {"instances": [[1, 2, 3]]})
    assert error.response.status_code == 404
    assert "nothing" in str(error)


def test_a_row_too_long_is_refused(place: Place) -> None:
    error = refused(place, "tabular", "sizes", {"instances": [[1, 2, 3, 4]]})
    assert error.response.status_code == 400
    assert "400 Bad Request" in str(error)
    assert not str(error).startswith(",")


@pytest.mark.parametrize("body", [{}, {"instances": 3}, {"instances": [1.0], "inputs": [1.0]}])
def test_a_body_without_its_rows_is_refused(place: Place, body: dict[str, Any]) -> None:
    error = refused(place, "onnx", "half_plus_two", body)
    assert error.response.status_code == 400


def test_explanations_are_refused(place: Place) -> None:
    with pytest.raises(httpx.HTTPStatusError) as caught:
        asked("v1", lambda client: client.explain(place.url("tabular"), "sizes", {"instances": [[1, 2, 3]]}))
    assert caught.value.response.status_code in (400, 404, 501)
