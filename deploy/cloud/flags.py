"""A function's flags: those of its folder, completed by deploy.yaml, in the words of either backend."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deploy.cloud.configuration import Configuration
from deploy.project import FUNCTIONS
from model_functions.names import function_name

#: What `gcloud run deploy` calls a flag of `gcloud functions deploy`; None where it has none, and needs none.
_IN_RUN = {
    "--gen2": None,
    "--trigger-http": None,
    "--docker-repository": None,
    "--runtime": "--base-image",
    "--entry-point": "--function",
    "--run-service-account": "--service-account",
    "--egress-settings": "--vpc-egress",
    "--ingress-settings": "--ingress",
    "--update-labels": "--labels",
    # Of the service, and shared out by traffic: each revision with a tag would keep as many of its own.
    "--min-instances": "--min",
}

_INGRESS_IN_RUN = {"internal-only": "internal", "internal-and-gclb": "internal-and-cloud-load-balancing"}

#: Of Cloud Run alone. The probe asks whether the process answers: one of the store would keep an instance from starting
#: while the store is away, which models that are loaded do not mind.
_RUN_DEFAULTS = {
    "--execution-environment": "gen2",
    "--cpu-boost": True,
    "--startup-probe": "httpGet.path=/health,periodSeconds=1,timeoutSeconds=1,failureThreshold=240",
}

#: What comes with a GPU: Cloud Run gives one only to instances whose CPU is always theirs.
_GPU_DEFAULTS = {"--cpu-throttling": False}

#: Who gets in is said by bindings, which a release keeps as they should be.
_PUBLIC, _PRIVATE = "--allow-unauthenticated", "--no-allow-unauthenticated"

_ENVIRONMENT = ("--set-env-vars", "--update-env-vars")

_MEMORY = re.compile(r"([0-9]+)(Mi|Gi|MB|GB|M|G)B?")
_UNITS = {"Mi": 2**20, "Gi": 2**30, "M": 10**6, "G": 10**9, "MB": 2**20, "GB": 2**30}


@dataclass(frozen=True)
class Flags:
    """What functions/<family>/ says of a function.

    Args:
        own: flags.yaml: flags of `gcloud functions deploy`.
        run: run.yaml: more flags, of `gcloud run deploy`.
    """

    family: str
    file: Path
    own: Mapping[str, Any]
    run: Mapping[str, Any]

    @classmethod
    def read(cls, family: str, functions: Path | None = None) -> "Flags":
        """Raises ValueError that names the file for what is no list of flags."""
        file = (functions or FUNCTIONS) / family / "flags.yaml"
        return cls(family, file, _flags(file), _flags(file.with_name("run.yaml"), missing_is_empty=True))

    @property
    def name(self) -> str:
        return function_name(self.family)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that flags.yaml sets."""
        found: dict[str, str] = {}
        for flag in _ENVIRONMENT:
            found |= {key: str(value) for key, value in (self.own.get(flag) or {}).items()}
        return found

    def mapped(self, *flags: str) -> dict[str, Any]:
        """What these flags map to what, in flags.yaml and then in run.yaml."""
        found: dict[str, Any] = {}
        for written in (self.own, self.run):
            for flag in flags:
                found |= written.get(flag) or {}
        return found

    @property
    def reads_key_list(self) -> bool:
        """Whether the function looks into the bucket for the list of access keys."""
        variables = self.mapped(*_ENVIRONMENT)
        modes = str(variables.get("ACCESS", "")).replace(",", " ").split()
        return "keys" in modes and not variables.get("ACCESS_KEYS")

    @property
    def is_public(self) -> bool:
        return bool(self.own.get(_PUBLIC))

    @property
    def memory(self) -> int | None:
        """Bytes; None where nothing is said, or nothing that is a size."""
        written = _MEMORY.fullmatch(str(self.said("--memory") or ""))
        return int(written[1]) * _UNITS[written[2]] if written else None

    def said(self, flag: str) -> Any:
        """What run.yaml, or flags.yaml, gives the flag."""
        return self.run.get(flag, self.own.get(flag))

    def number(self, flag: str) -> float | None:
        """As ``said``; None where that is no number of its unit, as 2, 0.5, 500m or 300s."""
        text = str(self.said(flag) if self.said(flag) is not None else "")
        written = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([sm]?)", text)
        if written is None:
            return None
        is_milli = written[2] == "m" and flag == "--cpu"
        return float(written[1]) / 1000 if is_milli else float(written[1]) * (60 if written[2] == "m" else 1)


