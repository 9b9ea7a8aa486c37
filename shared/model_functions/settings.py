"""The environment, read once; each field names its variable."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from model_functions.errors import ConfigurationInvalid

# build/<family>/model_functions/settings.py when staged.
_FUNCTION_FOLDER = Path(__file__).resolve().parent.parent

#: What a caller may be allowed to do: to ask models and to read about them, to warm one up, to load and unload models
#: of an instance, and to read its metrics.
ACTIONS = ("predict", "warm", "manage", "metrics")

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:.]+\](:[0-9]{1,5})?")
_MEMORY = re.compile(r"(?P<number>[0-9]{1,15})(?P<unit>Mi|Gi)?")


@dataclass(frozen=True)
class Settings:
    model_store: str
    """``MODEL_STORE``: where the models are, ``gs://BUCKET[/PREFIX]`` or a folder; by default ``AIP_STORAGE_URI``,
    which Vertex AI sets, and off Google Cloud the folder ``store`` beside the staged function."""

    model_alias: str = "prod"
    """``MODEL_ALIAS``: the alias that names the revision to serve."""

    model_refresh_s: float = 30.0
    """``MODEL_REFRESH_SECONDS``: how often, at most, requests make the instance look whether the alias has moved; 0 is
    never."""

    model_name: str | None = None
    """``MODEL_NAME``: the model for a request that names none; by default the only one there is."""

    model_preload: bool = False
    """``MODEL_PRELOAD``: ``true`` loads the default model when the instance starts, and not at its first request."""

    trust_file: Path = _FUNCTION_FOLDER / "trust.json"
    """``MODEL_TRUST``: the file of the public keys that may publish; by default the staged function's."""

    functions_url: str | None = None
    """``FUNCTIONS_URL``: what the gateway puts before ``/<function-name>``, as
    ``https://REGION-PROJECT.cloudfunctions.net``; or with ``{function}`` where the name stands, as
    ``https://{function}-NUMBER.REGION.run.app``."""

    predict_route: str | None = None
    """``AIP_PREDICT_ROUTE``, which Vertex AI sets: the path at which it asks for predictions."""

    health_route: str | None = None
    """``AIP_HEALTH_ROUTE``, which Vertex AI sets: the path at which it asks whether the container is alive."""

    access: tuple[str, ...] = ()
    """``ACCESS``: who may ask: ``keys`` (access keys, and ID tokens of ``ACCESS_ACCOUNTS``), ``iam`` (whoever Google
    Cloud lets through: the function must be deployed privately), or ``keys,iam`` (either, all verified here); unset,
    everybody, but nobody on Google Cloud."""

    access_keys: Path | None = None
    """``ACCESS_KEYS``: the file of the list of access keys, as a secret is mounted; by default ``access/keys.json`` in
    the store."""

    access_accounts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """``ACCESS_ACCOUNTS``: the accounts whose ID tokens count, as ``ping@p.iam.gserviceaccount.com:warm``, with commas
    between them; without what it may do after the colon, an account may do anything."""

    access_audience: tuple[str, ...] = ()
    """``ACCESS_AUDIENCE``: for whom ID tokens must be: the function's URL, or several with commas."""

    access_refresh_s: int = 60
    """``ACCESS_REFRESH_SECONDS``: for how long a revoked key counts at most; the list is read twice in it."""

    access_demanded: bool = False
    """``K_SERVICE``, which Cloud Run sets: nobody may ask there without ``ACCESS``."""

    allowed_origins: tuple[str, ...] = ()
    """``ALLOWED_ORIGINS``: the pages of other sites that may ask from a browser, as ``https://example.com``, exactly,
    with spaces or commas between them; by default none."""

    max_body_bytes: int = 32 * 1024 * 1024
    """``MAX_BODY_BYTES``: the largest request body; by default what Cloud Run lets through."""

    body_timeout_s: int = 30
    """``BODY_TIMEOUT_SECONDS``: how long a caller may send nothing in the middle of its body; ASGI only."""

    timeout_s: float = math.inf
    """``CLOUD_RUN_TIMEOUT_SECONDS``, which Google Cloud sets: how long the platform waits for an answer."""

    use_asgi: bool = False
    """``FUNCTION_USE_ASGI``: whether functions-framework serves by ASGI, and not by Flask."""

    threads: int = 4 * (os.cpu_count() or 1)
    """``THREADS``: requests that are handled at a time; by default four a core, as functions-framework has it."""

    max_waiting: int = 2
    """``MAX_WAITING``: requests that may wait while a model runs, however long it takes; more are told to come back,
    unless their turn comes soon."""

    memory_limit: int | None = None
    """``MEMORY_LIMIT``: bytes that the instance has, or as ``2Gi``; by default what the platform allows it."""

    log_level: str = "INFO"
    """``LOG_LEVEL``: the least severity that is logged."""

    log_inputs: bool = False
    """``LOG_INPUTS``: ``true`` logs what exceptions say, which may quote what a caller sent."""

    on_google_cloud: bool = False
    """``K_SERVICE``, which Google Cloud sets, as Vertex AI does ``AIP_MODE``: local keys do not count there, and the
    gateway sends ID tokens."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Raises ConfigurationInvalid with the variable's name."""
        given = os.environ if environment is None else environment
        on_google_cloud = bool(given.get("K_SERVICE") or given.get("AIP_MODE"))
        return cls(
            model_store=given.get("MODEL_STORE") or given.get("AIP_STORAGE_URI") or _default_store(on_google_cloud),
            model_alias=given.get("MODEL_ALIAS") or cls.model_alias,
            model_refresh_s=_seconds(given, "MODEL_REFRESH_SECONDS", 30),
            model_name=given.get("MODEL_NAME") or None,
            model_preload=_boolean(given, "MODEL_PRELOAD"),
            trust_file=Path(given.get("MODEL_TRUST") or cls.trust_file),
            functions_url=(given.get("FUNCTIONS_URL") or "").rstrip("/") or None,
            predict_route=_route(given, "AIP_PREDICT_ROUTE"),
            health_route=_route(given, "AIP_HEALTH_ROUTE"),
            **_access(given),
            allowed_origins=_origins(given, "ALLOWED_ORIGINS"),
            max_body_bytes=_positive(given, "MAX_BODY_BYTES", cls.max_body_bytes),
            body_timeout_s=_positive(given, "BODY_TIMEOUT_SECONDS", cls.body_timeout_s, " of seconds"),
            timeout_s=_seconds(given, "CLOUD_RUN_TIMEOUT_SECONDS", 0),
            use_asgi=uses_asgi(given),
            threads=_positive(given, "THREADS", cls.threads, " of threads"),
            max_waiting=_positive(given, "MAX_WAITING", cls.max_waiting, ""),
            memory_limit=_memory(given, "MEMORY_LIMIT"),
            log_level=_severity(given.get("LOG_LEVEL") or cls.log_level),
            log_inputs=_boolean(given, "LOG_INPUTS"),
            on_google_cloud=on_google_cloud,
        )


