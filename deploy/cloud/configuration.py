"""deploy.yaml, read, held against its schema and completed; and the names that follow from it."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from deploy.cloud import sdk
from deploy.project import ROOT, function_families
from model_functions.names import function_name

FILE = ROOT / "deploy" / "deploy.yaml"
SCHEMA = ROOT / "deploy" / "deploy.schema.json"

BACKENDS = ("functions", "run")


def add_arguments(parser: argparse.ArgumentParser, *, dry_run: bool = True) -> None:
    """The flags that every verb of Google Cloud has."""
    parser.add_argument("--config", type=Path, default=FILE, help="default: deploy/deploy.yaml")
    parser.add_argument("--project", help="instead of the file's")
    parser.add_argument("--region", help="instead of the file's")
    parser.add_argument("--backend", choices=BACKENDS, help="instead of the file's")
    if dry_run:
        parser.add_argument("--dry-run", action="store_true", help="print the gcloud commands, and change nothing")


@dataclass(frozen=True)
class Accounts:
    """Names of service accounts, before the ``@``."""

    publisher: str
    deployer: str
    builder: str
    warmup: str
    batch: str


@dataclass(frozen=True)
class Canary:
    """What a new revision has to stand before it gets all traffic.

    Args:
        percent: of the traffic, while it is watched.
        seconds: for how long.
        max_error_rate: of its answers, those from 500 on.
        max_slowdown: its median latency, divided by that of the revision before.
    """

    percent: int
    seconds: float
    max_error_rate: float
    max_slowdown: float


@dataclass(frozen=True)
class Trigger:
    """What Cloud Build listens to: a connected repository, and a regular expression of its branches."""

    repository: str
    branch: str


@dataclass(frozen=True)
class Ci:
    """A system of CI elsewhere that may be the deployer.

    Args:
        system: a name of resources.yaml's "ci".
        repository: its runs alone; of Jenkins, the address of the multibranch job.
        branch: and of these those of this branch.
        issuer: of its tokens, where that is no other than the system's.
    """

    system: str
    repository: str
    branch: str
    issuer: str | None = None


@dataclass(frozen=True)
class Configuration:
    """Where the project runs; nothing of it is left open."""

    project: str
    region: str
    bucket: str
    backend: str
    families: tuple[str, ...]
    accounts: Accounts
    images: str
    canary: Canary
    github: Trigger | None
    ci: Ci | None

    @classmethod
    def of(cls, args: argparse.Namespace) -> Self:
        """The file's, with the flags before it. Raises ValueError that names the place and the value."""
        flags = {"project": args.project, "region": args.region, "backend": args.backend}
        return cls.read(args.config, {name: value for name, value in flags.items() if value is not None})

    @classmethod
    def read(cls, file: Path = FILE, flags: Mapping[str, str] | None = None) -> Self:
        """Raises ValueError that names the file, the place and the value."""
        found = _valid(file) | dict(flags or {})
        _check(found, "a flag")
        project = found.get("project") or sdk.default_project()
        if project is None:
            raise ValueError(
                f'{file.name} has no "project", and gcloud none either. Write it there, give --project, or run: '
                "gcloud config set project PROJECT"
            )
        github, ci = found.get("github"), found.get("ci")
        return cls(
            project=project,
            region=found["region"],
            bucket=found.get("bucket") or f"{project}-models",
            backend=found["backend"],
            families=_families(found.get("families"), file),
            accounts=Accounts(**found["accounts"]),
            images=found["images"],
            canary=Canary(**found["canary"]),
            github=Trigger(**github) if github else None,
            ci=Ci(**ci) if ci else None,
        )

    def chosen(self, named: Sequence[str]) -> list[str]:
        """These families; without any, all. Raises ValueError for one that is not the configuration's."""
        for family in named:
            if family not in self.families:
                raise ValueError(f'deploy.yaml has no family "{family}". It has: {", ".join(self.families)}.')
        return list(named or self.families)

    def account(self, name: str) -> str:
        """A service account's address."""
        return f"{name}@{self.project}.iam.gserviceaccount.com"

    def function_account(self, family: str) -> str:
        return self.account(function_account_name(family))

    @property
    def model_store(self) -> str:
        return f"gs://{self.bucket}"

    @property
    def builds(self) -> str:
        """The bucket of what Cloud Build keeps; cloudbuild.yaml names it so."""
        return f"{self.project}-builds"

    @property
    def batches(self) -> str:
        """The bucket of what batch jobs on Dataflow read and write."""
        return f"{self.project}-batch"


def function_account_name(family: str) -> str:
    return f"fn-{function_name(family)}"


def _valid(file: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(file.read_text())
    except OSError as exc:
        raise ValueError(f"{file} cannot be read: {exc.strerror}. Give --config, or copy deploy/deploy.yaml.") from exc
    except yaml.YAMLError as exc:
        raise ValueError(f"{file} is no YAML: {' '.join(str(exc).split())}") from exc
    _check(found, str(file))
    checked: dict[str, Any] = found
    return checked


def _check(found: Any, where: str) -> None:
    error = best_match(Draft202012Validator(json.loads(SCHEMA.read_text())).iter_errors(found))
    if error is not None:
        raise ValueError(_told(error, where))


def _told(error: ValidationError, where: str) -> str:
    place = ".".join(str(step) for step in error.absolute_path)
    if error.validator in ("additionalProperties", "required"):
        return f"{where}{f', at {place}' if place else ''}: {error.message}."
    wanted = error.schema.get("description") if isinstance(error.schema, Mapping) else None
    return f'{where} has "{place or "nothing"}: {error.instance}". {wanted or error.message}'


def _families(named: Sequence[str] | None, file: Path) -> tuple[str, ...]:
    there = function_families()
    unknown = set(named or ()) - set(there)
    if unknown:
        raise ValueError(f'{file.name} has the family "{sorted(unknown)[0]}". There are: {", ".join(there)}.')
    return tuple(named or there)
