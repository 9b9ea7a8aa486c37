"""The alias moves on while requests come: each is answered by one whole revision, and bad ones by the one before."""

import time
from collections.abc import Sequence

from model_functions.artifact.manifest import Manifest
from tests.running import Process
from tests.torture.load import Answer, asking, at_rate, meanwhile, once, port_of, quantile, statuses
from tests.torture.part import Bar
from tests.torture.place import Place
from tests.torture.versions import EXAMPLE, NAME, is_pure, publish_bad, publish_versions

#: Seconds under load.
LENGTHS = {"ci": 15, "short": 25, "full": 60}

PER_SECOND = 200
#: From one flip to the next.
EVERY_S = 2.9
REFRESH_S = 1
#: Good revisions that take turns.
VERSIONS = 4
#: Flips that lead to a bad revision: one in the middle that answers otherwise, and then one whose file is cut.
BAD = 2


def run(length: str, place: Place) -> Sequence[Bar]:
    count = int(LENGTHS[length] / EVERY_S)
    good = publish_versions(place, VERSIONS)
    bad = [publish_bad(place, good[0], whole=whole) for whole in (True, False)]
    plan = [good[number % VERSIONS] for number in range(count - BAD)]
    plan[count // 2 : count // 2] = bad
    settings = {"MODEL_NAME": NAME, "MODEL_REFRESH_SECONDS": str(REFRESH_S)}
    with place.function("tabular", **settings) as (url, process):
        port = port_of(url)
        once(port, asking(value={"data": EXAMPLE}))
        load = at_rate(port, lambda number: asking(value={"data": EXAMPLE}), PER_SECOND, count * EVERY_S + EVERY_S)
        flips: list[float] = []
        with meanwhile(load) as found:
            time.sleep(EVERY_S)
            for manifest in plan:
                place.repository.point(manifest, "prod", place.key)
                flips.append(time.perf_counter())
                time.sleep(max(0.0, flips[0] + len(flips) * EVERY_S - time.perf_counter()))
        answers = found.result()
        metrics = once(port, asking("/metrics", method="GET")).body.decode()
        refusals = _refusals(process)
    versions = {manifest.revision: version for version, manifest in good.items()}
    return _bars(answers, flips, plan, versions, metrics, refusals)


def _bars(
    answers: list[Answer],
    flips: list[float],
    plan: list[Manifest],
    versions: dict[str, int],
    metrics: str,
    refusals: int,
) -> Sequence[Bar]:
    count, first = len(plan), flips[0]
    mixed = [one for one in answers if one.status == 200 and not is_pure(one, versions)]
    good = sum(answer.status == 200 for answer in answers)
    late = [_taken_after(answers, at, manifest) for at, manifest in zip(flips, plan, strict=True)]
    taken = [seconds for seconds, manifest in zip(late, plan, strict=True) if manifest.revision in versions]
    slowest = max(taken)
    quiet = quantile(answer.seconds for answer in answers if answer.meant < first)
    swaps = quantile(answer.seconds for answer in answers if _is_swap(answer.meant, flips, late))
    total = quantile(answer.seconds for answer in answers if answer.meant >= first)
    stale = [answer for answer in answers if "x-model-stale" in answer.headers]
    served = _served(answers, plan, versions)
    told = f"model_functions_updates_total {len(taken)}\n" in metrics and (
        f"model_functions_update_failures_total {BAD}\n" in metrics
    )
    return [
        Bar(f"{count} alias flips under {PER_SECOND} requests/s", "0 failed", statuses(answers), good == len(answers)),
        Bar("of them, answers of two revisions", "0", str(len(mixed)), not mixed),
        Bar(
            f"until {len(taken)} good revisions were served",
            f"≤ {REFRESH_S} + 1 s",
            f"{slowest:.2f} s at most",
            slowest <= REFRESH_S + 1,
        ),
        Bar(f"{BAD} bad ones in between: served", "0 times", str(served), served == 0),
        Bar("bad ones: lines of severity ERROR", f"{BAD}", f"{refusals}", refusals == BAD),
        Bar("answers that said X-Model-Stale", "> 0", f"{len(stale)}", bool(stale)),
        Bar(
            "updates and refusals, as /metrics counts them",
            f"{len(taken)}, {BAD}",
            "so" if told else "not so",
            told,
        ),
        Bar(
            "p99: before the first flip, afterwards, while a revision comes",
            "told",
            f"{quiet * 1000:.1f}, {total * 1000:.1f}, {swaps * 1000:.1f} ms",
            met=True,
        ),
    ]


def _taken_after(answers: list[Answer], at: float, manifest: Manifest) -> float:
    """Seconds from the flip to the first request that the revision answered."""
    since = (
        answer.meant - at
        for answer in answers
        if answer.meant >= at and answer.headers.get("x-model-revision") == manifest.revision
    )
    return min(since, default=float("inf"))


def _is_swap(meant: float, flips: list[float], late: list[float]) -> bool:
    return any(at <= meant <= at + min(seconds, EVERY_S) for at, seconds in zip(flips, late, strict=True))


def _served(answers: list[Answer], plan: list[Manifest], versions: dict[str, int]) -> int:
    bad = {manifest.revision for manifest in plan} - set(versions)
    return sum(answer.headers.get("x-model-revision") in bad for answer in answers)


def _refusals(process: Process) -> int:
    return sum('"severity": "ERROR"' in line or '"severity":"ERROR"' in line for line in process.lines)