def _access(given: Mapping[str, str]) -> dict[str, Any]:
    """Whose the function is to ask, by the fields' names."""
    modes = _several(given, "ACCESS")
    if set(modes) - {"keys", "iam"}:
        raise ConfigurationInvalid(f'ACCESS is "{given["ACCESS"][:60]}". Set it to keys, iam or keys,iam.')
    accounts = dict(_account(text) for text in _several(given, "ACCESS_ACCOUNTS"))
    audience = _several(given, "ACCESS_AUDIENCE")
    if accounts and not audience:
        raise ConfigurationInvalid(
            "ACCESS_AUDIENCE is not set. Set it to the function's URL, which ID tokens of ACCESS_ACCOUNTS must be for."
        )
    if set(modes) == {"keys", "iam"} and not accounts:
        raise ConfigurationInvalid(
            "ACCESS_ACCOUNTS is not set. Set it to the accounts whose ID tokens count: anybody can have one."
        )
    return {
        "access": modes,
        "access_keys": Path(given["ACCESS_KEYS"]) if given.get("ACCESS_KEYS") else None,
        "access_accounts": accounts,
        "access_audience": audience,
        "access_refresh_s": _positive(given, "ACCESS_REFRESH_SECONDS", Settings.access_refresh_s, " of seconds"),
        "access_demanded": bool(given.get("K_SERVICE")),
    }


