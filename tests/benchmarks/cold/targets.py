"""What the figures are held against, and whether they are within it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.benchmarks.figures import ratio
from tests.benchmarks.targets import Target

Number = float | None


@dataclass(frozen=True)
class Findings:
    """What the targets are about; None for what was not measured.

    Args:
        fast, torch, tutorial: seconds to the first answer.
        peers: of the other servers.
        fast_peak, torch_peak, torch_runtime, tutorial_peak: megabytes.
        weights: megabytes of the torch lane's.
        efficiency: the limit's share of the time, by lane.
        verification: its share of the load, by lane.
        stampedes: (downloads, loads, answers) of 100 first requests, by lane.
        growth: by lane, the factor in bytes and the factor in seconds from the small classifier to the large one.
    """

    fast: Number
    torch: Number
    tutorial: Number
    peers: Sequence[Number]
    fast_peak: Number
    torch_peak: Number
    torch_runtime: Number
    tutorial_peak: Number
    weights: Number
    efficiency: Mapping[str, Number]
    verification: Mapping[str, Number]
    stampedes: Mapping[str, tuple[float, int, int] | None]
    growth: Mapping[str, tuple[float, float] | None]


def targets(found: Findings) -> list[Target]:
    best_peer = min((peer for peer in found.peers if peer is not None), default=None)
    beyond = None if found.torch_peak is None or found.torch_runtime is None else found.torch_peak - found.torch_runtime
    return [
        Target("fast lane ÷ tutorial", ratio(found.fast, found.tutorial), 0.15),
        Target("fast lane ÷ best peer", ratio(found.fast, best_peer), 0.2),
        Target("torch lane ÷ tutorial", ratio(found.torch, found.tutorial), 0.7),
        Target("torch lane: (peak − runtime) ÷ weights", ratio(beyond, found.weights), 1.10),
        Target("fast lane's peak ÷ tutorial's", ratio(found.fast_peak, found.tutorial_peak), 0.45),
        *(Target(f"{lane}: limit ÷ measured", value, 0.7, at_least=True) for lane, value in found.efficiency.items()),
        *(Target(f"{lane}: verification, CPU ÷ load", value, 0.10) for lane, value in found.verification.items()),
        *(target for lane, counts in found.stampedes.items() for target in _stampede(lane, counts)),
        *(_growth(lane, factors) for lane, factors in found.growth.items()),
    ]


def _stampede(lane: str, counts: tuple[float, int, int] | None) -> list[Target]:
    downloads, loads, answers = counts or (None, None, None)
    return [
        # A part asked for twice over a lost connection is no second download.
        Target(f"{lane}, 100 first requests: downloads", downloads, 1.05),
        Target(f"{lane}, 100 first requests: loads", loads, 1),
        Target(f"{lane}, 100 first requests: answers", answers, 100, at_least=True),
    ]


def _growth(lane: str, factors: tuple[float, float] | None) -> Target:
    """4.2 is for exactly 4 times the bytes."""
    size, seconds = factors or (4.0, None)
    return Target(f"{lane}: seconds ÷ seconds, for {size:.2f} × the weights", seconds, round(4.2 / 4 * size, 2))
