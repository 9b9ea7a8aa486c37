"""How the other servers are set up, by the model that they serve: the best of those in CANDIDATES.

``python -m tests.benchmarks.warm.tuning`` measures them.
"""

from collections.abc import Mapping

#: As the environment variables that peers/ read.
Settings = Mapping[str, str]

#: A request at a time, with all cores.
ALONE: Settings = {"BATCH": "1", "BATCH_MS": "0", "WORKERS": "1", "MODEL_THREADS": "2", "FAST_QUEUE": "0"}

#: Workers of a core each.
_APART = {"WORKERS": "2", "MODEL_THREADS": "1"}

CANDIDATES: dict[str, list[dict[str, str]]] = {
    "LitServe": [
        {},
        {"FAST_QUEUE": "1"},
        {"BATCH": "4", "BATCH_MS": "5"},
        {"BATCH": "16", "BATCH_MS": "20"},
        _APART,
        _APART | {"BATCH": "8", "BATCH_MS": "10"},
    ],
    # Its latency is a bound on the batch's answer, not a wait: less than a batch takes is answered with 503.
    "BentoML": [
        {},
        {"BATCH": "4", "BATCH_MS": "60000"},
        {"BATCH": "16", "BATCH_MS": "60000"},
        _APART,
        _APART | {"BATCH": "8", "BATCH_MS": "60000"},
    ],
    # WORKERS are its parallel_workers; without any, the model runs in the server's own process. Its release of these
    # environments starts none: "There is no current event loop in thread 'MainThread'", with the uvloop that it pins.
    "MLServer": [
        {"WORKERS": "0"},
        {"WORKERS": "0", "BATCH": "4", "BATCH_MS": "5"},
        {"WORKERS": "0", "BATCH": "8", "BATCH_MS": "2"},
        {"WORKERS": "0", "BATCH": "16", "BATCH_MS": "20"},
        {"WORKERS": "1"},
    ],
}

_BEST: dict[tuple[str, str], dict[str, str]] = {
    ("MLServer", "classifier"): {"WORKERS": "0"},
    ("MLServer", "nothing"): {"WORKERS": "0"},
    ("MLServer", "wine"): {"WORKERS": "0"},
}


def best(peer: str, model: str) -> Settings:
    return {**ALONE, **_BEST.get((peer, model), {})}