def _several(given: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple((given.get(name) or "").replace(",", " ").split())


def _account(text: str) -> tuple[str, tuple[str, ...]]:
    """An address, and what it may."""
    address, _, may = text.partition(":")
    actions = tuple(may.split("+")) if may else ACTIONS
    if "@" not in address or set(actions) - set(ACTIONS):
        raise ConfigurationInvalid(
            f'ACCESS_ACCOUNTS has "{text[:80]}". Write ADDRESS or ADDRESS:WHAT+WHAT, of {", ".join(ACTIONS)}.'
        )
    return address.lower(), actions


def _default_store(on_google_cloud: bool) -> str:
    beside = _FUNCTION_FOLDER.parent / "store"
    if on_google_cloud or not beside.is_dir():
        raise ConfigurationInvalid("MODEL_STORE is not set. Set it to gs://BUCKET or to a folder of published models.")
    return str(beside)


def uses_asgi(given: Mapping[str, str]) -> bool:
    """Whether functions-framework will serve by ASGI, which it decides by the same words."""
    return (given.get("FUNCTION_USE_ASGI") or "").strip().lower() in ("1", "true", "t", "yes", "y", "on")


def _positive(given: Mapping[str, str], name: str, default: int, of: str = " of bytes") -> int:
    text = given.get(name) or str(default)
    if not text.isdecimal() or int(text) == 0:
        raise ConfigurationInvalid(f'{name} is "{text}". Set it to a positive number{of}.')
    return int(text)


def _origins(given: Mapping[str, str], name: str) -> tuple[str, ...]:
    origins = tuple((given.get(name) or "").replace(",", " ").split())
    for origin in origins:
        if _ORIGIN.fullmatch(origin) is None:
            raise ConfigurationInvalid(
                f'{name} has "{origin[:60]}". List whole origins, as https://example.com: in lower case, without a '
                "path, and no *."
            )
    return origins


def _route(given: Mapping[str, str], name: str) -> str | None:
    text = given.get(name) or None
    if text is not None and not text.startswith("/"):
        raise ConfigurationInvalid(f'{name} is "{text[:60]}". Set it to a path, as /predict.')
    return text


def _seconds(given: Mapping[str, str], name: str, default: int) -> float:
    """So many; 0 means infinitely many."""
    text = given.get(name) or str(default)
    if not text.isdecimal():
        raise ConfigurationInvalid(f'{name} is "{text}". Set it to a number of seconds; 0 is no limit.')
    return int(text) or math.inf


def _boolean(given: Mapping[str, str], name: str) -> bool:
    text = (given.get(name) or "false").lower()
    if text not in ("true", "false"):
        raise ConfigurationInvalid(f'{name} is "{text[:20]}". Set it to true or false.')
    return text == "true"


def _memory(given: Mapping[str, str], name: str) -> int | None:
    text = given.get(name) or None
    if text is None:
        return None
    written = _MEMORY.fullmatch(text)
    if written is None or int(written["number"]) == 0:
        raise ConfigurationInvalid(f'{name} is "{text}". Set it as --memory is: to bytes, or as 512Mi or 2Gi.')
    return int(written["number"]) * {None: 1, "Mi": 2**20, "Gi": 2**30}[written["unit"]]


def _severity(level: str) -> str:
    known = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    if level.upper() not in known:
        raise ConfigurationInvalid(f'LOG_LEVEL is "{level}". Set it to one of {", ".join(known)}.')
    return level.upper()
