"""Doctor: look whether this machine and the project have all that is needed, and say what mends what is wrong.

Changes nothing. Where Google Cloud cannot be asked, the project's half is unknown. Ends with status 1 when something is
wrong.
"""

import argparse
import shlex
from dataclasses import asdict

from deploy import output
from deploy.cloud import configuration
from deploy.cloud.configuration import Configuration
from deploy.cloud.sdk import Gcloud
from deploy.examination.finding import Finding, Verdict
from deploy.examination.machine import examine_machine
from deploy.examination.project import examine_project

EXAMPLE = "python -m deploy doctor --project acme-models"

_MARKS = {Verdict.OK: "ok     ", Verdict.WRONG: "WRONG  ", Verdict.UNKNOWN: "unknown"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    configuration.add_arguments(parser, dry_run=False)
    output.add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    findings = examine_machine()
    try:
        wanted = Configuration.of(args)
    except ValueError as error:
        findings.append(Finding("deploy.yaml", Verdict.WRONG, str(error)))
    else:
        flags = [flag for flag in args.arguments[1:] if flag != "--json"]
        mend = shlex.join(["python", "-m", "deploy", "bootstrap", *flags])
        findings += examine_project(Gcloud(wanted.project), wanted, mend)
    output.tell(args, [asdict(finding) for finding in findings], "\n".join(map(_line, findings)) + _sum(findings))
    return 1 if any(finding.verdict == Verdict.WRONG for finding in findings) else 0


def _line(finding: Finding) -> str:
    line = f"{_MARKS[finding.verdict]}  {finding.what}: {finding.told}"
    return "\n".join([line, *(f"         {command}" for command in finding.mended_by)])


def _sum(findings: list[Finding]) -> str:
    wrong = sum(finding.verdict == Verdict.WRONG for finding in findings)
    unknown = sum(finding.verdict == Verdict.UNKNOWN for finding in findings)
    told = f"{wrong} wrong, each with what mends it below it" if wrong else "nothing wrong"
    return f"\n{told}" + (f"; {unknown} unknown" if unknown else "")