def deployment(
    flags: Flags, configuration: Configuration, *, source: str, environment: Mapping[str, str], label: str
) -> list[str]:
    """The command that deploys the function, after the word gcloud.

    Args:
        source: the staged folder.
        environment: variables that count where flags.yaml does not set them.
        label: the staged folder's digest.
    """
    labels = {"app": "model-functions", "family": flags.family, "staged": label}
    project, region = configuration.project, configuration.region
    given: dict[str, Any] = {"--source": source, "--region": region}
    account, builder = (
        configuration.function_account(flags.family),
        configuration.account(configuration.accounts.builder),
    )
    ours = {
        "--run-service-account": account,
        "--build-service-account": f"projects/{project}/serviceAccounts/{builder}",
        "--docker-repository": f"projects/{project}/locations/{region}/repositories/{configuration.images}",
    }
    apart = (*_ENVIRONMENT, _PUBLIC, _PRIVATE, "--update-labels")
    given |= ours | {flag: value for flag, value in flags.own.items() if flag not in apart}
    given["--set-env-vars"] = dict(environment) | flags.environment
    given["--update-labels"] = dict(flags.own.get("--update-labels") or {}) | labels
    if configuration.backend == "functions":
        return ["functions", "deploy", flags.name, *spelled(given)]
    # Beside --source, it says where the image is kept; else that is a repository which our builder may not write to.
    given["--image"] = f"{region}-docker.pkg.dev/{project}/{configuration.images}/{flags.name}"
    defaults = _RUN_DEFAULTS | (_GPU_DEFAULTS if flags.run.get("--gpu") else {})
    return ["run", "deploy", flags.name, *spelled(defaults | _in_run(given) | _straight(flags.run))]


def _in_run(given: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for flag, value in given.items():
        name = _IN_RUN.get(flag, flag)
        if name == "--timeout":
            value = str(value).removesuffix("s")
        if name == "--ingress":
            value = _INGRESS_IN_RUN.get(value, value)
        if name is not None:
            found[name] = value
    return _straight(found)


def _straight(flags: Mapping[str, Any]) -> dict[str, Any]:
    """``--no-x: true`` as ``--x: false``, so that one takes the place of the other."""
    is_bool = {flag for flag, value in flags.items() if isinstance(value, bool)}
    turned = {flag: f"--{flag[5:]}" for flag in is_bool if flag.startswith("--no-")}
    return {turned.get(flag, flag): not value if flag in turned else value for flag, value in flags.items()}


def spelled(flags: Mapping[str, Any]) -> list[str]:
    """Flags of a YAML file as they stand on a command line."""
    return [_spelled(flag, value) for flag, value in flags.items() if value is not None]


def _spelled(flag: str, value: Any) -> str:
    if isinstance(value, bool):
        return flag if value else f"--no-{flag[2:]}"
    if isinstance(value, Mapping):
        return f"{flag}={_listed([f'{key}={_text(item)}' for key, item in value.items()])}"
    if isinstance(value, list):
        return f"{flag}={_listed([_text(item) for item in value])}"
    return f"{flag}={_text(value)}"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _listed(items: Sequence[str]) -> str:
    """Items with commas between them, or what `gcloud topic escaping` has where one holds a comma."""
    if not any("," in item for item in items):
        return ",".join(items)
    between = next(mark for mark in "|;@#%~" if not any(mark in item for item in items))
    return f"^{between}^{between.join(items)}"


def _flags(file: Path, *, missing_is_empty: bool = False) -> dict[str, Any]:
    if missing_is_empty and not file.exists():
        return {}
    try:
        found = yaml.safe_load(file.read_text())
    except OSError as exc:
        raise ValueError(f"{file} cannot be read: {exc.strerror}. Each function has one: copy another's.") from exc
    except yaml.YAMLError as exc:
        raise ValueError(f"{file} is no YAML: {' '.join(str(exc).split())}") from exc
    found = {} if found is None else found
    wrong = [key for key in found if not str(key).startswith("--")] if isinstance(found, dict) else [found]
    if wrong:
        raise ValueError(f'{file} has "{wrong[0]}", which is no flag. Write each as --memory: 2Gi.')
    flags: dict[str, Any] = found
    return flags
