"""The gcloud program: how it is called, what it answers, and what its errors mean."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

#: Kinds of failure, each with the words by which gcloud and Google's APIs tell it, in the order of looking.
_KINDS = {
    "billing": (r"[Bb]illing must be enabled", r"billing account .* is disabled"),
    "credentials": (r"do(es)? not currently have an active account", r"UNAUTHENTICATED", r"\b401\b", r"auth login"),
    "disabled": (r"SERVICE_DISABLED", r"has not been used in project", r"API \[\S+\] not enabled"),
    "permission": (r"PERMISSION_DENIED", r"\b403\b", r"does not have permission", r"forbidden"),
    "missing": (r"NOT_FOUND", r"\b404\b", r"could not be found", r"does not exist", r"not found", r"Cannot find"),
    "quota": (r"RESOURCE_EXHAUSTED", r"\b429\b", r"[Qq]uota"),
    "conflict": (r"ALREADY_EXISTS", r"\b409\b", r"already exists", r"ABORTED", r"etag"),
    "unavailable": (r"UNAVAILABLE", r"\b50[0234]\b", r"ConnectionError", r"timed out"),
}

_WAYS_OUT = {
    "billing": "Nobody pays for the project: gcloud billing projects link PROJECT --billing-account=ACCOUNT "
    "(those there are: gcloud billing accounts list)",
    "credentials": "Log in: gcloud auth login (or activate a service account).",
    "disabled": "An API is off, or was enabled a moment ago. Enable all and try again: python -m deploy bootstrap",
    "permission": "Ask an owner of the project for the role, or run as the deployer's account; python -m deploy doctor "
    "shows what is missing.",
    "quota": "Wait, or ask for more: https://console.cloud.google.com/iam-admin/quotas",
    "unavailable": "Google did not answer. Run the same command again: it goes on where it stopped.",
    "conflict": "Somebody else changed it meanwhile. Run the same command again.",
}


class GcloudFailed(ValueError):
    """A command of gcloud failed.

    Args:
        command: as it may be typed.
        kind: ``billing`` (nobody pays), ``credentials``, ``disabled`` (the API), ``permission``, ``missing``,
            ``quota``, ``conflict``, ``unavailable`` or ``other``.
        reason: what gcloud said of it.
    """

    def __init__(self, command: str, kind: str, reason: str) -> None:
        way_out = _WAYS_OUT.get(kind, "")
        super().__init__(f"{reason}\n  by: {command}" + (f"\n  {way_out}" if way_out else ""))
        self.command = command
        self.kind = kind
        self.reason = reason


@dataclass
class Gcloud:
    """Runs gcloud for one project.

    Args:
        dry_run: changes are printed, one command a line, and not made.
        changes: the commands that changed something, or would have, in their order.
    """

    project: str
    dry_run: bool = False
    changes: list[str] = field(default_factory=list)
    _is_away: threading.Event = field(default_factory=threading.Event)
    _telling: threading.Lock = field(default_factory=threading.Lock)
    _is_ended: threading.Event = field(default_factory=threading.Event)
    _running: set[subprocess.Popen[str]] = field(default_factory=set)

    def read(self, *arguments: str) -> Any:
        """What ``gcloud ARGUMENTS… --format=json`` answers; None for what is not there, or whose API is off.

        In a dry run nothing has to be reachable: what cannot be read counts as not there, which is said once.
        Raises GcloudFailed.
        """
        if self._is_away.is_set():
            return None
        try:
            text = _run([*arguments, f"--project={self.project}", "--format=json"], self._running)
        except GcloudFailed as error:
            if error.kind in ("missing", "disabled"):
                return None
            if not self.dry_run:
                raise
            self._tell_away(error)
            return None
        return json.loads(text) if text.strip() else None

    def access_token(self) -> str:
        """By which Google's APIs are asked what gcloud has no command for. Raises GcloudFailed."""
        return _run(["auth", "print-access-token"], self._running).strip()

    def change(self, *arguments: str) -> str:
        """Runs it, and returns what it printed; in a dry run prints it. Raises GcloudFailed."""
        command = [*arguments, f"--project={self.project}", "--quiet"]
        self.changes.append(spelled(command))
        if self.dry_run:
            print(spelled(command), flush=True)
            return ""
        return _run(command, self._running, self._is_ended)

    def interrupt(self) -> None:
        """Ends the commands that run, and lets none change anything from now on; Google goes on with what it has."""
        self._is_ended.set()
        for command in list(self._running):
            command.terminate()

    def _tell_away(self, error: GcloudFailed) -> None:
        """Of a dry run that cannot see the project: nobody is asked again, which takes a second each time."""
        with self._telling:
            if not self._is_away.is_set():
                self._is_away.set()
                why = f"# Google Cloud could not be asked: {error.reason.splitlines()[0]}"
                print(f"{why}\n# This is what a first run would do.", file=sys.stderr, flush=True)


def spelled(arguments: Sequence[str]) -> str:
    """The command as it may be typed into a shell."""
    return shlex.join(["gcloud", *arguments])


def default_project() -> str | None:
    """The project that the environment or gcloud's own configuration names."""
    named = os.environ.get("CLOUDSDK_CORE_PROJECT") or os.environ.get("GOOGLE_CLOUD_PROJECT")
    if named or shutil.which("gcloud") is None:
        return named or None
    return _run(["config", "get", "project"]).strip() or None


def version() -> str:
    """That of the gcloud here. Raises GcloudFailed."""
    told = json.loads(_run(["version", "--format=json"]))
    return str(told["Google Cloud SDK"])


def _run(
    arguments: Sequence[str],
    running: set[subprocess.Popen[str]] | None = None,
    is_ended: threading.Event | None = None,
) -> str:
    """What it printed. Raises GcloudFailed.

    Args:
        running: holds the process meanwhile.
        is_ended: where it is set, the process is ended before it has done anything.
    """
    command = spelled(arguments)
    program = shutil.which("gcloud")
    if program is None:
        raise GcloudFailed(
            command, "other", "gcloud is not installed. Install it: https://cloud.google.com/sdk/docs/install"
        )
    running = set() if running is None else running
    pipe = subprocess.PIPE
    with subprocess.Popen([program, *arguments], stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True) as run:
        running.add(run)
        if is_ended is not None and is_ended.is_set():
            run.terminate()
        try:
            told, said = run.communicate()
        except BaseException:
            run.kill()
            raise
        finally:
            running.discard(run)
    if run.returncode != 0:
        raise GcloudFailed(command, _kind(said), _reason(said) or f"gcloud exited {run.returncode}.")
    return told


def _kind(said: str) -> str:
    return next((kind for kind, words in _KINDS.items() if any(re.search(word, said) for word in words)), "other")


def _reason(said: str) -> str:
    """The error, without the steps that were told before it."""
    _, found, error = said.rpartition("ERROR: ")
    text = error if found else said
    return re.sub(r"^\(gcloud[^)]*\) ", "", text.strip())
