"""Cloud Build on this machine: the steps of a cloudbuild.yaml in the order of their waitFor; and what is wrong with it.

A step's script runs here and not in the step's image, in one folder that all steps share, with the variables that
Cloud Build would give it.
"""

import os
import re
import shlex
import subprocess
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: What Cloud Build knows by itself, of a build that a trigger or `gcloud builds submit` starts.
BUILT_IN = (
    *("PROJECT_ID", "PROJECT_NUMBER", "BUILD_ID", "LOCATION", "SERVICE_ACCOUNT_EMAIL"),
    *("TRIGGER_NAME", "BRANCH_NAME", "TAG_NAME", "REPO_NAME", "COMMIT_SHA", "SHORT_SHA", "REVISION_ID"),
)

_REFERENCE = re.compile(r"(?<!\$)\$(?:\{([A-Z_][A-Z0-9_]*)\}|([A-Z_][A-Z0-9_]*))")


@dataclass(frozen=True)
class Ended:
    """How a step ended; status None: it was not begun, since another one had failed."""

    status: int | None
    output: str


def mistakes(build: Mapping[str, Any]) -> list[str]:
    """What neither the schema nor gcloud's parser sees."""
    return [*_of_waiting(build["steps"]), *_of_substitutions(build), *_of_accounts(build)]


def _of_waiting(steps: list[dict[str, Any]]) -> Iterator[str]:
    seen: set[str] = set()
    for number, step in enumerate(steps):
        name = step.get("id", f"step {number}")
        if name in seen:
            yield f'Two steps are called "{name}".'
        for awaited in set(step.get("waitFor", ())) - seen - {"-"}:
            yield f'"{name}" waits for "{awaited}", which is no step before it.'
        if "script" in step and ({"entrypoint", "args"} & set(step)):
            yield f'"{name}" has a script, and an entrypoint or args too.'
        seen.add(name)


def _of_substitutions(build: Mapping[str, Any]) -> Iterator[str]:
    own, options = set(build.get("substitutions", {})), build.get("options", {})
    referred = {name for text in _texts(build) for name in _referred(text)}
    scripts = {name for step in build["steps"] for name in _referred(step.get("script", ""))}
    for name in sorted({name for name in referred if name.startswith("_")} - own):
        yield f'"${name}" is no substitution.'
    for name in sorted(own - referred):
        yield f'The substitution "{name}" is used nowhere.'
    if scripts & (own | set(BUILT_IN)) and not options.get("automapSubstitutions"):
        yield "Scripts read substitutions, which needs options.automapSubstitutions."
    if any(_referred(str(value)) for value in build.get("substitutions", {}).values()) and not options.get(
        "dynamicSubstitutions"
    ):
        yield "A substitution refers to another one, which needs options.dynamicSubstitutions."


def _of_accounts(build: Mapping[str, Any]) -> Iterator[str]:
    options = build.get("options", {})
    if "serviceAccount" in build and options.get("logging") != "CLOUD_LOGGING_ONLY" and "logsBucket" not in build:
        yield "A build by an account of its own needs options.logging: CLOUD_LOGGING_ONLY, or a logsBucket."


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _referred(text: str) -> set[str]:
    return {first or second for first, second in _REFERENCE.findall(text)}


def substitutions(build: Mapping[str, Any], built_in: Mapping[str, str]) -> dict[str, str]:
    """By name, with those that refer to others filled in."""
    found = dict(built_in)
    for name, value in build.get("substitutions", {}).items():
        found[name] = _filled(str(value), found)
    return found


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda match: values[match[1] or match[2]], text)


class LocalBuild:
    """Runs a build once.

    Args:
        workspace: the folder that the steps share, with the tree in it.
        environment: for all steps, before what the build says.
        instead: scripts in the place of steps' own, by id.
    """

    def __init__(
        self,
        build: Mapping[str, Any],
        workspace: Path,
        environment: Mapping[str, str],
        built_in: Mapping[str, str],
        instead: Mapping[str, str] | None = None,
    ) -> None:
        self.steps: list[dict[str, Any]] = build["steps"]
        self.workspace = workspace
        self.substituted = substitutions(build, built_in)
        self.environment = {**environment, **self.substituted, **self._variables(build.get("options", {}))}
        self.instead = dict(instead or {})
        self.order: list[str] = []
        self._lock = threading.Lock()
        unknown = set(self.instead) - {step["id"] for step in self.steps}
        if unknown:
            raise ValueError(f'There is no step "{min(unknown)}" to run something instead of.')

    def run(self) -> dict[str, Ended]:
        """How each step ended, by its id; those that wait for nothing more run side by side."""
        futures: dict[str, Future[Ended]] = {}
        with ThreadPoolExecutor(len(self.steps)) as pool:
            for step in self.steps:
                # Those that it waits for stand before it, so that each has a thread already.
                awaited = step.get("waitFor", list(futures))
                before = [futures[name] for name in awaited if name != "-"]
                futures[step["id"]] = pool.submit(self._step, step, before)
        return {name: future.result() for name, future in futures.items()}

    def _step(self, step: Mapping[str, Any], before: list[Future[Ended]]) -> Ended:
        if any(future.result().status != 0 for future in before):
            return Ended(None, "")
        with self._lock:
            self.order.append(step["id"])
        script = self.instead.get(step["id"], step["script"])
        interpreter = shlex.split(script.partition("\n")[0][2:]) if script.startswith("#!") else ["/bin/sh", "-e"]
        done = subprocess.run(
            [*interpreter, "-c", script],
            cwd=self.workspace,
            env={**os.environ, **self.environment, **self._variables(step)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        failed_in_vain = done.returncode != 0 and step.get("allowFailure", False)
        return Ended(0 if failed_in_vain else done.returncode, done.stdout)

    def _variables(self, options: Mapping[str, Any]) -> dict[str, str]:
        pairs = (_filled(text, self.substituted).partition("=") for text in options.get("env", ()))
        return {name: value for name, _, value in pairs}
