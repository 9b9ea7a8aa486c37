"""Where a deployed function differs from what the tree says of it, changed by hand or not yet released."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from deploy.cloud.configuration import Configuration
from deploy.cloud.deployed import Deployed
from deploy.cloud.flags import Flags

#: What the platform adds to a function's variables.
_THEIRS = re.compile(r"FUNCTION_TARGET|FUNCTION_SIGNATURE_TYPE|LOG_EXECUTION_ID|GOOGLE_.*|K_.*|PORT")

_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "K": 1000, "M": 10**6, "G": 10**9, "": 1}


def drift(
    deployed: Deployed, flags: Flags, configuration: Configuration, environment: Mapping[str, str], digest: str
) -> list[str]:
    """A sentence for each difference.

    Args:
        environment: what a release would set.
        digest: the label of what is staged.
    """
    found = []
    if deployed.label != digest:
        found.append(f"the tree is {digest}, and {deployed.label or 'something without a label'} is deployed")
    return found + list(_settings(deployed.settings, flags, configuration, environment))


def _settings(
    settings: Mapping[str, Any], flags: Flags, configuration: Configuration, environment: Mapping[str, str]
) -> Iterator[str]:
    if not settings.get("memory"):
        return
    if flags.memory is not None and _size(settings["memory"]) != flags.memory:
        yield f"memory is {settings['memory']}, and flags.yaml says {flags.said('--memory')}"
    if settings["cpu"] and flags.number("--cpu") not in (None, _cpus(settings["cpu"])):
        yield f"cpu is {settings['cpu']}, and flags.yaml says {flags.said('--cpu')}"
    for what in ("concurrency", "timeout"):
        wanted = flags.number(f"--{what}")
        if wanted is not None and settings[what] not in (None, int(wanted)):
            yield f"{what} is {settings[what]}, and flags.yaml says {flags.said(f'--{what}')}"
    yield from _instances(settings, flags)
    gpus = int(flags.run.get("--gpu") or 0) if configuration.backend == "run" else 0
    if int(settings["gpu"] or 0) != gpus:
        yield f"it has {settings['gpu'] or 'no'} GPU, and run.yaml says {gpus or 'none'}"
    account = flags.own.get("--run-service-account") or configuration.function_account(flags.family)
    if settings["account"] not in (None, account):
        yield f"it runs as {settings['account']}, and not as {account}"
    yield from _variables(settings["environment"], dict(environment) | flags.environment)


def _instances(settings: Mapping[str, Any], flags: Flags) -> Iterator[str]:
    least, most = int(flags.number("--min-instances") or 0), flags.number("--max-instances")
    if (settings["min_instances"] or 0) != least:
        yield f"min instances are {settings['min_instances'] or 0}, and flags.yaml says {least}"
    if most is not None and settings["max_instances"] not in (None, int(most)):
        yield f"max instances are {settings['max_instances']}, and flags.yaml says {int(most)}"


def _variables(there: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(there.keys() | wanted.keys()):
        if name not in wanted:
            if not _THEIRS.fullmatch(name):
                yield f"{name} is set, and nothing here sets it"
        elif name not in there:
            yield f"{name} is not set, and should be {wanted[name]}"
        elif there[name] != wanted[name]:
            yield f"{name} is {there[name]}, and should be {wanted[name]}"


def _size(text: str) -> float:
    written = re.fullmatch(r"([0-9.]+)(Ki|Mi|Gi|K|M|G|)", text)
    return float(written[1]) * _UNITS[written[2]] if written else 0


def _cpus(text: str) -> float:
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)
