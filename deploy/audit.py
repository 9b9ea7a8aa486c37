"""Audit: ask what is known against the packages that are locked. A finding fails; a source out of reach is told.

Asks OSV, and PyPI where that is out of reach, through pip-audit.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from deploy import locked, output

EXAMPLE = "python -m deploy audit --osv-url https://osv.example/v1/query"

#: Advisories that do not concern us, each with the reason: {"PYSEC-2026-1": "we never call what it is about"}.
ACCEPTED: dict[str, str] = {}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--osv-url", help="a mirror of OSV's API", default="https://api.osv.dev/v1/query")
    output.add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    reasons = []
    for source in (["osv", f"--osv-url={args.osv_url}"], ["pypi"]):
        reason = _out_of_reach(source)
        if not reason:
            return _told(args, _asked(source, locked.DEVELOPMENT) + _asked(source, locked.FOR_FUNCTIONS))
        reasons.append(f"{source[0]}: {reason}")
    output.tell(args, {"skipped": reasons}, "Nothing was audited: " + "; ".join(reasons))
    return 0


def _told(args: argparse.Namespace, packages: list[dict[str, Any]]) -> int:
    found = {
        f"{package['name']} {package['version']} has {one['id']}, mended in {', '.join(one['fix_versions']) or 'none'}"
        for package in packages
        for one in package.get("vulns", [])
    }
    unknown = {package["name"] for package in packages if "skip_reason" in package}
    summary = f"{len({package['name'] for package in packages}) - len(unknown)} packages audited, {len(found)} findings"
    told = [*sorted(found), summary, *(f"not audited: {name}" for name in sorted(unknown))]
    output.tell(args, {"findings": sorted(found), "not_audited": sorted(unknown)}, "\n".join(told))
    return 1 if found else 0


def _out_of_reach(source: list[str]) -> str:
    """Why the source knows nothing; empty where it answers. Asked of one package, since each takes its time."""
    pip = locked.packages(locked.DEVELOPMENT)["pip"]
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(locked.requirements([pip]))
        try:
            answers = _asked(source, requirements)
        except ValueError as error:
            return str(error)
    return str(answers[0].get("skip_reason", ""))


def _asked(source: list[str], requirements: Path) -> list[dict[str, Any]]:
    """What is known of each package. Raises ValueError with the reason where the source does not answer."""
    ignored = [f"--ignore-vuln={advisory}" for advisory in ACCEPTED]
    options = ["--disable-pip", "--require-hashes", "--progress-spinner=off", "--format=json", *ignored]
    command = [sys.executable, "-m", "pip_audit", *options, "--vulnerability-service", *source]
    done = subprocess.run([*command, "--requirement", str(requirements)], capture_output=True, text=True, check=False)
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError as exc:
        reason = done.stderr.strip().splitlines() or [f"pip-audit ended with {done.returncode}"]
        raise ValueError(reason[-1][-300:]) from exc
    return packages
