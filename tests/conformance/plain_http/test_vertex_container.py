"""What Vertex AI asks of a container: the routes of its variables, on a function that was started with them."""

import os
from typing import Any

import pytest
import requests

HEALTH = "/v1/endpoints/7/deployedModels/9"


@pytest.fixture(scope="session")
def container() -> str:
    return os.environ["CONFORMANCE_CONTAINER"]


def test_health(container: str) -> None:
    assert requests.get(f"{container}{HEALTH}?", timeout=10).status_code == 200


@pytest.mark.parametrize("parameters", [{}, {"parameters": {}}, {"parameters": None}], ids=str)
def test_predictions(container: str, parameters: dict[str, Any]) -> None:
    body = {"instances": [[3, 3, 3], {"length": -3, "width": -3, "weight": -3}]} | parameters
    response = requests.post(f"{container}{HEALTH}:predict", json=body, timeout=60)
    assert response.status_code == 200, response.text
    assert [row["prediction"] for row in response.json()["predictions"]] == ["large", "small"]


@pytest.mark.parametrize("body", ["{", "[]", "{}", '{"instances": 3}', '{"instances": [["a"]]}'])
def test_a_wrong_body_is_a_bad_request(container: str, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    response = requests.post(f"{container}{HEALTH}:predict", data=body, headers=headers, timeout=60)
    assert response.status_code == 400
    assert response.headers["x-error-code"]
    assert response.json()
