"""The API of the tutorial that this project began with."""

from typing import Any

import requests

from tests.conformance.place import Place


def test_a_prediction(place: Place) -> None:
    body: dict[str, Any] = {"model_name": "sizes", "data": [3, 3, 3]}
    answer = requests.post(f"{place.url('tabular')}/predict", json=body, timeout=60).json()
    assert answer["body"]["prediction"] == "large"


def test_a_form_at_the_proxy(place: Place) -> None:
    form = {"model_name": "sentiment", "data": "anna lives in berlin"}
    response = requests.post(f"{place.url('text_classification')}/predict_proxy", data=form, timeout=60)
    assert response.status_code == 200, response.text


def test_an_unknown_model(place: Place) -> None:
    body: dict[str, Any] = {"model_name": "nothing", "data": [3, 3, 3]}
    response = requests.post(f"{place.url('tabular')}/predict", json=body, timeout=60)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")


def test_a_method_that_is_not_allowed(place: Place) -> None:
    response = requests.get(f"{place.url('tabular')}/predict", timeout=60)
    assert (response.status_code, response.json()["405"]) == (405, "Method Not Allowed")
