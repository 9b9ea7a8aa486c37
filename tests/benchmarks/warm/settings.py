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
    # WORKERS are its parallel_workers; without any, the model runs in the server's own process. In these environments
    # it does not start with one: "There is no current event loop in thread 'MainThread'".
    "MLServer": [
        {"WORKERS": "0"},
        {"WORKERS": "0", "BATCH": "4", "BATCH_MS": "5"},
        {"WORKERS": "0", "BATCH": "8", "BATCH_MS": "2"},
        {"WORKERS": "0", "BATCH": "16", "BATCH_MS": "20"},
        {"WORKERS": "1"},
    ],
}

#: By their requests a second with 16 clients, where the others' best is the measure. What was seen:
#:
#: - the classifier, 8–256 tokens: padding costs more than batches gain (LitServe: 6.7 alone, 5.1 by 4, 4.2 by 16;
#:   MLServer 7.2, 3.7 and 4.1). Of 92 tokens each, LitServe by 4 gains a third (11.1 against 7.9 to 9).
#:   BentoML's two workers of a core each answer more (9.3 against 7.6) and later (174 ms against 109 for one client);
#:   LitServe's do not (5.8).
#: - nothing: batches gain nothing but for BentoML's two workers (1,480 against 720); they wait, so that LitServe and
#:   MLServer give one client 50 to 180 a second instead of 1,400 and 3,400.
#: - wine: batches double what they do with 16 clients (LitServe: 730 alone, 1,510 by 16; MLServer: 940, and 1,730 by
#:   4), and one client has 45 and 145 a second instead of 670 and 920.
_BEST: dict[tuple[str, str], dict[str, str]] = {
    ("BentoML", "classifier"): _APART,
    ("BentoML", "nothing"): _APART | {"BATCH": "8", "BATCH_MS": "60000"},
    ("BentoML", "wine"): _APART | {"BATCH": "8", "BATCH_MS": "60000"},
    ("LitServe", "wine"): {"BATCH": "16", "BATCH_MS": "20"},
    ("MLServer", "classifier"): {"WORKERS": "0"},
    ("MLServer", "nothing"): {"WORKERS": "0"},
    ("MLServer", "wine"): {"WORKERS": "0", "BATCH": "4", "BATCH_MS": "5"},
}


def best(peer: str, model: str) -> Settings:
    return {**ALONE, **_BEST.get((peer, model), {})}
