"""Whether a loaded instance grows: its memory while thousands of requests pass."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.benchmarks.launch import Launch, started
from tests.benchmarks.memory import tree_megabytes
from tests.benchmarks.places import LOGS
from tests.benchmarks.progress import progress
from tests.benchmarks.warm.client import Client, Exchange
from tests.benchmarks.warm.contenders import Contender
from tests.benchmarks.warm.items import Item
from tests.benchmarks.warm.measuring import order

#: 20,000 in all, most of them to the small models.
REQUESTS = {"classifier": 1_000, "nothing": 9_500, "wine": 9_500}
CLIENTS = 4
#: Before the first look: allocators and caches take what they will need.
SETTLING = 0.25
LOOKS = 20


@dataclass(frozen=True)
class Growth:
    """What became of it.

    Args:
        megabytes: at each look.
        bytes_a_request: the slope of the straight line through them.
    """

    requests: int
    failed: int
    megabytes: list[float]
    bytes_a_request: float


def growth(contender: Contender, launch: Launch, items: Mapping[str, Sequence[Item]], kinds: Sequence[str]) -> Growth:
    """Args: the kinds of items that are asked, mixed."""
    asked = [item for kind in kinds for item in items[kind]]
    requests = REQUESTS[contender.model]
    progress(f"{contender.model} {contender.name}: memory over {requests} requests")
    looks: list[float] = []
    with started(launch, LOGS / "warm-growth.log") as server:
        server.first_answer()
        client = Client(server.port, [contender.protocol.request(item) for item in asked], order(asked))

        def is_enough(exchanges: list[Exchange]) -> bool:
            if len(exchanges) == int(requests * SETTLING) + len(looks) * (requests // LOOKS):
                looks.append(tree_megabytes(server.pid))
            return len(looks) > LOOKS

        try:
            client.closed(CLIENTS, is_enough)
        finally:
            client.close()
        failed = sum(one.status != 200 for one in client.exchanges)
    return Growth(requests, failed, looks, slope(looks) * 1024 * 1024 / (requests // LOOKS))


def slope(values: Sequence[float]) -> float:
    """Of the straight line with the least squares, from one value to the next."""
    return statistics.linear_regression(range(len(values)), values).slope
