"""Brings a project to what it should be, part by part: what does not wait for another goes on beside it."""

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from deploy.cloud.part import Part, Step
from deploy.cloud.sdk import Gcloud, GcloudFailed

#: Commands of gcloud at a time: each starts a Python of its own.
AT_ONCE = 8

#: Seconds before a change is tried again that Google is not ready for: a new account, or an API, is known everywhere
#: only after a while.
PATIENCE_S = (2.0, 4.0, 8.0, 16.0, 30.0)

#: What passes by itself of changing a policy: "service account … does not exist" of one that was made a moment ago, and
#: somebody else's change between our reading and writing.
_PASSING = ("missing", "conflict")

#: What is told of a step.
Tell = Callable[[str], None]


@dataclass
class Outcome:
    """What became of a project.

    Args:
        done: in the order of being done.
        failed: what failed, with the reason.
        left: what was not tried because of that, by name.
        notes: what is not as it should be, and nothing here changes.
    """

    done: list[Step] = field(default_factory=list)
    failed: list[tuple[str, GcloudFailed]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def make(gcloud: Gcloud, stages: Iterable[Sequence[Part]], tell: Tell) -> Outcome:
    """Makes what is missing and sets right what differs. Raises nothing: what failed is in the outcome."""
    outcome = Outcome()
    # In a dry run the commands are printed in their order, for people to read.
    with ThreadPoolExecutor(AT_ONCE) as reading, ThreadPoolExecutor(1 if gcloud.dry_run else AT_ONCE) as changing:
        for parts in stages:
            if outcome.failed:
                outcome.left += [part.name for part in parts]
                continue
            read = reading.map(lambda part: _read(gcloud, part, outcome), parts)
            chains = [chain for part, steps in zip(parts, read, strict=True) for chain in _chains(part, steps)]
            list(changing.map(lambda chain: _change(gcloud, chain, tell, outcome), chains))
    return outcome


def _read(gcloud: Gcloud, part: Part, outcome: Outcome) -> list[Step]:
    try:
        state = part.read(gcloud)
        outcome.notes += part.notes(state)
        return part.steps(state)
    except GcloudFailed as error:
        outcome.failed.append((f"reading {part.name}", error))
        return []


def _chains(part: Part, steps: list[Step]) -> list[list[Step]]:
    """Steps that go one after the other, because a policy is written against what was read of it."""
    return [steps] if part.is_ordered else [[step] for step in steps]


def _change(gcloud: Gcloud, chain: list[Step], tell: Tell, outcome: Outcome) -> None:
    for place, step in enumerate(chain):
        try:
            _patiently(gcloud, step)
        except GcloudFailed as error:
            outcome.failed.append((step.what, error))
            outcome.left += [left.what for left in chain[place + 1 :]]
            return
        outcome.done.append(step)
        tell(step.told)


def _patiently(gcloud: Gcloud, step: Step) -> None:
    for pause_s in PATIENCE_S:
        try:
            gcloud.change(*step.command)
        except GcloudFailed as error:
            if error.kind not in ("disabled", *(_PASSING if step.changes_policy else ())):
                raise
            print(f"{step.what}: Google is not ready, once more in {pause_s:g} s", file=sys.stderr, flush=True)
            time.sleep(pause_s)
        else:
            return
    gcloud.change(*step.command)
