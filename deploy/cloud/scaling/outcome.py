"""What came of a simulated day: latencies, instances, and the seconds that are paid for."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deploy.cloud.costs import MONTH_S, Prices, Size, used

Seconds = NDArray[np.float64]


@dataclass(frozen=True)
class Outcome:
    """Pings count in what is paid for, and nowhere else.

    Args:
        seconds: that were simulated.
        cold: requests whose answer came from an instance that was not ready when they came.
        starts: of instances, those that pings caused among them.
        latencies: of those that were answered, ascending.
        weights: how many requests each of the latencies stands for.
        mean_instances: over the time.
        active_s: seconds of instances that start or have a request, in steps of a tenth.
        kept_s: seconds of instances that --min-instances keeps without one.
    """

    seconds: float
    requests: float
    refused: float
    cold: float
    starts: int
    latencies: Seconds
    weights: Seconds
    mean_instances: float
    most_instances: int
    active_s: float
    kept_s: float
    pings: int

    def quantile(self, share: float) -> float:
        """Seconds within which that share of the answers came; nan where there was none."""
        if not len(self.latencies):
            return float("nan")
        so_far = np.cumsum(self.weights)
        # A hair less: sums of weights that are no integers end beside their goal.
        place = int(np.searchsorted(so_far, share * so_far[-1] * (1 - 1e-12)))
        return float(self.latencies[min(place, len(self.latencies) - 1)])

    @property
    def answered(self) -> float:
        return float(self.weights.sum())

    @property
    def cold_share(self) -> float:
        return self.cold / self.requests if self.requests else 0.0

    def month(self, prices: Prices, size: Size) -> float:
        """Dollars for thirty days of the like."""
        times = MONTH_S / self.seconds
        # What is refused by Cloud Run itself costs nothing.
        requests = self.requests - self.refused + self.pings
        return used(
            prices,
            size,
            self.active_s * times,
            requests * times,
            kept_s=self.kept_s * times,
            jobs=1 if self.pings else 0,
        )
