"""How the other servers are set up, by the model that they serve."""

#: As environment variables that peers/ read.
Settings = dict[str, str]

ALONE = {"BATCH": "1", "BATCH_SECONDS": "0", "WORKERS": "1", "FAST_QUEUE": "0", "MODEL_THREADS": "2"}

SETTINGS: dict[tuple[str, str], Settings] = {}


def settings(peer: str, model: str) -> Settings:
    return ALONE | SETTINGS.get((peer, model), {})
