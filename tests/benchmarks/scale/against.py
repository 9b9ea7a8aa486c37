"""The simulation against the emulator: the same requests to both, and how far apart they are."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from deploy.cloud.scaling import events
from deploy.cloud.scaling.measured import Service
from deploy.cloud.scaling.outcome import Seconds
from deploy.cloud.scaling.platform import Platform
from tests.benchmarks.figures import percentile, table
from tests.benchmarks.progress import progress
from tests.benchmarks.scale.emulated import Asked, emulated
from tests.benchmarks.targets import Target

#: Seeds of the simulation, whose median is what it predicts.
SEEDS = 25

#: How far the prediction may be from what is measured.
BOUND = 0.2


@dataclass(frozen=True)
class Scene:
    """Requests in bursts that come independently of each other.

    Args:
        bursts: a second.
        size: of a burst, whose requests come within a twentieth of a second.
        idle_s: after which the emulator stops an instance.
    """

    name: str
    seconds: float
    bursts: float
    size: int
    idle_s: float
    most: int

    def times(self, seed: int) -> Seconds:
        draw = np.random.default_rng(seed)
        number = int(draw.poisson(self.bursts * self.seconds))
        starts = draw.random(number) * self.seconds
        return np.asarray(np.sort((starts[:, None] + draw.random((number, self.size)) * 0.05).ravel()))


SCENES = (
    Scene("seldom: most find no instance", 50, bursts=0.7, size=1, idle_s=1.0, most=1),
    Scene("often: they queue", 20, bursts=40, size=1, idle_s=3.0, most=1),
    Scene("bursts: two instances", 50, bursts=0.3, size=12, idle_s=1.0, most=2),
)


@dataclass(frozen=True)
class Compared:
    scene: Scene
    requests: int
    measured: tuple[int, float, float]
    predicted: tuple[int, float, float]

    def targets(self) -> Iterator[Target]:
        names = ("starts", "p50", "p99")
        for name, measured, predicted in zip(names, self.measured, self.predicted, strict=True):
            if name != "p50":
                apart = abs(predicted / measured - 1)
                yield Target(f"{self.scene.name}: {name}, predicted against measured", apart, BOUND)

    def row(self) -> list[str]:
        (starts, p50, p99), (starts_p, p50_p, p99_p) = self.measured, self.predicted
        return [
            self.scene.name,
            str(self.requests),
            f"{starts} / {starts_p}",
            f"{p50 * 1000:.1f} / {p50_p * 1000:.1f}",
            f"{p99 * 1000:.0f} / {p99_p * 1000:.0f}",
            f"{p99_p / p99 - 1:+.0%}",
        ]


HEAD = ("scene, measured / predicted", "requests", "starts", "p50, ms", "p99, ms", "p99")


def compare(one: Asked, service: Service, seed: int) -> list[Compared]:
    return [_scene(one, service, scene, seed + number) for number, scene in enumerate(SCENES)]


def shown(compared: list[Compared]) -> str:
    return table(HEAD, [one.row() for one in compared])


def _scene(one: Asked, service: Service, scene: Scene, seed: int) -> Compared:
    times = scene.times(seed)
    progress(f"{scene.name}: {len(times)} requests in {scene.seconds:g} s")
    return Compared(scene, len(times), _measured(one, scene, times), _predicted(one, service, scene, times))


def _measured(one: Asked, scene: Scene, times: Seconds) -> tuple[int, float, float]:
    with emulated(one, scene.idle_s, scene.most) as site:
        # The first start reads its files from the disk.
        site.first()
        site.until_stopped(1)
        client = site.client()
        try:
            client.open(times.tolist())
            latencies = [exchange.seconds for exchange in client.exchanges if exchange.status == 200]
        finally:
            client.close()
        if len(latencies) != len(times):
            raise RuntimeError(f"{scene.name}: {len(times) - len(latencies)} requests were refused or failed.")
        return site.count("started") - 1, statistics.median(latencies), percentile(latencies, 0.99) or 0.0


def _predicted(one: Asked, service: Service, scene: Scene, times: Seconds) -> tuple[int, float, float]:
    platform = Platform.emulator(one.concurrency, scene.most, scene.idle_s)
    found = [events.simulated(times, service, platform, scene.seconds, seed=seed) for seed in range(SEEDS)]
    starts = round(statistics.median(outcome.starts for outcome in found))
    p50, p99 = (statistics.median(outcome.quantile(share) for outcome in found) for share in (0.5, 0.99))
    return starts, p50, p99
