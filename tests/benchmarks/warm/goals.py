"""What the figures are held against."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tests.benchmarks.figures import ratio
from tests.benchmarks.targets import Target
from tests.benchmarks.warm import texts
from tests.benchmarks.warm.contenders import (
    CLASSIFIER_MODEL,
    ECHO,
    NOTHING,
    OURS,
    OURS_AUTO,
    OURS_FP32,
    PEERS_NAMED,
    WINE,
)
from tests.benchmarks.warm.growth import Growth
from tests.benchmarks.warm.report import Row

#: Clients of "requests a second", unless said otherwise.
BUSY = 16
CROWDED = 64

Figure = Callable[[Row], float | None]


class Figures:
    """Finds a figure by who, what and how many."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = {(row.model, row.name, row.kind, row.clients): row for row in rows}

    def of(self, model: str, name: str, kind: str, clients: int, figure: Figure) -> float | None:
        row = self._rows.get((model, name, kind, clients))
        return None if row is None else figure(row)

    def best_peer(
        self, model: str, kind: str, clients: int, figure: Figure, best: Callable[..., float]
    ) -> float | None:
        found = [self.of(model, peer, kind, clients, figure) for peer in PEERS_NAMED]
        known = [value for value in found if value is not None]
        return best(known) if known else None

    def peak(self, model: str, name: str, kind: str) -> float | None:
        """Its highest rate in a closed loop."""
        found = [row for key, row in self._rows.items() if key[:3] == (model, name, kind) and row.clients]
        return max((row.rate for row in found if row.rate is not None), default=None)


def rate(row: Row) -> float | None:
    return row.rate


def p50(row: Row) -> float | None:
    return row.p50


def p99(row: Row) -> float | None:
    return row.p99


def goals(
    figures: Figures, edge: str, growths: Mapping[str, Growth], others: Sequence[Mapping[str, Any]]
) -> list[Target]:
    """All of them; what was not measured has no value.

    Args:
        edge: ``Flask`` or ``ASGI``, by which the model that does nothing was served.
        growths: by model.
        others: documents of the benchmarks that have targets of their own.
    """
    return [
        *_classifier(figures),
        *(target for name in (OURS_AUTO, OURS_FP32) for target in _crowded(figures, name)),
        *_small(figures, edge),
        *_memory(growths),
        *(Target(**target) for document in others for target in document.get("targets", [])),
    ]


def _classifier(figures: Figures) -> list[Target]:
    model = CLASSIFIER_MODEL
    alone = figures.best_peer(model, texts.FIXED, 1, p50, min)
    busy = figures.best_peer(model, texts.MIXED, BUSY, rate, max)
    return [
        *(
            Target(f"{name}: p50 ÷ best peer, 1 client, 92 tokens", ratio(_alone(figures, name), alone), bound)
            for name, bound in ((OURS_FP32, 0.7), (OURS_AUTO, 0.3))
        ),
        *(
            Target(
                f"{name}: requests/s ÷ best peer, {BUSY} clients, mixed",
                ratio(figures.of(model, name, texts.MIXED, BUSY, rate), busy),
                bound,
                at_least=True,
            )
            for name, bound in ((OURS_AUTO, 4.0), (OURS_FP32, 1.4))
        ),
    ]


def _alone(figures: Figures, name: str) -> float | None:
    return figures.of(CLASSIFIER_MODEL, name, texts.FIXED, 1, p50)


def _crowded(figures: Figures, name: str) -> list[Target]:
    where = (CLASSIFIER_MODEL, name, texts.MIXED)
    slowest, unloaded = figures.of(*where, CROWDED, p99), figures.of(*where, 1, p99)
    good = figures.of(*where, CROWDED, rate)
    return [
        Target(f"{name}: p99 of admitted, {CROWDED} clients ÷ 1, mixed", ratio(slowest, unloaded), 4.0),
        Target(f"{name}: goodput at {CROWDED} clients ÷ peak", ratio(good, figures.peak(*where)), 0.9, at_least=True),
    ]


def _small(figures: Figures, edge: str) -> list[Target]:
    nothing = figures.of(NOTHING, OURS, "nothing", BUSY, rate)
    bare = figures.of(NOTHING, ECHO[edge], "nothing", BUSY, rate)
    wine = figures.of(WINE, OURS, "wine", BUSY, rate)
    return [
        Target(f"nothing: requests/s ÷ bare echo on {edge}", ratio(nothing, bare), 0.8, at_least=True),
        *(
            Target(
                f"{model}: requests/s ÷ best peer",
                ratio(ours, figures.best_peer(model, model, BUSY, rate, max)),
                1.5,
                at_least=True,
            )
            for model, ours in ((NOTHING, nothing), (WINE, wine))
        ),
    ]


def _memory(growths: Mapping[str, Growth]) -> list[Target]:
    return [
        Target(f"{name}: bytes a request over {growth.requests} requests", growth.bytes_a_request, 1024)
        for name, growth in growths.items()
    ]
