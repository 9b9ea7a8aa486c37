"""Measures what a start and an answer take, in the emulator, and writes it where the simulation reads it."""

import json
import os
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.progress import progress
from tests.benchmarks.scale.emulated import Asked, Emulated, emulated
from tests.benchmarks.warm.client import Exchange

STARTS, PAIRS, ANSWERS, LOADED_S = 12, 6, 300, 4.0

#: Seconds from an answer to the next request: as requests come that do not come one after the other.
PAUSE_S = 0.02

#: An instance is stopped so soon that the next request starts one.
IDLE_S = 0.4

#: Clients that ask again as soon as they are answered.
CLIENTS = 8

#: The answers' times are kept as so many quantiles.
KEPT = 60


def measure(one: Asked, file: Path) -> dict[str, Any]:
    """Measures the family and writes the file; others that it has stay."""
    there = json.loads(file.read_text())["families"] if file.exists() else {}
    load = os.getloadavg()[0]
    there[one.family] = _family(one)
    document = {
        "measured": datetime.now(UTC).date().isoformat(),
        # What else the machine has to do shows in every figure.
        "where": f"the emulator on {len(os.sched_getaffinity(0))} cores, at a load average of {load:.1f} before",
        "families": dict(sorted(there.items())),
    }
    file.write_text(json.dumps(document, indent=1) + "\n")
    return document


def _family(one: Asked) -> dict[str, Any]:
    progress(f"{one.family}: {STARTS} starts")
    with emulated(one, IDLE_S) as site:
        firsts = []
        for number in range(STARTS + 1):
            site.until_stopped(number)
            firsts.append(site.first())
    progress(f"{one.family}: {ANSWERS} answers alone, and {LOADED_S:g} s of {CLIENTS} clients")
    with emulated(one, 60.0) as site:
        warm = _alone(site)
        work = _loaded(site)
    progress(f"{one.family}: {PAIRS} times two starts")
    with emulated(one, IDLE_S, most=2) as site:
        pairs = [_two_starts(site) for _ in range(PAIRS)]
    usual = statistics.median(warm)
    # The first one reads its files from the disk, and stages them.
    cold = sorted(first - usual for first in firsts[1:])
    return {
        "model": one.model,
        "cold_s": [round(seconds, 4) for seconds in cold],
        "beside": round(max(0.0, (statistics.median(pairs) - usual) / statistics.median(cold) - 1), 3),
        "warm_s": np.quantile(warm, (np.arange(KEPT) + 0.5) / KEPT).round(6).tolist(),
        "work_s": round(work, 6),
    }


def _two_starts(site: Emulated) -> float:
    """Seconds until the first answer of so many requests that one instance does not take them."""
    client, before = site.client(), site.count("started")
    try:
        client.open([0.0] * (site.one.concurrency + 1))
        seconds = min(exchange.seconds for exchange in client.exchanges if exchange.status == 200)
    finally:
        client.close()
    site.until_stopped(site.count("started"))
    if site.count("started") != before + 2:
        raise RuntimeError(f"{site.one.family}: {site.count('started') - before} instances started, and not two.")
    return seconds


def _alone(site: Emulated) -> list[float]:
    seconds = []
    with site.connection() as connection:
        for _ in range(ANSWERS + 20):
            seconds.append(site.ask(connection))
            time.sleep(PAUSE_S)
    return seconds[20:]


def _loaded(site: Emulated) -> float:
    """Seconds of the instance for an answer, when it is never without work."""
    client = site.client()
    until = time.perf_counter() + LOADED_S

    def enough(exchanges: list[Exchange]) -> bool:
        return time.perf_counter() > until

    began = time.perf_counter()
    try:
        client.closed(CLIENTS, enough)
        answered = [exchange for exchange in client.exchanges if exchange.status == 200]
        return (answered[-1].ended - began) / len(answered)
    finally:
        client.close()
