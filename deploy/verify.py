"""Verify a published model: a fresh process reads, checks, loads and asks it, and the answers are compared.

Ends with status 1 when a function could not serve it as it was published. The store is MODEL_STORE, else build/store.
"""

import argparse
from dataclasses import asdict

from deploy import naming, output, pins, publisher
from deploy.naming import split_model
from deploy.proving import proof
from deploy.proving.comparison import short
from deploy.proving.proof import Asked, Report
from model_functions.artifact.manifest import LaneRecord, Manifest
from model_functions.memory import spelled

EXAMPLE = "python -m deploy verify wine_model --alias prod"

_VERDICTS = {True: "same", False: "DIFFERS", None: "not compared"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    naming.add_arguments(parser)
    output.add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    repository = publisher.open_repository()
    family, name = split_model(repository, args.model)
    revision = args.revision or repository.resolve(family, name, args.alias).revision
    manifest = repository.manifest(family, name, revision)
    report = proof.examine(repository, family, name, revision)
    result = asdict(report) | {
        "proven": report.proven,
        "manifest_version": manifest.version,
        "engine": asdict(manifest.engine),
        "faster": [asdict(lane.engine) for lane in manifest.faster],
        "here": asdict(manifest.here.engine),
        "provenance": asdict(manifest.provenance),
    }
    output.tell(args, result, _told(manifest, report))
    return 0 if report.proven else 1


def _told(manifest: Manifest, report: Report) -> str:
    lines = [
        f"{report.family}/{report.name}, revision {report.revision} (manifest version {manifest.version})",
        *_made(manifest),
        f"  signed by  {report.signed_by}",
        f"  python     {report.python[0]}, here {report.python[1]}",
        f"  packages   {', '.join(_package(name, *versions) for name, versions in report.packages.items())}",
    ]
    lines += [_lane(manifest, lane) for lane in manifest.lanes]
    for file, found in report.files.items():
        verdict = found["problem"] or f"every chunk's {found['digest']} is right"
        lines.append(f"  file       {file}, {found['size']:,} bytes: {verdict}")
    if report.phases:
        phases = ", ".join(f"{name} {milliseconds:.0f}" for name, milliseconds in report.phases.items())
        lines.append(f"  loaded     by {manifest.here.engine.name} ({manifest.here.engine.precision}) in ms: {phases}")
    if report.memory:
        lines.append(
            f"  memory     {spelled(report.memory['peak'])} at its peak, {spelled(report.memory['planned'])} planned"
        )
    lines += [_asked(number, asked) for number, asked in enumerate(report.examples, start=1)]
    if advice := pins.advice(report.family, manifest.all_packages):
        lines.append(f"  function   {advice}")
    verdict = "Verified: a function serves it as it was published."
    if report.failures:
        verdict = "NOT verified:\n" + "\n".join(f"  {failure}" for failure in report.failures)
    return "\n".join([*lines, verdict])


def _lane(manifest: Manifest, lane: LaneRecord) -> str:
    record = lane.engine
    accepted = f", accepted within {record.tolerance:.0e}" if record.tolerance else ""
    return (
        f"  engine     {record.name} in {record.precision}{accepted}{', taken here' if lane == manifest.here else ''}"
    )


def _made(manifest: Manifest) -> list[str]:
    made = manifest.provenance
    commit = f"commit {made.commit}{' with changes' if made.dirty else ''}" if made.commit else ""
    source = f"{made.source.get('format')} {made.source.get('digest', '')[:12]}" if made.source else ""
    told = [f"  made       {', '.join(filter(None, [source, commit]))}"] if commit or source else []
    return told + [f"  {name[:10]:<10} {short(value)}" for name, value in made.training.items()]


def _package(name: str, published: str, here: str | None) -> str:
    return f"{name} {published}" + ("" if here == published else f" (here {here or 'none'})")


def _asked(number: int, asked: Asked) -> str:
    answer = asked.answer.get("prediction", asked.answer)
    line = f"  example {number}  {_VERDICTS[asked.same]}: {short(asked.example)} → {short(answer)}"
    return (
        line
        if asked.same is not False
        else f"{line}, recorded {short(asked.expected.get('prediction', asked.expected))}"
    )
