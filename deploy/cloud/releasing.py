"""One function's release: deploy, smoke-test, canary, all traffic; or back to the revision that served."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from deploy.cloud import canary, deployed, invokers, smoke
from deploy.cloud.asking import Function, Question, probe
from deploy.cloud.canary import CanaryWorse
from deploy.cloud.configuration import Configuration
from deploy.cloud.deployed import CANARY, Deployed
from deploy.cloud.flags import Flags, deployment
from deploy.cloud.identity_tokens import IdTokens
from deploy.cloud.sdk import Gcloud, GcloudFailed
from deploy.cloud.smoke import SmokeFailed
from deploy.cloud.traffic import Traffic
from deploy.staged import Staged

#: Stands in a dry run for the revision that would be made.
NEW_REVISION = "NEW-REVISION"


class Interrupted(ValueError):
    """Somebody ends the release."""


class Action(StrEnum):
    NOTHING = "nothing to do"
    DEPLOY = "deploy"
    FINISH = "finish"


@dataclass(frozen=True)
class Order:
    """What is to be released.

    Args:
        before: what is deployed; None: nothing.
        environment: the variables to set.
        asked: the questions of the smoke test.
        again: the command that goes on where this release ends.
    """

    flags: Flags
    staged: Staged
    before: Deployed | None
    environment: Mapping[str, str]
    asked: Sequence[Question]
    again: str
    use_canary: bool = True
    use_smoke: bool = True
    force: bool = False

    @property
    def action(self) -> Action:
        before = self.before
        if before is None or self.force or before.label != self.staged.label or before.trouble:
            return Action.DEPLOY
        return Action.NOTHING if before.is_whole else Action.FINISH


@dataclass
class Result:
    """How a release went.

    Args:
        failure: what went wrong; empty where nothing did.
        state: what serves now.
        next: what to do about a failure.
    """

    family: str
    action: str
    failure: str = ""
    state: str = ""
    next: str = ""
    changed: int = 0


@dataclass
class Release:
    """Carries out an order.

    Args:
        tell: hears of each step.
        stopped: set where somebody ends all releases.
    """

    gcloud: Gcloud
    configuration: Configuration
    order: Order
    tokens: IdTokens
    tell: Callable[[str], None]
    stopped: threading.Event
    state: str = field(default="nothing was changed", init=False)

    def __post_init__(self) -> None:
        self._family = self.order.flags.family
        self._traffic = Traffic(self.gcloud, self.configuration, self.order.flags.name)
        self._serving = self.order.before.serving if self.order.before else ""
        self._has_begun = False

    def run(self) -> Result:
        """Raises nothing that a caller, Google or the new revision may be at fault for: it is told in the result."""
        action = self.order.action
        result = Result(self._family, action.value)
        try:
            self._check_alone()
            self._has_begun = True
            now = self._deploy() if action is Action.DEPLOY else self.order.before
            # Also where nothing else is to be done: a release may have been interrupted before it.
            result.changed = self._bind()
            if now is not None and action is not Action.NOTHING:
                self._hand_over(now)
            elif now is not None:
                self.state = f"{now.serving} serves, as before"
        except (SmokeFailed, CanaryWorse) as error:
            self._refuse(result, error)
        except (GcloudFailed, ValueError) as error:
            self._fail(result, error)
        result.state = self.state
        return result

    def _fail(self, result: Result, error: ValueError) -> None:
        # Where somebody pressed Ctrl-C, gcloud ended by it too, maybe before we heard of it.
        interrupted = self.stopped.wait(0.3)
        result.failure = "interrupted" if interrupted else str(error)
        result.next = self._way_out(error)
        if self._has_begun:
            self._look()
            if interrupted or (isinstance(error, GcloudFailed) and error.kind == "unavailable"):
                self.state += "; what was asked of Google may still go on there"

    def _look(self) -> None:
        """Only Google knows what a command that failed has left behind."""
        try:
            now = deployed.read_one(self.gcloud, self.configuration, self._family, self.order.before)
        except GcloudFailed:
            self.state += ", as far as is known"
            return
        except ValueError:
            self.state = "nothing serves"
            return
        newest = "" if now.created in now.shares else f"; the newest revision is {now.created}"
        self.state = f"{now.told_traffic()}{newest}"

    def _check_alone(self) -> None:
        if self.order.before is not None and self.order.before.in_progress:
            raise ValueError(
                f"{self.order.flags.name} is being deployed already, by somebody else or by a release that was "
                "interrupted. Wait until that is done, a few minutes, and run the same command again."
            )

    def _deploy(self) -> Deployed | None:
        """Makes a new revision, without traffic where there is one that serves; returns what is there then."""
        before, is_run = self.order.before, self.configuration.backend == "run"
        waits = before is not None and bool(self._serving)
        if before is not None and waits:
            self._traffic.pin(before)
        command = deployment(
            self.order.flags,
            self.configuration,
            source=str(self.order.staged.folder),
            environment=self.order.environment,
            label=self.order.staged.label,
        )
        if is_run and waits:
            command += ["--no-traffic", f"--tag={CANARY}"]
        elif is_run and before is None:
            # Else gcloud looks whether it may ask who is to be let in, which the bindings say.
            command += ["--no-allow-unauthenticated"]
        if not self.gcloud.dry_run:
            self.tell(f"deploying {self.order.staged.size / 1000:.0f} kB: Google builds it, which takes minutes")
        self.gcloud.change(*command)
        if self.gcloud.dry_run:
            return before
        now = deployed.read_one(self.gcloud, self.configuration, self._family, before)
        self.state = f"{now.told_traffic()}; the new revision is {now.ready}"
        if now.trouble or now.created != now.ready:
            raise ValueError(f"{now.created} was made and does not start: {now.trouble or 'no reason given'}")
        return now

    def _bind(self) -> int:
        return invokers.bind(self.gcloud, self.configuration, self.order.flags)

    def _hand_over(self, now: Deployed) -> None:
        """Smoke test, canary, all traffic."""
        new = NEW_REVISION if self.gcloud.dry_run and self.order.action is Action.DEPLOY else now.ready
        if self._serving in ("", new) or self.order.before is None:
            self._first(now)
            return
        if now.tags.get(CANARY, ("", ""))[0] != new and not self._tags_itself():
            self._traffic.tag_canary(new)
            if not self.gcloud.dry_run:
                now = deployed.read_one(self.gcloud, self.configuration, self._family, now)
        if not self.gcloud.dry_run:
            self._smoke(now, now.tags[CANARY][1])
        if self.order.use_canary:
            self._watch(now, new)
        self._traffic.promote(self._serving)
        self._done(f"{new} serves all; {self._serving} served before")

    def _done(self, state: str) -> None:
        self.state = state
        if not self.gcloud.dry_run:
            self.tell(state)

    def _tags_itself(self) -> bool:
        """Whether the command that deployed has given the tag too."""
        return self.configuration.backend == "run" and self.order.action is Action.DEPLOY

    def _first(self, now: Deployed) -> None:
        """There was nothing before: it has all traffic, and can only be looked at."""
        if self.gcloud.dry_run:
            return
        self.state = f"{now.ready} serves all, and nothing served before"
        self._smoke(now, now.url)
        if not now.follows_latest:
            self._traffic.promote("")
        self._done(self.state)

    def _smoke(self, now: Deployed, url: str) -> None:
        if self.order.use_smoke:
            self.tell(f"asking {now.ready} {len(self.order.asked)} questions")
            smoke.check(self._function(url, now), self.order.asked, self.stopped)
            self._check_stopped()

    def _watch(self, now: Deployed, new: str) -> None:
        wanted = self.configuration.canary
        self._traffic.share(self._serving, new, wanted.percent)
        self.state = f"{self._serving} serves {100 - wanted.percent} %, {new} {wanted.percent} %"
        if not self.gcloud.dry_run:
            self.tell(f"{self.state}, for {wanted.seconds:g} s")
            both = self._function(now.url, now), self._function(now.tags[CANARY][1], now)
            watch = canary.Watch(
                self.gcloud,
                self.configuration,
                self.order.flags.name,
                both,
                probe(self.order.asked),
                self.tell,
                self.stopped,
            )
            watch.run(self._serving, new)
            self._check_stopped()

    def _check_stopped(self) -> None:
        if self.stopped.is_set():
            raise Interrupted

    def _function(self, url: str, now: Deployed) -> Function:
        audience = self.order.environment.get("ACCESS_AUDIENCE") or now.url
        return Function(url, audience, self.tokens)

    def _refuse(self, result: Result, error: ValueError) -> None:
        """The new revision does not do: back to the one that served, where there is one."""
        result.failure = str(error)
        name, region = self.order.flags.name, f"--region={self.configuration.region}"
        logs = (
            f"gcloud logging read 'resource.labels.service_name=\"{name}\"' --project={self.gcloud.project} --limit=50"
        )
        if not self._serving or self.order.before is None:
            delete = f"gcloud functions delete {name} --gen2 {region}"
            if self.configuration.backend == "run":
                delete = f"gcloud run services delete {name} {region}"
            result.next = (
                f"There is nothing to fall back to. Its log: {logs}; then repair it, and run "
                f"{self.order.again} --force; or remove it: {delete} --project={self.gcloud.project}"
            )
            return
        try:
            self._traffic.give_back(self._serving)
        except GcloudFailed as failed:
            result.failure += f"; and its traffic could not be taken back: {failed}"
            result.next = f"{self.order.again} --rollback"
            self._look()
            return
        self.state = f"rolled back: {self._serving} serves all"
        result.next = f"Its log: {logs}; then repair it, and run {self.order.again}"

    def _way_out(self, error: ValueError) -> str:
        if isinstance(error, GcloudFailed) and error.kind == "missing" and "serviceAccount" in error.reason:
            return f"python -m deploy bootstrap makes the accounts; then {self.order.again}"
        return f"{self.order.again} goes on from there"
