"""What a route demands of who asks; what is named nowhere here, demands the leave to predict."""

#: Answered to everybody: whether the instance is alive, and whether its settings work.
PUBLIC = frozenset({"/health", "/ready", "/ping", "/v2/health/live", "/v2/health/ready"})

#: Answered even by an instance that is about to end.
LIVENESS = frozenset({"/health", "/v2/health/live"})

#: By path template, one of settings.ACTIONS.
ACTIONS = {
    "/warmup": "warm",
    "/metrics": "metrics",
    "/v2/repository/models/{model}/load": "manage",
    "/v2/repository/models/{model}/unload": "manage",
}

#: The headers that prove who asks.
PROOFS = ("x-api-key", "authorization", "x-serverless-authorization")
