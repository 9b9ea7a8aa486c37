from pathlib import Path

import pytest

from model_functions.errors import ConfigurationInvalid
from model_functions.names import function_name, is_family, is_model_name
from model_functions.settings import Settings


def test_the_environment_is_read_once_into_fields() -> None:
    settings = Settings.from_environment(
        {
            "MODEL_STORE": "gs://models",
            "MODEL_ALIAS": "canary",
            "MODEL_NAME": "wine",
            "MODEL_TRUST": "/keys/trust.json",
            "FUNCTIONS_URL": "https://example.org/",
            "MAX_BODY_BYTES": "1000",
            "MEMORY_LIMIT": "2Gi",
            "LOG_LEVEL": "debug",
            "K_SERVICE": "tabular",
        }
    )
    assert settings == Settings(
        model_store="gs://models",
        model_alias="canary",
        model_name="wine",
        trust_file=Path("/keys/trust.json"),
        functions_url="https://example.org",
        max_body_bytes=1000,
        memory_limit=2 * 2**30,
        log_level="DEBUG",
        on_google_cloud=True,
        access_demanded=True,
    )


def test_vertex_ai_tells_its_store_and_its_routes() -> None:
    given = {
        "AIP_STORAGE_URI": "gs://copies/1",
        "AIP_PREDICT_ROUTE": "/v1/endpoints/1/deployedModels/2:predict",
        "AIP_HEALTH_ROUTE": "/v1/endpoints/1/deployedModels/2",
        "AIP_MODE": "PREDICTION",
    }
    settings = Settings.from_environment(given)
    assert (settings.model_store, settings.on_google_cloud) == ("gs://copies/1", True)
    assert (settings.predict_route, settings.health_route) == (given["AIP_PREDICT_ROUTE"], given["AIP_HEALTH_ROUTE"])
    assert Settings.from_environment(given | {"MODEL_STORE": "gs://models"}).model_store == "gs://models"


@pytest.mark.parametrize(
    ("text", "size"), [("1000000", 1_000_000), ("512Mi", 512 * 2**20), ("16Gi", 16 * 2**30), ("", None)]
)
def test_memory_is_written_as_google_cloud_writes_it(text: str, size: int | None) -> None:
    assert Settings.from_environment({"MODEL_STORE": "x", "MEMORY_LIMIT": text}).memory_limit == size


def test_an_empty_variable_is_an_unset_one() -> None:
    settings = Settings.from_environment({"MODEL_STORE": "models", "MODEL_ALIAS": "", "LOG_LEVEL": ""})
    assert (settings.model_alias, settings.log_level, settings.model_name) == ("prod", "INFO", None)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "MODEL_STORE is not set. Set it to gs://BUCKET or to a folder of published models."),
        ({"MODEL_STORE": "x", "MAX_BODY_BYTES": "8M"}, 'MAX_BODY_BYTES is "8M". Set it to a positive number of bytes.'),
        ({"MODEL_STORE": "x", "MAX_BODY_BYTES": "0"}, 'MAX_BODY_BYTES is "0".'),
        (
            {"MODEL_STORE": "x", "MEMORY_LIMIT": "2G"},
            'MEMORY_LIMIT is "2G". Set it as --memory is: to bytes, or as 512Mi or 2Gi.',
        ),
        ({"MODEL_STORE": "x", "MEMORY_LIMIT": "0Mi"}, 'MEMORY_LIMIT is "0Mi".'),
        ({"MODEL_STORE": "x", "AIP_HEALTH_ROUTE": "health"}, 'AIP_HEALTH_ROUTE is "health". Set it to a path,'),
        ({"MODEL_STORE": "x", "LOG_LEVEL": "loud"}, 'LOG_LEVEL is "loud". Set it to one of DEBUG, INFO,'),
    ],
)
def test_a_wrong_variable_is_named(environment: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationInvalid) as caught:
        Settings.from_environment(environment)
    assert caught.value.message.startswith(message)


def test_a_functions_name_has_the_hyphens_of_cloud_run() -> None:
    assert function_name("token_classification") == "token-classification"


@pytest.mark.parametrize("name", ["wine_model", "a", "0.1-b_c", "x" * 64])
def test_a_models_name(name: str) -> None:
    assert is_model_name(name)


@pytest.mark.parametrize("name", ["", "A", "_a", ".a", "a/b", "a..b", "a\n", "x" * 65, "ä"])
def test_no_models_name(name: str) -> None:
    assert not is_model_name(name)


@pytest.mark.parametrize("name", ["", "Tabular", "tab-ular", "__init__", "1a", "a/b"])
def test_no_familys_name(name: str) -> None:
    assert not is_family(name)


def test_who_may_ask_is_told_by_the_environment() -> None:
    settings = Settings.from_environment(
        {
            "MODEL_STORE": "x",
            "ACCESS": "keys,iam",
            "ACCESS_KEYS": "/secrets/keys.json",
            "ACCESS_ACCOUNTS": "Ping@p.iam.gserviceaccount.com:warm+metrics, gateway@p.iam.gserviceaccount.com",
            "ACCESS_AUDIENCE": "https://a.example https://b.example",
            "ACCESS_REFRESH_SECONDS": "10",
            "K_SERVICE": "tabular",
        }
    )
    assert settings.access == ("keys", "iam")
    assert settings.access_keys == Path("/secrets/keys.json")
    assert settings.access_accounts == {
        "ping@p.iam.gserviceaccount.com": ("warm", "metrics"),
        "gateway@p.iam.gserviceaccount.com": ("predict", "warm", "manage", "metrics"),
    }
    assert settings.access_audience == ("https://a.example", "https://b.example")
    assert (settings.access_refresh_s, settings.access_demanded) == (10, True)


def test_off_google_cloud_and_behind_vertex_ai_nothing_is_demanded() -> None:
    for environment in ({}, {"AIP_MODE": "PREDICTION"}):
        settings = Settings.from_environment({"MODEL_STORE": "x", **environment})
        assert (settings.access, settings.access_demanded) == ((), False)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"ACCESS": "open"}, 'ACCESS is "open". Set it to keys, iam or keys,iam.'),
        ({"ACCESS": "keys,none"}, 'ACCESS is "keys,none". Set it to keys, iam or keys,iam.'),
        ({"ACCESS": "keys,iam"}, "ACCESS_ACCOUNTS is not set. Set it to the accounts whose ID tokens count: anybody"),
        ({"ACCESS": "keys", "ACCESS_ACCOUNTS": "a@b"}, "ACCESS_AUDIENCE is not set. Set it to the function's URL"),
        ({"ACCESS_ACCOUNTS": "ping"}, 'ACCESS_ACCOUNTS has "ping". Write ADDRESS or ADDRESS:WHAT+WHAT, of predict'),
        ({"ACCESS_ACCOUNTS": "a@b:fly"}, 'ACCESS_ACCOUNTS has "a@b:fly". Write ADDRESS or ADDRESS:WHAT+WHAT'),
        ({"ACCESS_REFRESH_SECONDS": "0"}, 'ACCESS_REFRESH_SECONDS is "0". Set it to a positive number of seconds.'),
    ],
)
def test_who_may_ask_cannot_be_said_wrongly(environment: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationInvalid) as refused:
        Settings.from_environment({"MODEL_STORE": "x", **environment})
    assert refused.value.message.startswith(message)
