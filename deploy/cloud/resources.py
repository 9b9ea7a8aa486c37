"""resources.yaml, filled in for a project: what it needs, and who may what."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deploy.cloud.configuration import Configuration
from deploy.cloud.flags import Flags
from deploy.project import FUNCTIONS

FILE = Path(__file__).with_name("resources.yaml")

#: The family of the function that serves no models of its own.
GATEWAY = "gateway"

_SECRET_FLAGS = ("--set-secrets", "--update-secrets")


@dataclass(frozen=True)
class Place:
    """What has a policy.

    Args:
        kind: ``project``, ``bucket``, ``images``, ``secret`` or ``account``.
    """

    kind: str
    name: str


@dataclass(frozen=True)
class Condition:
    """Where alone a grant counts, in the words of IAM."""

    title: str
    expression: str


@dataclass(frozen=True)
class Grant:
    """A role that an account has at a place.

    Args:
        account: its address.
    """

    place: Place
    role: str
    account: str
    condition: Condition | None
    why: str


def read() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return found


def grants(configuration: Configuration) -> list[Grant]:
    """All that the project needs, in the file's order."""
    return [grant for rule in read()["grants"] for grant in _grants(rule, configuration)]


def mounted_secrets(family: str) -> list[str]:
    """The names of the secrets that the flags of the family's function mount."""
    mounts = Flags.read(family, FUNCTIONS).mapped(*_SECRET_FLAGS)
    return sorted({str(mount).rpartition(":")[0] for mount in mounts.values()})


def _grants(rule: dict[str, Any], configuration: Configuration) -> Iterator[Grant]:
    if rule.get("backend", configuration.backend) != configuration.backend:
        return
    for family, account in _grantees(rule["to"], configuration):
        for place in _places(rule["at"], family, configuration):
            yield Grant(place, rule["role"], account, _condition(rule.get("only"), family, configuration), rule["why"])


def _grantees(to: str, configuration: Configuration) -> list[tuple[str, str]]:
    """Accounts, each with the family of the function that it is of, if it is."""
    chosen: dict[str, Callable[[str], bool]] = {
        "functions": lambda family: family != GATEWAY,
        "gateway": lambda family: family == GATEWAY,
        # The gateway's documents have the list among them.
        "keyed": lambda family: family != GATEWAY and Flags.read(family, FUNCTIONS).reads_key_list,
        "mounting": lambda family: bool(mounted_secrets(family)),
    }
    if to in chosen:
        families = [family for family in configuration.families if chosen[to](family)]
        return [(family, configuration.function_account(family)) for family in families]
    return [("", configuration.account(getattr(configuration.accounts, to)))]


def _places(at: str, family: str, configuration: Configuration) -> list[Place]:
    match at:
        case "project":
            return [Place("project", configuration.project)]
        case "bucket":
            return [Place("bucket", configuration.bucket)]
        case "builds":
            return [Place("bucket", configuration.builds)]
        case "batches":
            return [Place("bucket", configuration.batches)]
        case "images":
            return [Place("images", configuration.images)]
        case "mounted secrets":
            return [Place("secret", name) for name in mounted_secrets(family)]
        case "all functions' accounts":
            return [Place("account", configuration.function_account(family)) for family in configuration.families]
    owner, is_account, _ = at.partition("'s account")
    if is_account:
        return [Place("account", configuration.account(getattr(configuration.accounts, owner)))]
    return [Place("secret", at)]


def _condition(only: dict[str, str] | None, family: str, configuration: Configuration) -> Condition | None:
    if only is None:
        return None
    values = {"project": configuration.project, "bucket": configuration.bucket, "family": family}
    return Condition(only["title"], only["if"].format(**values))
