"""This machine: Python and its packages, gcloud, git, and a browser for those who run its tests."""

import re
import shutil
import subprocess
import sys
from importlib import metadata

from packaging.markers import Marker
from packaging.utils import canonicalize_name
from packaging.version import Version

from deploy import locked
from deploy.cloud import sdk
from deploy.cloud.sdk import GcloudFailed
from deploy.environments import pins
from deploy.examination.finding import Finding, Verdict
from deploy.project import ROOT

#: What the verbs' commands were tried with.
GCLOUD = "528.0.0"
PYTHON = (3, 11)

#: Packages that are named of those which are not as locked.
NAMED = 5


def examine_machine() -> list[Finding]:
    return [_python(), _packages(), _gcloud(), _git(), _browser()]


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] == PYTHON:
        return Finding("Python", Verdict.OK, f"{found}, as functions run on")
    verdict = Verdict.UNKNOWN if sys.version_info[:2] > PYTHON else Verdict.WRONG
    told = (
        f"{found}; functions run on 3.11, and a model with classes of a notebook loads on the Python it was made with"
    )
    return Finding("Python", verdict, told, ("rm -r .venv && make PYTHON=python3.11 .venv/installed",))


def _packages() -> Finding:
    entries = locked.packages(locked.DEVELOPMENT).values()
    wanted = {one.name: one.version for one in entries if not one.marker or Marker(one.marker).evaluate()}
    pinned = {canonicalize_name(name) for name in pins(ROOT / "requirements.txt")}
    differing = [told for name, version in wanted.items() if (told := _differs(name, version, name in pinned))]
    if not differing:
        return Finding("packages", Verdict.OK, "as deploy/locks/development.txt has them")
    more = f" and {len(differing) - NAMED} more" if len(differing) > NAMED else ""
    told = f"not as locked: {', '.join(differing[:NAMED])}{more}"
    return Finding("packages", Verdict.WRONG, told, ("touch requirements.txt && make .venv/installed",))


def _differs(name: str, wanted: str, is_pinned: bool) -> str | None:
    try:
        # PyTorch's build for CPUs says so behind a plus.
        found = metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        # What only another brings may be left out by it: PyTorch's build for CPUs needs nothing of the GPU's.
        return f"{name} {wanted} (none here)" if is_pinned else None
    return None if found == wanted else f"{name} {wanted} ({found} here)"


def _gcloud() -> Finding:
    try:
        found = sdk.version()
    except GcloudFailed as error:
        return Finding("gcloud", Verdict.WRONG, error.reason)
    if Version(found) < Version(GCLOUD):
        told = f"{found}, older than the {GCLOUD} that the commands were tried with"
        return Finding("gcloud", Verdict.UNKNOWN, told, ("gcloud components update",))
    return Finding("gcloud", Verdict.OK, found)


def _git() -> Finding:
    program = shutil.which("git")
    if program is None:
        return Finding("git", Verdict.WRONG, "not installed; a model's record says of which commit it was made")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"[0-9]+(\.[0-9]+)+", said)
    return Finding("git", Verdict.OK, found[0] if found else "installed")


def _browser() -> Finding:
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing:
        told = f"no {' and no '.join(missing)}; only the tests of the pages need them, and skip without"
        return Finding("browser", Verdict.UNKNOWN, told, ("make browser",))
    return Finding("browser", Verdict.OK, "Chromium, for the tests of the pages")
