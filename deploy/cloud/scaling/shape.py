"""A day of requests as many functions have it, by a formula: slow by night, fast by day, and in bursts.

The frame is the public one of Azure Functions in July 2019 (Shahrad et al., "Serverless in the Wild", USENIX ATC 2020,
and its data set AzureFunctionsDataset2019): requests are counted by the minute; over all functions they follow the day
above a constant half of the peak; 81 % of the applications are called once a minute or less, 45 % once an hour or less.
That paper gives no law for the minutes' ups and downs. Ours is a choice: a log-normal factor that remembers.

    rate(m) = mean * day(m) * burst(m)
    day(m) = 1 - a cos(2 pi m / 1440),  a = (1 - trough) / (1 + trough)
    burst(m) = exp(s z(m) - s^2 / 2),   s^2 = ln(1 + variation^2)
    z(m) = memory z(m - 1) + sqrt(1 - memory^2) e(m),   e(m) independent and normal
"""

import math

import numpy as np

from deploy.cloud.scaling.trace import Trace

DAY_MINUTES = 24 * 60

#: The night's rate by the day's highest.
TROUGH = 0.5

#: Standard deviation of the factor by its mean, and how much of a minute's is the one's before: it lasts ten minutes.
VARIATION, MEMORY = 0.5, 0.9


def day(mean: float, seed: int, minutes: int = DAY_MINUTES) -> Trace:
    """A trace of so many requests a second on average; the same one for the same seed."""
    if not (math.isfinite(mean) and mean > 0):
        raise ValueError(f"A rate of {mean:g} requests a second is no rate. Give a number above 0.")
    draw = np.random.default_rng(seed)
    swing = (1 - TROUGH) / (1 + TROUGH)
    spread = math.sqrt(math.log(1 + VARIATION**2))
    shocks = draw.standard_normal(minutes)
    burst, state = np.empty(minutes), float(shocks[0])
    for minute in range(minutes):
        if minute:
            state = MEMORY * state + math.sqrt(1 - MEMORY**2) * float(shocks[minute])
        burst[minute] = math.exp(spread * state - spread**2 / 2)
    phase = 1 - swing * np.cos(2 * np.pi * np.arange(minutes) / DAY_MINUTES)
    rates = phase * burst
    return Trace(mean * rates / rates.mean())
