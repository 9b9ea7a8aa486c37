"""A hundred first requests at once: how many downloads, loads and answers come of them."""

import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from tests.benchmarks.bucket_process import BucketProcess
from tests.benchmarks.launch import PATIENCE_S, Launch, ask, started
from tests.benchmarks.places import LOGS
from tests.running import call

REQUESTS = 100


@dataclass(frozen=True)
class Stampede:
    """What came of them.

    Args:
        downloads: how often the bucket gave the model's bytes, as a share of them all; 1 is once.
    """

    answered: int
    loads: int
    downloads: float


def stampede(launch: Launch, bucket: BucketProcess) -> Stampede:
    gate = threading.Barrier(REQUESTS)

    def first_request(port: int) -> int:
        gate.wait()
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
            return ask(connection, launch.path, launch.body)[0]

    # What is asked here is whether they share a load; how many may wait for a model that runs is another question.
    patient = replace(launch, environment=launch.environment | {"MAX_WAITING": str(REQUESTS)})
    bucket.reads()
    with started(patient, LOGS / "stampede.log") as contender:
        url = f"http://127.0.0.1:{contender.port}"
        contender.wait_for_port()
        with ThreadPoolExecutor(REQUESTS) as pool:
            statuses = list(pool.map(first_request, [contender.port] * REQUESTS))
        counters = call(f"{url}/metrics").body.decode()
    loads = re.findall(r"^model_functions_cold_loads_total\{.*\} (\d+)$", counters, re.MULTILINE)
    reads = bucket.reads()
    downloads = sum(read.sent for read in reads) / (sum(read.size for read in reads) or 1)
    return Stampede(statuses.count(200), sum(map(int, loads)), downloads)
