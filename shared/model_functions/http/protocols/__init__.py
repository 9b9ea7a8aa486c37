"""The protocols that callers may speak besides ``/predict``: a module each, imported when it is first spoken.

A module has ``routes(service)``, its table for http.routes, and ``refuse(error, request)``, which renders the errors on
its paths. A module of the same name in http/openapi/ describes it.
"""

#: Which modules answer, by how a path begins; of several the first one that takes the method.
_BEGINNINGS: dict[str, tuple[str, ...]] = {
    "/v2": ("open_inference",),
    "/info": ("hugging_face",),
    "/v1": ("openai",),
    "/v1/models": ("tensorflow_serving",),
    "/v1/projects": ("vertex",),
    "/predictions": ("torchserve",),
    "/explanations": ("torchserve",),
    "/models": ("torchserve", "hugging_face", "openai", "invocations"),
    "/ping": ("torchserve",),
    "/invocations": ("invocations",),
    "/version": ("invocations",),
    "/predict_proxy": ("tutorial",),
}


def modules_of(path: str) -> tuple[str, ...]:
    """The protocols whose paths begin so."""
    parts = path.split("/", 3)
    return _BEGINNINGS.get("/".join(parts[:3])) or _BEGINNINGS.get(f"/{parts[1]}" if len(parts) > 1 else "", ())


def module_names() -> list[str]:
    """Every protocol."""
    return list(dict.fromkeys(name for names in _BEGINNINGS.values() for name in names))
