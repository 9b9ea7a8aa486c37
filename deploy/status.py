"""Status: what is deployed and serves, which models it serves, when it was last warmed up, and what differs."""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from deploy import output, stage, staged
from deploy.cloud import configuration, deployed, published
from deploy.cloud.configuration import Configuration
from deploy.cloud.deployed import Deployed
from deploy.cloud.drift import drift
from deploy.cloud.flags import Flags
from deploy.cloud.pings import job_name
from deploy.cloud.sdk import Gcloud, GcloudFailed
from deploy.cloud.variables import functions_url, variables
from deploy.project import BUILD
from model_functions.errors import ServingError

EXAMPLE = "python -m deploy status --json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("family", nargs="*", help="default: deploy.yaml's families")
    configuration.add_arguments(parser, dry_run=False)
    output.add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    settings = Configuration.of(args)
    families = settings.chosen(args.family)
    gcloud = Gcloud(settings.project)
    there = deployed.read(gcloud, settings, settings.families)
    models, trouble = _models(settings)
    warmups = _warmups(gcloud, settings)
    url = functions_url(gcloud, settings)
    rows = [
        _row(family, there.get(family), settings, url)
        | {"models": models.get(family, []), "warmup": warmups.get(family)}
        for family in families
    ]
    found = {"project": settings.project, "region": settings.region, "backend": settings.backend, "families": rows}
    found |= {"store": settings.model_store, "trouble": trouble}
    output.tell(args, found, "\n".join(_lines(found)))
    return 0


def _row(family: str, now: Deployed | None, settings: Configuration, url: str) -> dict[str, Any]:
    if now is None:
        return {"family": family, "deployed": False, "drift": []}
    flags = Flags.read(family)
    # Beside what emulators run in.
    folder = staged.read(family, stage.stage(family, release=True, build=BUILD / "status"))
    return {
        "family": family,
        "deployed": True,
        "url": now.url,
        "revision": now.ready,
        "traffic": dict(now.shares),
        "tags": {tag: revision for tag, (revision, _) in now.tags.items()},
        "staged": now.label,
        "tree": folder.label,
        "in_progress": now.in_progress,
        "trouble": now.trouble,
        "drift": drift(now, flags, settings, variables(flags, settings, url), folder.label),
    }


def _models(settings: Configuration) -> tuple[dict[str, list[dict[str, Any]]], str]:
    """Revisions and aliases of every model, by family; and why they cannot be read."""
    found: dict[str, list[dict[str, Any]]] = {}
    try:
        repository = published.repository(settings)
        for family, name in repository.names_of_all():
            aliases = {pointer.alias: pointer.revision for pointer in repository.aliases(family, name)}
            row = {"name": name, "aliases": aliases, "revisions": repository.revisions(family, name)}
            found.setdefault(family, []).append(row)
    except ServingError as exc:
        return found, f"The models in {settings.model_store} cannot be read: {exc}"
    return found, ""


def _warmups(gcloud: Gcloud, settings: Configuration) -> dict[str, dict[str, Any]]:
    """How the last ping of each family went."""
    try:
        jobs = gcloud.read("scheduler", "jobs", "list", f"--location={settings.region}") or []
    except GcloudFailed as error:
        print(f"The warm-up jobs cannot be read: {error.reason}", file=sys.stderr)
        return {}
    by_name = {job["name"].rpartition("/")[2]: job for job in jobs}
    return {family: _warmup(by_name[job_name(family)]) for family in settings.families if job_name(family) in by_name}


def _warmup(job: dict[str, Any]) -> dict[str, Any]:
    status = job.get("status", {})
    return {
        "schedule": job.get("schedule"),
        "state": job.get("state"),
        "last_attempt": job.get("lastAttemptTime"),
        "last_error": (status.get("message") or f"code {status['code']}") if status.get("code") else "",
    }


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"{found['project']}, {found['region']}, backend {found['backend']}; models in {found['store']}"
    if found["trouble"]:
        yield found["trouble"]
    for row in found["families"]:
        yield from _told(row)


def _told(row: dict[str, Any]) -> Iterator[str]:
    if not row["deployed"]:
        yield f"{row['family']}: not deployed; python -m deploy release {row['family']}"
    else:
        traffic = ", ".join(f"{revision} {percent} %" for revision, percent in row["traffic"].items())
        yield f"{row['family']}: {traffic or 'no traffic'}; {row['url']}"
        if row["in_progress"]:
            yield "  being deployed at this moment"
        elif row["trouble"]:
            yield f"  trouble: {row['trouble']}"
        elif row["revision"] and row["traffic"].get(row["revision"]) != 100:
            yield (
                f"  {row['revision']} is newer and does not serve all; python -m deploy release {row['family']} goes "
                "on with it"
            )
        yield from (f"  differs: {difference}" for difference in row["drift"])
        if row["drift"]:
            # What is the same by its label is left as it is, whatever was changed by hand.
            force = " --force" if row["staged"] == row["tree"] else ""
            yield f"  python -m deploy release {row['family']}{force} deploys it as the tree has it"
    for model in row["models"]:
        aliases = ", ".join(f"{alias} = {revision}" for alias, revision in model["aliases"].items())
        count = len(model["revisions"])
        yield f"  model {model['name']}: {aliases or 'no alias'}; {count} revision{'' if count == 1 else 's'}"
    warmup = row["warmup"]
    if warmup is not None:
        last = warmup["last_attempt"] or "never"
        how = f"failed, {warmup['last_error']}" if warmup["last_error"] else "went well"
        yield f"  warm-up: last {last}{'' if last == 'never' else f', {how}'}; {warmup['schedule']}, {warmup['state']}"
