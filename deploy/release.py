"""Release functions: stage them, and deploy those that differ from what is deployed, each as a canary first.

A family whose release was interrupted is finished. The gateway comes last, for it asks the others.
"""

import argparse
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict
from types import FrameType

from deploy import output, stage, staged
from deploy.cloud import configuration, deployed, published, rolling_back, validation
from deploy.cloud.asking import Question, questions
from deploy.cloud.configuration import Configuration
from deploy.cloud.flags import Flags
from deploy.cloud.identity_tokens import IdTokens
from deploy.cloud.releasing import Action, Order, Release, Result
from deploy.cloud.sdk import Gcloud, GcloudFailed
from deploy.cloud.variables import functions_url, variables
from deploy.project import BUILD
from model_functions.artifact.manifest import Manifest

EXAMPLE = "python -m deploy release tabular gateway --dry-run"

#: Seconds after which a signal is heard at the latest.
_LOOK_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("family", nargs="*", help="default: deploy.yaml's families")
    configuration.add_arguments(parser)
    parser.add_argument("--rollback", action="store_true", help="give all traffic to the revision that had it before")
    parser.add_argument("--force", action="store_true", help="deploy also what is the same as what is deployed")
    parser.add_argument("--no-canary", action="store_true", help="smoke-test it, and give it all traffic at once")
    parser.add_argument("--no-smoke", action="store_true", help="ask the new revision nothing; only with --no-canary")
    parser.add_argument(
        "--cpu-torch",
        action=argparse.BooleanOptionalAction,
        help="as stage has it; default: yes, but for a function with a GPU",
    )
    parser.add_argument("--parallel", type=int, default=4, help="families at a time (default: 4)")
    output.add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    settings = Configuration.of(args)
    families = settings.chosen(args.family)
    if args.no_smoke and not args.no_canary:
        raise ValueError("--no-smoke leaves nothing to judge a canary by. Give --no-canary too.")
    if args.parallel < 1:
        raise ValueError(f"--parallel is {args.parallel}. Give 1 or more.")
    gcloud = Gcloud(settings.project, dry_run=args.dry_run)
    stopped = threading.Event()
    with _stopping(stopped, gcloud):
        try:
            if args.rollback:
                results = rolling_back.roll_back(gcloud, settings, families, stopped, every=not args.family)
            else:
                results = _release(args, settings, gcloud, families, stopped)
        except GcloudFailed as error:
            told = "interrupted" if stopped.is_set() else str(error)
            again = shlex.join(["python", "-m", "deploy", *args.arguments])
            raise ValueError(f"{told}\n  now: nothing was changed\n  next: {again}") from error
    if args.dry_run:
        idle = [result.family for result in results if result.action == Action.NOTHING and not result.changed]
        print(f"# Nothing to do: {', '.join(idle) or 'none of them'}", file=sys.stderr)
    else:
        output.tell(args, [asdict(result) for result in results], "\n".join(_line(result) for result in results))
    return 1 if any(result.failure for result in results) else 0


@contextmanager
def _stopping(stopped: threading.Event, gcloud: Gcloud) -> Iterator[None]:
    """Whoever presses Ctrl-C, or stops a build that releases, is told what became of each family."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        # print() might be at work in this very thread.
        os.write(sys.stderr.fileno(), b"stopping: looking what became of each family ...\n")
        stopped.set()
        gcloud.interrupt()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _release(
    args: argparse.Namespace, settings: Configuration, gcloud: Gcloud, families: list[str], stopped: threading.Event
) -> list[Result]:
    flags = {family: Flags.read(family) for family in families}
    models = _models(settings, gcloud, flags.values())
    _validate(settings, flags, models)
    url = functions_url(gcloud, settings)
    there = deployed.read(gcloud, settings, families)
    folders = {
        family: staged.read(family, stage.stage(family, release=True, cpu_torch=args.cpu_torch, build=BUILD))
        for family in families
    }
    tokens = IdTokens(gcloud, settings.account(settings.accounts.warmup))

    def release(family: str) -> Result:
        again = _again(args, family)
        if stopped.is_set():
            return Result(family, "not begun", "interrupted", "nothing was changed", again)
        order = Order(
            flags[family],
            folders[family],
            there.get(family),
            variables(flags[family], settings, url),
            _questions(family, models),
            again,
            use_canary=not args.no_canary,
            use_smoke=not args.no_smoke,
            force=args.force,
        )
        found = Release(gcloud, settings, order, tokens, lambda step: _tell(family, step), stopped)
        return found.run()

    first = [family for family in families if family != "gateway"]
    with ThreadPoolExecutor(args.parallel if not args.dry_run else 1) as pool:
        begun = [pool.submit(release, family) for family in first]
        # With looks in between: a signal that comes while a thread starts a process may not wake who waits for good.
        while wait(begun, timeout=_LOOK_S).not_done:
            pass
    results = [one.result() for one in begun]
    return results + [release(family) for family in families if family == "gateway"]


def _again(args: argparse.Namespace, family: str) -> str:
    """The command that goes on with a family: as it was given, but for what would begin anew."""
    kept = [word for word in args.arguments[1:] if word not in {*args.family, "--force", "--json"}]
    return shlex.join(["python", "-m", "deploy", "release", family, *kept])


def _models(settings: Configuration, gcloud: Gcloud, flags: Iterable[Flags]) -> dict[str, list[Manifest]]:
    """What is published, by family. Raises ValueError where the bucket cannot be read, or lacks keys that are asked."""
    try:
        found = published.by_family(published.aliased(settings))
        guarded = [one for one in flags if one.reads_key_list]
        if guarded and not published.has_keys(settings):
            raise ValueError(
                f"{guarded[0].file}: ACCESS is keys, and {settings.model_store} has no list of keys, so nobody would "
                f"get in. Make one: MODEL_STORE={settings.model_store} python -m deploy keys create"
            )
        return found
    except ValueError as error:
        if not gcloud.dry_run:
            raise
        print(f"# {error} Memory was not held against the models.", file=sys.stderr)
        return {}


def _validate(settings: Configuration, flags: dict[str, Flags], models: dict[str, list[Manifest]]) -> None:
    """Raises ValueError with all that is wrong, before anything is deployed."""
    found = [
        problem
        for family, one in flags.items()
        for problem in validation.problems(one, settings, models.get(family, ()))
    ]
    if found:
        raise ValueError("\n  ".join(["Nothing was released:", *found]))


def _questions(family: str, models: dict[str, list[Manifest]]) -> list[Question]:
    # The gateway has no model, and asks its callers for keys, of which a release has none.
    return [Question("/health"), Question("/ready")] if family == "gateway" else questions(models.get(family, ()))


def _tell(family: str, step: str) -> None:
    print(f"{family}: {step}", file=sys.stderr, flush=True)


def _line(result: Result) -> str:
    if result.failure:
        return f"{result.family}: FAILED: {result.failure}\n  now: {result.state}\n  next: {result.next}"
    return f"{result.family}: {result.action}{'; ' if result.state else ''}{result.state}"
