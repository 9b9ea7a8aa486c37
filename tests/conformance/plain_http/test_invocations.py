"""The calls of MLflow's and SageMaker's documentation: ``/ping`` and ``/invocations``, of a function's only model."""

from typing import Any

import pytest
import requests

from tests.conformance.pictures import PNG
from tests.conformance.place import Place

COLUMNS = ["length", "width", "weight"]


@pytest.fixture
def sizes(place: Place) -> str:
    """The address of the tabular model, which the gateway is told."""
    return f"{place.url('tabular')}/invocations?model_name=sizes"


@pytest.fixture
def eye(site: str) -> str:
    return f"{Place(site, by_gateway=False).url('image_classification')}/invocations"


def asked(url: str, **asking: Any) -> requests.Response:
    return requests.post(url, timeout=60, **asking)


def test_ping(place: Place) -> None:
    assert requests.get(f"{place.url('tabular')}/ping", timeout=60).status_code == 200


def predictions(response: requests.Response) -> list[Any]:
    assert response.status_code == 200, response.text
    found = response.json()["predictions"]
    return [row["prediction"] if isinstance(row, dict) else row for row in found]


def test_a_split_frame(sizes: str) -> None:
    body = {"dataframe_split": {"columns": COLUMNS, "data": [[3, 3, 3], [-3, -3, -3]]}}
    assert predictions(asked(sizes, json=body)) == ["large", "small"]


def test_a_split_frame_with_an_index(sizes: str) -> None:
    body = {"dataframe_split": {"index": [7], "columns": COLUMNS, "data": [[3, 3, 3]]}}
    assert predictions(asked(sizes, json=body)) == ["large"]


def test_records(sizes: str) -> None:
    body = {"dataframe_records": [dict.fromkeys(COLUMNS, 3), dict.fromkeys(COLUMNS, -3)]}
    assert predictions(asked(sizes, json=body)) == ["large", "small"]


def test_instances(sizes: str) -> None:
    assert predictions(asked(sizes, json={"instances": [[3, 3, 3]]})) == ["large"]


def test_inputs(sizes: str) -> None:
    assert predictions(asked(sizes, json={"inputs": [[3, 3, 3]]})) == ["large"]


def test_csv(sizes: str) -> None:
    body = "length,width,weight\n3,3,3\n-3,-3,-3\n"
    assert predictions(asked(sizes, data=body, headers={"Content-Type": "text/csv"})) == ["large", "small"]


def test_texts_with_parameters(place: Place) -> None:
    url = f"{place.url('text_classification')}/invocations?model_name=sentiment"
    response = asked(url, json={"inputs": ["anna lives"], "params": {"top_k": 1}})
    assert response.status_code == 200, response.text
    assert len(response.json()["predictions"]) == 1


def test_a_file_as_the_body(eye: str) -> None:
    response = asked(eye, data=PNG, headers={"Content-Type": "image/png"})
    assert response.status_code == 200, response.text
    assert "cat" in response.text


@pytest.mark.parametrize(
    "body",
    [{}, {"dataframe_split": {"columns": ["length"], "data": [[1]]}}, {"dataframe_split": 3}, {"instances": [["a"]]}],
    ids=str,
)
def test_a_wrong_body_is_refused(sizes: str, body: Any) -> None:
    response = asked(sizes, json=body)
    assert response.status_code in (400, 422)
    assert response.headers["x-error-code"]


def test_two_forms_at_once_are_refused(sizes: str) -> None:
    response = asked(sizes, json={"instances": [[3, 3, 3]], "inputs": [[3, 3, 3]]})
    assert response.status_code in (400, 422)


def test_another_media_type_is_refused(sizes: str) -> None:
    response = asked(sizes, data=b"<a/>", headers={"Content-Type": "text/xml"})
    assert response.status_code == 415
